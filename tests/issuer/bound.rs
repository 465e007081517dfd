//! Tokens of others that are bound to a key: good with a proof only, whether a key verifies them or their issuer is asked.

use serde_json::{Value, json};

use crate::{
    rig::{AUDIENCE, CORP, Rig, issuer},
    support::{
        conf::{closed, quoted},
        dpop::Client,
        gateway::Places,
        provider::Provider,
        signer::{Signer, claims, jwks},
        wire::{self, Reply},
    },
};

fn bound(iss: &str, key: &Client) -> Value {
    let mut all = claims(iss, AUDIENCE, "ada");
    all["cnf"] = json!({ "jkt": key.thumbprint() });
    all
}

fn asking(conf: crate::support::conf::Conf, _: &Places) -> crate::support::conf::Conf {
    let route = closed("proven", "/proven/**", "main");
    conf.section("[limiter]\nfailures_per_address = false")
        .route(route.with("authn", r#"["jwt"]"#).with("proof", quoted("dpop")))
}

async fn ask(rig: &Rig, path: &str, authorization: String, proof: Option<String>) -> Reply {
    let proof = proof.map_or(String::new(), |proof| format!("DPoP: {proof}\r\n"));
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: api.test\r\nAuthorization: {authorization}\r\n{proof}\r\n"
    );
    wire::exchange(rig.gateway.address(), text).await
}

/// With a proof it passes, and in no other way; also when the token is known by then.
async fn holds(rig: &Rig, token: &str, owner: &Client) {
    let proof = |path: &str| Some(owner.proof(&format!("http://api.test{path}"), token));
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    for round in ["1", "2"] {
        let path = format!("/proven/{round}");
        let thief = Client::new().proof(&format!("http://api.test{path}"), token);
        for (path, authorization, proof, status) in [
            (&*path, &dpop, proof(&path), 200),
            (&path, &dpop, None, 401),
            (&path, &bearer, None, 401),
            (&path, &bearer, proof(&path), 401),
            (&path, &dpop, Some(thief), 401),
            ("/closed/x", &bearer, None, 401),
            ("/closed/x", &dpop, proof("/closed/x"), 401),
        ] {
            let reply = ask(rig, path, authorization.clone(), proof.clone()).await;
            assert_eq!(reply.status, status, "{round} {path} {authorization} {proof:?}");
        }
    }
}

// requirement: 6
#[tokio::test]
async fn a_signed_token_of_another_issuer_is_good_with_its_proof_only() {
    let (signer, owner) = (Signer::curve("one", "ES256"), Client::new());
    let keys = jwks(&[&signer]).to_string();
    let table = issuer("corp", CORP).with("jwks_file", quoted("corp.json"));
    let rig = Rig::with(&[table], |conf, places| {
        std::fs::write(places.dir.join("corp.json"), &keys).unwrap();
        asking(conf, places)
    });
    holds(&rig, &signer.sign(&bound(CORP, &owner)), &owner).await;
    let free = signer.sign(&claims(CORP, AUDIENCE, "ada"));
    assert_eq!(ask(&rig, "/proven/x", format!("Bearer {free}"), None).await.status, 401);
    assert_eq!(ask(&rig, "/closed/x", format!("Bearer {free}"), None).await.status, 200);
}

// requirement: 6, 7
#[tokio::test]
async fn an_opaque_token_is_bound_to_what_its_issuer_says() {
    let (provider, owner) = (Provider::new(json!({ "keys": [] })), Client::new());
    let iss = provider.issuer();
    let url = quoted(&format!("{iss}/introspect"));
    let table = issuer("corp", &iss).with(
        "introspection",
        format!(r#"{{ url = {url}, client_id = "gateway", secret = "file:corp.secret" }}"#),
    );
    let rig = Rig::with(&[table], |conf, places| {
        std::fs::write(places.dir.join("corp.secret"), "a-secret").unwrap();
        asking(conf, places)
    });
    let mut said = bound(&iss, &owner);
    said["token_type"] = "DPoP".into();
    provider.know("opaque", said);
    holds(&rig, "opaque", &owner).await;
    // What calls itself bound and says not to what is none.
    let mut loose = claims(&iss, AUDIENCE, "ada");
    loose["token_type"] = "DPoP".into();
    provider.know("loose", loose);
    assert_eq!(ask(&rig, "/closed/x", "Bearer loose".into(), None).await.status, 401);
}
