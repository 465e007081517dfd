//! Public keys of clients that prove themselves with a signature (RFC 7523): given when the client is made, never fetched.

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Map, Value};

use crate::pipeline::jwt::{TokenProfile, VerificationKey};

/// Most keys of a client.
const MOST: usize = 8;
/// Members that only a private or a shared key has (RFC 7518 section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Reads a set of public keys, or says why it is none.
pub(super) fn read(set: &Value) -> Result<Vec<VerificationKey>, &'static str> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or("a JWK set has a list \"keys\"")?;
    if keys.is_empty() || keys.len() > MOST {
        return Err("a client has one to eight keys");
    }
    let is_private =
        |key: &Map<String, Value>| PRIVATE.iter().any(|member| key.contains_key(*member));
    if keys.iter().any(|key| key.as_object().is_none_or(is_private)) {
        return Err("only public keys belong here, never a private or a shared one");
    }
    let set: JwkSet = serde_json::from_value(set.clone()).map_err(|_| "a key cannot be read")?;
    let keys: Result<Vec<_>, _> = set.keys.iter().map(key).collect();
    let profile = TokenProfile { keys: keys?, ..blank() };
    profile.check()?;
    Ok(profile.keys)
}

fn key(jwk: &Jwk) -> Result<VerificationKey, &'static str> {
    let wrong = "a key is of a kind that is not taken: RS256, PS256, ES256, ES384 or EdDSA";
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return Err("a key is not for signatures");
    }
    let named = jwk.common.key_algorithm;
    let algorithm = match (&jwk.algorithm, named) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => Algorithm::PS256,
        (AlgorithmParameters::EllipticCurve(key), named) => match (&key.curve, named) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Algorithm::ES256,
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Algorithm::ES384,
            _ => return Err(wrong),
        },
        (AlgorithmParameters::OctetKeyPair(key), None | Some(KeyAlgorithm::EdDSA))
            if key.curve == EllipticCurve::Ed25519 =>
        {
            Algorithm::EdDSA
        }
        _ => return Err(wrong),
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|_| "a key cannot be read")?;
    let kid = jwk.common.key_id.as_deref().unwrap_or_default().into();
    Ok(VerificationKey { kid, algorithm, key })
}

/// A profile that is about keys only.
pub(super) fn blank() -> TokenProfile {
    TokenProfile {
        issuer: "".into(),
        audience: None,
        standard: false,
        token_type: None,
        agent_audience: None,
        tenant_claim: None,
        keys: Vec::new(),
        leeway: Duration::ZERO,
        mount: "".into(),
        realm: "".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_sound_public_keys_are_taken() {
        let point = json!({ "kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let read_one = |key: Value| read(&json!({ "keys": [key] }));
        assert_eq!(read_one(point.clone()).unwrap()[0].algorithm, Algorithm::ES256);
        let with = |name: &str, value: Value| {
            let mut key = point.clone();
            key[name] = value;
            read_one(key)
        };
        assert!(with("d", json!("AAAA")).is_err(), "a private key");
        assert!(with("alg", json!("ES384")).is_err(), "of another curve than its algorithm");
        assert!(read_one(json!({ "kty": "oct", "k": "AAAA" })).is_err(), "a shared key");
        assert!(read(&json!({ "keys": [point.clone(), point] })).is_err(), "two of one id");
        assert!(read(&json!({ "keys": [] })).is_err());
        assert!(read(&json!({})).is_err());
    }
}
