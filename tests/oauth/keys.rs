//! Signing keys are replaced under load, and nobody notices (Done when 3).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use reqwest::Method;
use serde_json::Value;

use crate::{
    bench::{Bench, Made, header},
    support::client::Client,
};

/// Ten, or as many as `PORTCULLIS_ROTATIONS` says: fifty take half a minute of a debug build.
fn rotations() -> usize {
    std::env::var("PORTCULLIS_ROTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// A service that verifies tokens by itself: it keeps the keys and asks again when it does not know one, never for a known one.
struct Verifier {
    client: Client,
    issuer: String,
    known: Mutex<HashMap<String, DecodingKey>>,
    fetches: AtomicUsize,
}

impl Verifier {
    async fn verifies(&self, token: &str) -> bool {
        let kid = header(token)["kid"].as_str().unwrap().to_owned();
        let known = self.known.lock().unwrap().get(&kid).cloned();
        let key = match known {
            Some(key) => key,
            None => {
                self.fetches.fetch_add(1, Ordering::Relaxed);
                let set = self.client.get("/oauth/jwks").await.expect(200).json();
                let set: JwkSet = serde_json::from_value(set).unwrap();
                let mut known = self.known.lock().unwrap();
                for jwk in &set.keys {
                    let kid = jwk.common.key_id.clone().unwrap();
                    known.insert(kid, DecodingKey::from_jwk(jwk).unwrap());
                }
                match known.get(&kid) {
                    Some(key) => key.clone(),
                    None => return false,
                }
            }
        };
        let mut rules = Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&[&self.issuer]);
        rules.set_issuer(&[&self.issuer]);
        jsonwebtoken::decode::<Value>(token, &key, &rules).is_ok()
    }
}

/// Takes tokens, uses them at the gateway and at the verifier, and uses old ones again, until told to stop.
async fn load(
    bench: &Bench,
    verifier: &Verifier,
    client: &Made,
    done: &AtomicBool,
) -> (usize, Vec<String>) {
    let (mut tokens, mut used, mut refused) = (Vec::new(), 0, Vec::new());
    while !done.load(Ordering::SeqCst) {
        tokens.push(bench.own_token(client).await);
        // The newest, the oldest, and one between.
        for at in [tokens.len() - 1, 0, tokens.len() / 2] {
            let token = &tokens[at];
            used += 1;
            let status = bench.ask(token, Method::GET, "/anybody/x").await;
            if status != 200 {
                refused.push(format!("gateway: {status} for token {at} of {}", tokens.len()));
            }
            if !verifier.verifies(token).await {
                refused.push(format!("verifier: token {at} of {}", tokens.len()));
            }
        }
    }
    (used, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_under_load_refuse_no_valid_token() {
    let rotations = rotations();
    portcullis::pipeline::jwt::install_crypto_provider();
    // Whoever keeps the keys for so long has the new one before it signs.
    let bench = Arc::new(Bench::with(", publish_ahead = \"20ms\""));
    let client = bench.service();
    let verifier = Arc::new(Verifier {
        client: bench.caller(),
        issuer: bench.issuer(),
        known: Mutex::default(),
        fetches: AtomicUsize::new(0),
    });
    let done = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (bench, verifier) = (bench.clone(), verifier.clone());
            let (client, done) = (client.clone(), done.clone());
            tokio::spawn(async move { load(&bench, &verifier, &client, &done).await })
        })
        .collect();
    let operator = bench.gateway.operator();
    let mut kids = Vec::new();
    for _ in 0..rotations {
        let body = serde_json::json!({ "of": "issuer" });
        let rotated = operator.post("/v1/signing-keys/rotate", body).await.expect(201);
        kids.push(rotated.str("kid"));
        // Long enough that tokens of each key are about.
        tokio::time::timeout(Duration::from_secs(20), signs(&bench, &client, &kids)).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let mut total = 0;
    for worker in workers {
        let (used, refused) = worker.await.unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        total += used;
    }
    println!(
        "{rotations} rotations, {total} uses at the gateway and as many at the verifier, 0 refused, {} fetches",
        verifier.fetches.load(Ordering::Relaxed)
    );
    assert!(total >= rotations, "{total} uses are no load");
    kids.sort();
    kids.dedup();
    assert_eq!(kids.len(), rotations);
    let set = bench.caller().get("/oauth/jwks").await.expect(200).json();
    assert_eq!(
        set["keys"].as_array().unwrap().len(),
        rotations + 1,
        "each until its last token ends"
    );
}

/// Waits until the newest key signs.
async fn signs(bench: &Bench, client: &Made, kids: &[String]) {
    loop {
        let token = bench.own_token(client).await;
        if header(&token)["kid"].as_str() == kids.last().map(String::as_str) {
            return;
        }
    }
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs() {
    let bench = Bench::with(", publish_ahead = \"1h\"");
    let client = bench.service();
    let before = header(&bench.own_token(&client).await)["kid"].clone();
    let said = bench.gateway.cli_json(&["signing-key", "rotate"]);
    let new = said["kid"].clone();
    assert_ne!(new, before);
    let token = bench.own_token(&client).await;
    assert_eq!(header(&token)["kid"], before, "nobody may know the new one yet");
    assert!(bench.passes(&token).await);
    let set = bench.caller().get("/oauth/jwks").await.expect(200).json();
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids.len(), 2);
    assert!(kids.contains(&&new) && kids.contains(&&before));
    let listed = bench.gateway.cli_json(&["signing-key", "list"]);
    let keys = listed["keys"].as_array().unwrap();
    let signing: Vec<_> =
        keys.iter().filter(|key| key["of"] == "issuer" && key["signs"] == true).collect();
    assert_eq!(signing.len(), 1);
    assert_eq!(signing[0]["kid"], before);
    assert!(signing[0]["verifies_until"].is_string());
}
