use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const INVALID: Unproven = Unproven::Fault(TokenFault::Invalid);
const EXPIRED: Unproven = Unproven::Fault(TokenFault::Expired);

fn party() -> RelyingParty {
    RelyingParty {
        issuer: "https://op.example".into(),
        client_id: "rp".into(),
        leeway: Duration::from_secs(30),
    }
}

fn login() -> Value {
    json!({
        "iss": "https://op.example", "aud": "rp", "sub": "u|1", "iat": 999_990, "exp": 1_000_100,
        "nonce": "n", "sid": "s1", "email": " ada@example.org ", "email_verified": true, "name": "Ada",
    })
}

fn logout() -> Value {
    json!({
        "iss": "https://op.example", "aud": ["rp"], "sub": "u|1", "sid": "s1", "iat": 999_990,
        "exp": 1_000_100, "jti": "j", "events": { LOGGED_OUT: {} },
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn sign(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{input}.{signature}")
}

/// The algorithm does not matter here: which ones a provider may have is the configuration's business.
fn keys() -> KeySet {
    crate::pipeline::jwt::install_crypto_provider();
    KeySet::of_secret(SECRET, Algorithm::HS256).unwrap()
}

fn id_token(header: &Value, claims: &Value) -> Result<IdClaims, Unproven> {
    let (keys, awaited) = (keys(), Awaited { nonce: "n", access_token: Some("at") });
    let token = sign(header, claims);
    party().id_token(&Presented::read(&token).ok_or(INVALID)?, &keys, awaited, NOW)
}

fn logout_token(header: &Value, claims: &Value) -> Result<LogoutClaims, Unproven> {
    let keys = keys();
    let token = sign(header, claims);
    party().logout_token(&Presented::read(&token).ok_or(INVALID)?, &keys, NOW)
}

fn plain() -> Value {
    json!({ "alg": "HS256" })
}

// requirement: 34
#[test]
fn an_id_token_is_for_us_for_this_login_and_in_its_time() {
    let found = id_token(&plain(), &login()).unwrap();
    assert_eq!(found.subject, "u|1");
    assert_eq!(found.session.as_deref(), Some("s1"));
    assert_eq!(found.email.as_deref(), Some("ada@example.org"));
    assert!(found.email_verified);
    for (what, claims, expected) in [
        ("iss", with(login(), "iss", json!("https://evil.example")), INVALID),
        ("iss with a slash", with(login(), "iss", json!("https://op.example/")), INVALID),
        ("aud", with(login(), "aud", json!("other")), INVALID),
        ("no aud", without(login(), "aud"), INVALID),
        ("several aud without azp", with(login(), "aud", json!(["rp", "b"])), INVALID),
        ("azp", with(login(), "azp", json!("other")), INVALID),
        ("nonce", with(login(), "nonce", json!("m")), INVALID),
        ("no nonce", without(login(), "nonce"), INVALID),
        ("no iat", without(login(), "iat"), INVALID),
        ("iat of later", with(login(), "iat", json!(1_000_200)), INVALID),
        ("no exp", without(login(), "exp"), INVALID),
        ("exp", with(login(), "exp", json!(999_970)), EXPIRED),
        ("nbf", with(login(), "nbf", json!(1_000_100)), INVALID),
        ("at_hash", with(login(), "at_hash", json!("AAAA")), INVALID),
        ("no sub", without(login(), "sub"), INVALID),
        ("empty sub", with(login(), "sub", json!("")), INVALID),
        ("long sub", with(login(), "sub", json!("x".repeat(256))), INVALID),
        ("number as sub", with(login(), "sub", json!(7)), INVALID),
        ("a logout token", with(login(), "events", json!({ LOGGED_OUT: {} })), INVALID),
    ] {
        assert_eq!(id_token(&plain(), &claims), Err(expected), "{what}");
    }
    let several = with(with(login(), "aud", json!(["rp", "b"])), "azp", json!("rp"));
    assert!(id_token(&plain(), &several).is_ok());
    for (kind, taken) in [("JWT", true), ("at+jwt", false), ("logout+jwt", false)] {
        let header = json!({ "alg": "HS256", "typ": kind });
        assert_eq!(id_token(&header, &login()).is_ok(), taken, "{kind}");
    }
    for said in [json!("true"), json!(1), Value::Null] {
        assert!(
            !id_token(&plain(), &with(login(), "email_verified", said)).unwrap().email_verified
        );
    }
}

#[test]
fn a_hash_is_that_of_the_access_token_beside_it() {
    // Core section 3.1.3.6; figures of an independent implementation.
    let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    assert_eq!(left_half("RS256", access).as_deref(), Some("77QmUPtjPfzWtF2AnpK9RQ"));
    assert_eq!(left_half("none", access), None);
    let own = left_half("RS256", "at").unwrap();
    let header = json!({ "alg": "HS256" });
    // By an algorithm whose hash nobody knows it cannot be the right one.
    assert_eq!(id_token(&header, &with(login(), "at_hash", json!(own))), Err(INVALID));
}

#[test]
fn a_logout_token_is_nothing_else_and_says_who() {
    let found = logout_token(&json!({ "alg": "HS256", "typ": "logout+jwt" }), &logout()).unwrap();
    assert_eq!((found.id.as_str(), found.ends), ("j", Timestamp::from_secs(1_000_130)));
    assert!(logout_token(&plain(), &without(logout(), "sub")).is_ok());
    assert!(logout_token(&plain(), &without(logout(), "sid")).is_ok());
    for (what, claims, expected) in [
        ("iss", with(logout(), "iss", json!("https://evil.example")), INVALID),
        ("aud", with(logout(), "aud", json!(["other"])), INVALID),
        ("nonce", with(logout(), "nonce", json!("n")), INVALID),
        ("no events", without(logout(), "events"), INVALID),
        ("another event", with(logout(), "events", json!({ "x": {} })), INVALID),
        ("an event that is no object", with(logout(), "events", json!({ LOGGED_OUT: 1 })), INVALID),
        ("nobody", without(without(logout(), "sub"), "sid"), INVALID),
        ("no jti", without(logout(), "jti"), INVALID),
        ("no iat", without(logout(), "iat"), INVALID),
        ("no exp", without(logout(), "exp"), INVALID),
        ("exp", with(logout(), "exp", json!(999_970)), EXPIRED),
        ("good for years", with(logout(), "exp", json!(9_000_000)), INVALID),
        ("an id token", login(), INVALID),
    ] {
        assert_eq!(logout_token(&plain(), &claims), Err(expected), "{what}");
    }
    let header = json!({ "alg": "HS256", "typ": "at+jwt" });
    assert_eq!(logout_token(&header, &logout()), Err(INVALID));
}

#[test]
fn who_signed_is_one_of_the_keys() {
    let awaited = Awaited { nonce: "n", access_token: None };
    let token = sign(&plain(), &login());
    let presented = Presented::read(&token).unwrap();
    crate::pipeline::jwt::install_crypto_provider();
    let others = KeySet::of_secret(b"another secret of thirty-two byte", Algorithm::HS256).unwrap();
    let missed = party().id_token(&presented, &others, awaited, NOW);
    // It names no key, so a newer one may have signed it.
    assert!(matches!(missed, Err(Unproven::UnknownKey { .. })), "{missed:?}");
    for broken in [
        sign(&json!({ "alg": "none" }), &login()),
        sign(&json!({ "alg": "HS512" }), &login()),
        format!("{}.", token.rsplit_once('.').unwrap().0),
    ] {
        let found =
            Presented::read(&broken).map(|read| party().id_token(&read, &keys(), awaited, NOW));
        assert!(!matches!(found, Some(Ok(_))), "{broken}");
    }
}
