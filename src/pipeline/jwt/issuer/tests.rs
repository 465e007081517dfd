use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const INVALID: Unproven = Unproven::Fault(TokenFault::Invalid);

fn profile() -> IssuerProfile {
    let of = |name: &str| ClaimPath::of(name);
    let keys = KeySet::of_secret(SECRET, Algorithm::HS256).unwrap();
    IssuerProfile {
        name: "corp".into(),
        issuer: "https://corp.example".into(),
        audiences: vec!["api".into(), "api-2".into()],
        types: vec![ACCESS.into(), "JWT".into()],
        algorithms: vec![Algorithm::HS256],
        required: vec![(of("client_id"), None), (of("verified"), Some(true.into()))],
        claims: ClaimMap {
            subject: of("sub"),
            username: Some(of("preferred_username")),
            email: None,
            tenant: Some(of("org")),
            scopes: Some(of("scope")),
            scope_names: None,
            roles: ClaimPath::parse("/realm_access/roles"),
            role_names: vec![("boss".into(), vec!["ADMIN".into(), "USER".into()])],
            base_roles: vec!["USER".into()],
        },
        exact_scopes: false,
        longest: Duration::from_secs(3600),
        introspected: false,
        needs_audience: true,
        keys: IssuerKeys::Fixed(Arc::new(keys)),
        vouches: Arc::new(Issuer {
            name: "corp".into(),
            url: "https://corp.example".into(),
            leeway: Duration::from_secs(30),
        }),
        mount: "api".into(),
        realm: "main".into(),
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://corp.example", "aud": ["other", "api"], "sub": "auth0|7", "client_id": "app",
        "verified": true, "iat": 999_990, "exp": 1_000_100, "jti": "j1", "scope": "read Write",
        "preferred_username": "ada", "org": "lab", "realm_access": { "roles": ["boss", "ADMIN", "x"] },
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
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

fn at_jwt() -> Value {
    json!({ "alg": "HS256", "typ": "at+jwt", "kid": "any" })
}

fn judged(header: &Value, claims: &Value) -> Result<Principal, Unproven> {
    let profile = profile();
    let IssuerKeys::Fixed(keys) = &profile.keys else { panic!() };
    let token = sign(header, claims);
    profile.verify_unproven(&Presented::read(&token).unwrap(), keys, NOW)
}

// requirement: 9
#[test]
fn a_caller_is_known_by_issuer_and_subject_together() {
    let who = judged(&at_jwt(), &claims()).unwrap();
    assert_eq!(who.subject.as_str(), "corp|auth0|7");
    assert_eq!(who.token.unwrap().as_str(), "corp|j1");
    assert_eq!((who.username.as_deref(), who.tenant.as_deref()), (Some("ada"), Some("lab")));
    assert_eq!(
        who.roles,
        [std::sync::Arc::<str>::from("USER"), std::sync::Arc::<str>::from("ADMIN")],
        "only those that are named"
    );
    assert_eq!(who.scopes.unwrap().joined(), "READ WRITE");
    assert_eq!((who.session, who.key, who.agent), (None, None, None));
    assert_eq!(who.issuer.unwrap().url.as_ref(), "https://corp.example");
    assert_eq!(who.expires_at, Some(Timestamp::from_secs(1_000_100)));
}

// requirement: 6, 7, 9
#[test]
fn claims_that_say_something_else_are_refused() {
    for claims in [
        with("iss", "https://corp.example/".into()),
        with("aud", "other".into()),
        with("aud", json!(["api", 1])),
        with("aud", Value::Null),
        without("aud"),
        without("exp"),
        with("exp", json!("1000100")),
        with("exp", json!(1_000_100.5)),
        with("exp", json!(-1)),
        with("exp", 1_003_591.into()),
        with("nbf", 1_000_031.into()),
        with("iat", 1_000_061.into()),
        without("sub"),
        with("sub", "".into()),
        with("sub", "two words".into()),
        with("sub", 7.into()),
        with("sub", "x".repeat(256).into()),
        without("client_id"),
        with("client_id", Value::Null),
        with("verified", "true".into()),
        without("verified"),
        with("scope", 1.into()),
        with("realm_access", json!({ "roles": [1] })),
        with("org", 1.into()),
        with("jti", 1.into()),
        with("cnf", json!({ "jkt": "x" })),
    ] {
        assert_eq!(judged(&at_jwt(), &claims), Err(INVALID), "{claims}");
    }
    for claims in [
        with("aud", "api-2".into()),
        with("exp", 999_971.into()),
        with("exp", 1_003_590.into()),
        with("nbf", 1_000_030.into()),
        without("jti"),
        without("iat"),
        without("org"),
        without("realm_access"),
    ] {
        assert!(judged(&at_jwt(), &claims).is_ok(), "{claims}");
    }
    let late = judged(&at_jwt(), &with("exp", 999_970.into()));
    assert_eq!(late, Err(Unproven::Fault(TokenFault::Expired)));
}

// requirement: 9
#[test]
fn no_scope_is_not_every_scope() {
    let who = judged(&at_jwt(), &without("scope")).unwrap();
    assert!(who.scopes.unwrap().is_empty());
}

// requirement: 7
#[test]
fn tokens_for_something_else_are_no_access_tokens() {
    let header = |kind: &str| json!({ "alg": "HS256", "typ": kind });
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "JWT"] {
        assert!(judged(&header(kind), &claims()).is_ok(), "{kind}");
    }
    for kind in ["logout+jwt", "dpop+jwt", "application/", "at+jwt "] {
        assert_eq!(judged(&header(kind), &claims()), Err(INVALID), "{kind}");
    }
    assert!(judged(&json!({ "alg": "HS256" }), &claims()).is_ok(), "plain ones need not say it");
    for (name, value) in [
        ("at_hash", json!("x")),
        ("events", json!({})),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("token_use", json!("id")),
        ("token_use", json!(1)),
    ] {
        assert_eq!(judged(&header("JWT"), &with(name, value.clone())), Err(INVALID), "{name}");
        assert!(judged(&header("at+jwt"), &with(name, value)).is_ok(), "{name}");
    }
    assert!(judged(&header("JWT"), &with("token_use", "access".into())).is_ok());
    let strict = IssuerProfile { types: vec![ACCESS.into()], ..profile() };
    let token = sign(&header("JWT"), &claims());
    let IssuerKeys::Fixed(keys) = &strict.keys else { panic!() };
    assert_eq!(strict.verify_unproven(&Presented::read(&token).unwrap(), keys, NOW), Err(INVALID));
}

// requirement: 1, 8
#[test]
fn only_a_token_that_could_be_good_asks_for_a_newer_key() {
    let profile = profile();
    let none = KeySet::default();
    let ask = |header: Value, claims: Value| {
        let token = sign(&header, &claims);
        profile.verify_unproven(&Presented::read(&token).unwrap(), &none, NOW)
    };
    let issued_at = Some(Timestamp::from_secs(999_990));
    assert_eq!(ask(at_jwt(), claims()), Err(Unproven::UnknownKey { issued_at }));
    for claims in [
        with("exp", 999_000.into()),
        with("aud", "other".into()),
        without("sub"),
        with("iss", "https://other.example".into()),
    ] {
        assert_eq!(ask(at_jwt(), claims.clone()), Err(INVALID), "{claims}");
    }
    let other = json!({ "alg": "HS256", "typ": "logout+jwt", "kid": "any" });
    assert_eq!(ask(other, claims()), Err(INVALID));
}

// requirement: 1
#[test]
fn the_algorithm_is_the_keys() {
    let profile = profile();
    let key = jsonwebtoken::DecodingKey::from_secret(SECRET);
    let key = super::super::VerificationKey { kid: "k".into(), algorithm: Algorithm::HS384, key };
    let set = KeySet::of(vec![key]);
    let token = sign(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": "k" }), &claims());
    let found = profile.verify_unproven(&Presented::read(&token).unwrap(), &set, NOW);
    assert_eq!(found, Err(INVALID), "known, but for something else: nobody is asked");
}

// requirement: 6, 7
#[test]
fn what_an_issuer_says_of_a_token_is_judged_like_the_token() {
    let said = |claims: &Value| profile().introspected_unproven(claims.as_object().unwrap(), NOW);
    assert_eq!(said(&claims()).unwrap().subject.as_str(), "corp|auth0|7");
    assert!(said(&without("iss")).is_ok(), "RFC 7662 leaves it out");
    assert!(said(&with("token_type", "bearer".into())).is_ok());
    for claims in [
        without("aud"),
        with("aud", "other".into()),
        with("iss", "https://other.example".into()),
        with("iss", 1.into()),
        with("token_type", "refresh_token".into()),
        with("token_type", "DPoP".into()),
        with("token_use", "refresh_token".into()),
        without("exp"),
        without("sub"),
        with("cnf", json!({ "jkt": "x" })),
    ] {
        assert_eq!(said(&claims), Err(TokenFault::Invalid), "{claims}");
    }
    // What it is bound to comes out, whatever it calls itself (RFC 9449 section 6.2).
    let key = URL_SAFE_NO_PAD.encode([3; 32]);
    for kind in [json!("DPoP"), json!("Bearer"), Value::Null] {
        let mut bound = with("cnf", json!({ "jkt": key }));
        if !kind.is_null() {
            bound["token_type"] = kind;
        }
        let bound = said(&bound).unwrap().bound.unwrap();
        assert_eq!((bound.key, bound.certificate), (Some([3; 32]), None));
    }
    let shown = said(&with("cnf", json!({ "x5t#S256": key }))).unwrap().bound.unwrap();
    assert_eq!((shown.key, shown.certificate), (None, Some([3; 32])));
    let lax = IssuerProfile { needs_audience: false, ..profile() };
    assert!(lax.introspected_unproven(without("aud").as_object().unwrap(), NOW).is_ok());
    assert!(lax.introspected_unproven(with("aud", "x".into()).as_object().unwrap(), NOW).is_err());
}

#[test]
fn only_what_no_key_can_verify_is_asked_about() {
    let of = |keys: IssuerKeys| IssuerProfile { introspected: true, keys, ..profile() };
    let (both, asked) = (of(IssuerKeys::Fetched), of(IssuerKeys::None));
    let own = sign(&at_jwt(), &claims());
    let others = sign(&at_jwt(), &with("iss", "https://other.example".into()));
    for (token, by_both, by_asked) in [
        ("opaque-0123", true, true),
        ("a.b.c", true, true),
        ("eyJhbGciOiJkaXIifQ.a.b.c.d", true, true),
        (own.as_str(), false, true),
        (others.as_str(), false, false),
        ("eyJ.a.b", false, false),
    ] {
        assert_eq!(both.is_asked_about(token), by_both, "{token}");
        assert_eq!(asked.is_asked_about(token), by_asked, "{token}");
    }
    assert!(!profile().is_asked_about("opaque"));
}
