//! Header and claims of a proof that the right key signed: what is accepted says what it must, for this request and token.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::{
    jwt::dpop::{MAX_AGE, MAX_AHEAD, ProvenRequest, verify},
    path::CanonicalPath,
};
use portcullis_fuzz::NOW;
use serde_json::Value;

const TOKEN: &str = "a.token.of-ours";

/// Signs whatever the input says; `KEY` in it stands for the public key, `ATH` for the digest of the token.
fn signed(text: &str, pair: &Ed25519KeyPair) -> Option<(String, String, String)> {
    let (header, claims) = text.split_once('\n')?;
    let key = B64.encode(pair.public_key().as_ref());
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{key}"}}"#);
    let ath = B64.encode(digest(&SHA256, TOKEN.as_bytes()).as_ref());
    let (header, claims) = (header.replace("KEY", &jwk), claims.replace("ATH", &ath));
    let input = format!("{}.{}", B64.encode(&header), B64.encode(&claims));
    let signature = B64.encode(pair.sign(input.as_bytes()).as_ref());
    Some((format!("{input}.{signature}"), header, claims))
}

fuzz_target!(|text: &str| {
    static PAIR: LazyLock<Ed25519KeyPair> =
        LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"));
    let line = format!(
        r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
        B64.encode(PAIR.public_key().as_ref())
    );
    let key = digest(&SHA256, line.as_bytes()).as_ref().try_into().expect("32 bytes");
    let path = CanonicalPath::parse("/a/b").expect("a path");
    let request = ProvenRequest {
        method: "GET",
        scheme: "https",
        authority: "api.example.org",
        path: &path,
        token: Some((TOKEN, &key)),
        nonces: None,
    };
    assert!(verify(text, &request, NOW).is_err(), "nobody signed it");
    let Some((proof, header, claims)) = signed(text, &PAIR) else { return };
    let Ok(found) = verify(&proof, &request, NOW) else { return };
    assert_eq!(found.key, key);
    let header: Value = serde_json::from_str(&header).expect("JSON");
    assert_eq!(header["typ"], "dpop+jwt");
    assert!(header["jwk"].get("d").is_none() && header.get("crit").is_none());
    let claims: Value = serde_json::from_str(&claims).expect("JSON");
    assert_eq!(claims["htm"], "GET");
    assert_eq!(claims["jti"], found.id.as_str());
    let url = claims["htu"].as_str().expect("a text").to_ascii_lowercase();
    assert!(url.starts_with("https://api.example.org"), "{url}");
    let made = claims["iat"].as_f64().expect("a number");
    let now = NOW.secs() as f64;
    assert!(made > now - MAX_AGE.as_secs_f64() && made < now + MAX_AHEAD.as_secs_f64() + 1.0);
});
