//! A set of keys that is called sound has one kind, one key for each name, and no key that is too short.
#![no_main]

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, jwk::JwkSet};
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::jwt::{TokenProfile, VerificationKey};
use portcullis_fuzz::{NOW, profile};

fuzz_target!(|text: &str| {
    let (set, token) = text.split_once('\n').unwrap_or((text, ""));
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
