//! `private_key_jwt` (RFC 7523): for us, young, and once.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::bench::{Bench, seconds};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub struct Signer {
    key: EncodingKey,
    pub jwks: Value,
}

impl Signer {
    pub fn new() -> Self {
        portcullis::pipeline::jwt::install_crypto_provider();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let point = pair.public_key().as_ref();
        let part = |at: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[at]);
        let key = json!({
            "kty": "EC", "crv": "P-256", "kid": "mine", "x": part(1..33), "y": part(33..65),
        });
        let jwks = json!({ "keys": [key] });
        Signer { key: EncodingKey::from_ec_der(der.as_ref()), jwks }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some("mine".into()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

async fn present(bench: &Bench, assertion: &str) -> crate::support::wire::Reply {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    bench.post("/oauth/token", None, &fields).await
}

// requirement: 7
#[tokio::test]
async fn a_signed_proof_is_good_once_and_only_for_us() {
    let bench = Bench::start();
    let signer = Signer::new();
    let file = bench.gateway.places.dir.join("keys.json");
    std::fs::write(&file, signer.jwks.to_string()).unwrap();
    let made = bench.create(&[
        "--grant",
        "client_credentials",
        "--scope",
        "READ",
        "--jwks",
        file.to_str().unwrap(),
    ]);
    assert_eq!(made["client_secret"], Value::Null);
    let id = made["client"]["id"].as_str().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let with = |change: &[(&str, Value)]| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut claims = json!({
            "iss": id, "sub": id, "aud": bench.issuer(), "exp": seconds() + 60, "iat": seconds(),
            "jti": format!("proof-{number}"),
        });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        claims
    };
    let proof = signer.sign(&with(&[]));
    present(&bench, &proof).await.expect(200);
    let refused = present(&bench, &proof).await.expect(401);
    assert_eq!(refused.str("error"), "invalid_client", "a copy of it is none");
    let endpoint = json!(format!("{}/oauth/token", bench.issuer()));
    present(&bench, &signer.sign(&with(&[("aud", endpoint)]))).await.expect(200);
    for change in [
        ("aud", json!("https://other.example")),
        ("aud", json!([bench.issuer(), "https://other.example"])),
        ("iss", json!("somebody")),
        ("exp", json!(seconds() - 120)),
        ("exp", json!(seconds() + 3600)),
        ("jti", Value::Null),
    ] {
        let refused =
            present(&bench, &signer.sign(&with(std::slice::from_ref(&change)))).await.expect(401);
        assert_eq!(refused.str("error"), "invalid_client", "{change:?}");
    }
    let stranger = Signer::new().sign(&with(&[]));
    present(&bench, &stranger).await.expect(401);
    let unsigned = with(&[]);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({ "alg": "none", "kid": "mine" })), part(&unsigned));
    present(&bench, &none).await.expect(401);
    // It has no secret, and none is taken.
    let fields = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", "")];
    bench.post("/oauth/token", None, &fields).await.expect(401);
}
