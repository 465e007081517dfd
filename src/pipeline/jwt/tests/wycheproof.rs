//! The JWS vectors of Project Wycheproof, held against form and signature (most payloads are no claims).

use jsonwebtoken::{Algorithm, DecodingKey, jwk::Jwk};
use serde_json::Value;

use super::super::{Form, VerificationKey};

/// Vectors that the file calls valid and a strict verifier refuses: a foreign character inside the base64url text
/// (372, 373), a PS256 key under a PS384 token (346, 350), the unregistered name `ES521` (347, 351).
const STRICTER: [u64; 6] = [346, 347, 350, 351, 372, 373];

/// Vectors that the file calls invalid although they are, byte for byte, the valid vector 357 under the same key: the
/// padding they are named for is not in them. One text has one verdict; padding has a test of our own.
const TWINS_OF_357: [u64; 2] = [367, 370];

#[test]
fn every_vector_gets_the_verdict_of_a_strict_verifier() {
    let file = include_str!("../../../../tests/data/wycheproof/json_web_signature_test.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let (mut accepted, mut refused, mut keyless) = (0, 0, 0);
    let mut twin = "";
    for group in file["testGroups"].as_array().unwrap() {
        let jwk = group.get("public").unwrap_or(&group["private"]);
        let key = usable_key(jwk);
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let jws = test["jws"].as_str().unwrap();
            // An empty payload is a good JWS, but cannot be claims: such a token is refused before any signature work.
            let strict = STRICTER.contains(&id) || jws.contains("..");
            let mut wanted = test["result"] == "valid" && !strict;
            if id == 357 {
                twin = jws;
            }
            if TWINS_OF_357.contains(&id) {
                assert_eq!(jws, twin, "test {id} changed: it may need no exception any more");
                wanted = true;
            }
            let Some(key) = &key else {
                assert!(!wanted, "test {id} needs a key that was not taken");
                keyless += 1;
                continue;
            };
            let form = Form::read(jws);
            let found = form.is_some_and(|form| form.names(key) && form.is_signed_by(key));
            assert_eq!(found, wanted, "test {id}: {}", test["comment"]);
            if found { accepted += 1 } else { refused += 1 }
        }
    }
    // 46 valid, less 6 stricter, less 6 empty payloads, with the 2 twins.
    assert_eq!((accepted, refused + keyless), (36, 365));
    assert!(keyless <= 6, "{keyless} vectors were not tried");
}

/// The key as a loader of key sets would take it: for signatures, bound to one algorithm we know.
fn usable_key(jwk: &Value) -> Option<VerificationKey> {
    let signs = jwk.get("use").is_none_or(|own| own == "sig");
    let verifies = jwk.get("key_ops").and_then(Value::as_array).is_none_or(|operations| {
        operations.iter().filter_map(Value::as_str).any(|name| name.contains("verify"))
    });
    let algorithm: Algorithm = jwk.get("alg")?.as_str()?.parse().ok()?;
    if !signs || !verifies {
        return None;
    }
    let kid = jwk.get("kid").and_then(Value::as_str).unwrap_or_default().into();
    let parsed: Jwk = serde_json::from_value(without_operations(jwk)).ok()?;
    let key = DecodingKey::from_jwk(&parsed).ok()?;
    Some(VerificationKey { kid, algorithm, key })
}

/// One vector writes `key_ops` in a way the library's reader does not know; it was looked at already.
fn without_operations(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    if let Some(members) = jwk.as_object_mut() {
        members.remove("key_ops");
    }
    jwk
}
