//! A set of keys that is called sound has one kind, one key for each name, and no key that is too short; and one that an
//! issuer outside publishes gives public keys only, each as another reader finds it in the same text.
#![no_main]

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, jwk::JwkSet};
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::jwt::{
    KeySet, MAX_SET_BYTES, Presented, TokenProfile, VerificationKey, algorithm_name,
};
use portcullis_fuzz::{NOW, profile};
use serde_json::Value;

use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};

/// What an issuer may be allowed.
const ALL: [Algorithm; 9] = [RS256, PS256, ES256, ES384, EdDSA, RS384, RS512, PS384, PS512];

fuzz_target!(|text: &str| {
    let (set, token) = text.split_once('\n').unwrap_or((text, ""));
    published(set);
    let _ = Presented::read(token).map(|token| token.issuer().map(str::len));
    let Ok(set) = serde_json::from_str::<JwkSet>(set) else { return };
    let keys: Vec<VerificationKey> = set
        .keys
        .iter()
        .filter_map(|jwk| {
            let name = jwk.common.key_algorithm?.to_string();
            let algorithm: Algorithm = name.parse().ok()?;
            let key = DecodingKey::from_jwk(jwk).ok()?;
            let kid = jwk.common.key_id.clone().unwrap_or_default();
            Some(VerificationKey { kid: kid.into(), algorithm, key })
        })
        .collect();
    let own = TokenProfile { keys, ..profile().clone() };
    if own.check().is_err() {
        return;
    }
    for (at, key) in own.keys.iter().enumerate() {
        assert!(own.keys[..at].iter().all(|other| other.kid != key.kid));
        let is_shared = |key: &VerificationKey| key.key.family() == AlgorithmFamily::Hmac;
        assert_eq!(is_shared(key), is_shared(&own.keys[0]));
        assert!(key.key.family().algorithms().contains(&key.algorithm));
        match key.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                assert!(
                    n.len() >= 256 && n.len() <= 1024 && e.last().is_some_and(|low| low % 2 == 1)
                );
            }
            DecodingKeyKind::SecretOrDer(bytes) if is_shared(key) => assert!(bytes.len() >= 32),
            DecodingKeyKind::SecretOrDer(_) => {}
        }
    }
    let _ = own.verify(token, NOW);
});

/// The keys of an issuer outside, held against the same text as a lenient reader has it.
fn published(text: &str) {
    let Ok(set) = KeySet::read(text.as_bytes(), &ALL) else { return };
    assert!(text.len() <= MAX_SET_BYTES);
    let read: Value = serde_json::from_str(text).expect("it was read strictly");
    let given = read["keys"].as_array().expect("a list of keys");
    assert!((1..=100).contains(&set.keys().len()));
    assert_eq!(given.len(), set.keys().len() + set.passed_over());
    assert!(given.iter().all(|jwk| jwk["kty"] != "oct"), "no secret in a set");
    for (at, key) in set.keys().iter().enumerate() {
        let alike = |other: &VerificationKey| other.kid == key.kid && !key.kid.is_empty();
        assert!(!set.keys()[..at].iter().any(alike), "one key for each name");
        assert!(ALL.contains(&key.algorithm) && key.key.family() != AlgorithmFamily::Hmac);
        assert!(key.key.family().algorithms().contains(&key.algorithm));
        let name = algorithm_name(key.algorithm);
        let own = |jwk: &&Value| {
            jwk.get("kid").and_then(Value::as_str).unwrap_or_default() == &*key.kid
                && (jwk.get("alg").is_none() || jwk["alg"].as_str() == name)
                && jwk.get("d").is_none()
                && jwk.get("use").is_none_or(|kind| kind == "sig")
        };
        assert!(given.iter().any(|jwk| own(&jwk)), "each key is one of the text");
        if let DecodingKeyKind::RsaModulusExponent { n, e } = key.key.kind() {
            assert!(n.len() >= 256 && n.len() <= 1024 && n[0] != 0);
            assert!(e.last().is_some_and(|low| low % 2 == 1));
        }
        // Another reader of the same key finds the same numbers in it, where it reads it at all.
        let others = given.iter().filter(own).filter_map(|jwk| {
            let jwk = serde_json::from_value(jwk.clone()).ok()?;
            DecodingKey::from_jwk(&jwk).ok()
        });
        let others: Vec<DecodingKey> = others.collect();
        assert!(others.is_empty() || others.iter().any(|other| is_same(other, &key.key)));
    }
    // Neither the order of the keys nor blanks make another set of it.
    let mut turned = read.clone();
    turned["keys"].as_array_mut().expect("a list of keys").reverse();
    let turned = turned.to_string();
    if turned.len() <= MAX_SET_BYTES {
        let again = KeySet::read(turned.as_bytes(), &ALL).expect("the same keys");
        assert!(again.digest() == set.digest());
    }
}

fn is_same(one: &DecodingKey, other: &DecodingKey) -> bool {
    fn plain(number: &[u8]) -> &[u8] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        &number[zeros..]
    }
    match (one.kind(), other.kind()) {
        (
            DecodingKeyKind::RsaModulusExponent { n, e },
            DecodingKeyKind::RsaModulusExponent { n: n2, e: e2 },
        ) => plain(n) == plain(n2) && plain(e) == plain(e2),
        (DecodingKeyKind::SecretOrDer(one), DecodingKeyKind::SecretOrDer(other)) => one == other,
        _ => false,
    }
}
