//! Header and claims that the right key signed: what is accepted says what it must, in the right types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{NOW, profile, signed};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let (header, payload) = match second {
        Some(payload) => (first, payload),
        None => (&br#"{"alg":"HS256"}"#[..], first),
    };
    let token = signed(header, payload);
    let Ok(who) = profile().verify(&token, NOW) else { return };
    let header: Value = serde_json::from_slice(header).expect("JSON");
    assert_eq!(header["alg"], "HS256");
    for name in ["crit", "jwk", "jku", "x5u", "x5c", "b64", "enc", "zip"] {
        assert!(header.get(name).is_none(), "{name}");
    }
    let claims: Value = serde_json::from_slice(payload).expect("JSON");
    assert_eq!(claims["iss"], "issuer");
    let names_us = match &claims["aud"] {
        Value::String(text) => text == "audience",
        Value::Array(list) => list.iter().any(|one| one == "audience"),
        _ => false,
    };
    assert!(names_us);
    let end = claims["exp"].as_f64().expect("a number");
    assert!(end > NOW.secs() as f64);
    if let Some(start) = claims.get("nbf") {
        assert!(start.as_f64().expect("a number") <= NOW.secs() as f64 + 1.0);
    }
    assert_eq!(claims["sub"].as_str().expect("a text"), who.subject.as_str());
    assert!(!who.subject.as_str().is_empty());
    let roles: Vec<&str> = claims.get("roles").map_or(Vec::new(), |roles| {
        roles
            .as_array()
            .expect("a list")
            .iter()
            .map(|role| role.as_str().expect("a text"))
            .collect()
    });
    assert_eq!(roles, who.roles.iter().map(|role| &**role).collect::<Vec<_>>());
});
