//! A client that owns a key, and proves it by RFC 9449.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use super::tmws::fresh_name;

/// Seconds since the epoch.
pub fn now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// A client with a key of its own.
pub struct Client {
    pair: EcdsaKeyPair,
}

impl Client {
    pub fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    fn point(&self) -> (String, String) {
        let point = self.pair.public_key().as_ref();
        (B64.encode(&point[1..33]), B64.encode(&point[33..65]))
    }

    /// The thumbprint of its key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let line = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        B64.encode(digest(&SHA256, line.as_bytes()).as_ref())
    }

    /// A new proof for a request with a token.
    pub fn proof(&self, url: &str, token: &str) -> String {
        self.proof_with(url, token, |_, _| {})
    }

    pub fn proof_with(
        &self,
        url: &str,
        token: &str,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> String {
        let (x, y) = self.point();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let mut header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "jti": fresh_name(), "htm": "GET", "htu": url, "iat": now(),
            "ath": B64.encode(digest(&SHA256, token.as_bytes()).as_ref()),
        });
        change(&mut header, &mut claims);
        let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature.as_ref()))
    }
}
