use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::AuthMethod;

mod wycheproof;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn key(kid: &str, secret: &[u8]) -> VerificationKey {
    let key = DecodingKey::from_secret(secret);
    VerificationKey { kid: kid.into(), algorithm: Algorithm::HS256, key }
}

fn profile() -> TokenProfile {
    TokenProfile {
        issuer: "tmws-auth-service".into(),
        audience: Some("tmws-api".into()),
        token_type: None,
        standard: false,
        agent_audience: None,
        tenant_claim: Some("agent_namespace".into()),
        keys: vec![key("new", SECRET)],
        leeway: Duration::ZERO,
        mount: "api".into(),
        realm: "main".into(),
    }
}

fn claims() -> Value {
    json!({
        "iss": "tmws-auth-service", "aud": "tmws-api", "sub": "0190aaaa-0000-7000-8000-000000000001",
        "username": "ada", "email": "ada@example.org", "roles": ["USER"], "agent_namespace": "lab",
        "iat": 999_000, "exp": 1_000_010, "jti": "0123456789abcdef", "sid": "session-1",
    })
}

/// The claims with one member replaced, or removed where `value` is `Value::Null` under the name `-name`.
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

fn sign_raw(header: &str, payload: &str, secret: &[u8]) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", part(header), part(payload));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{input}.{signature}")
}

fn sign(header: Value, claims: &Value) -> String {
    sign_raw(&header.to_string(), &claims.to_string(), SECRET)
}

fn plain(claims: &Value) -> String {
    sign(json!({"alg": "HS256", "typ": "JWT"}), claims)
}

fn fault(token: &str) -> Option<TokenFault> {
    profile().verify(token, NOW).err()
}

#[test]
fn a_good_token_names_its_caller() {
    let who = profile().verify(&plain(&claims()), NOW).unwrap();
    assert_eq!(who.subject.as_str(), "0190aaaa-0000-7000-8000-000000000001");
    assert_eq!(
        (who.username.as_deref(), who.email.as_deref()),
        (Some("ada"), Some("ada@example.org"))
    );
    assert_eq!((who.tenant.as_deref(), who.roles), (Some("lab"), vec!["USER".into()]));
    assert_eq!((who.mount.as_str(), who.realm.as_str()), ("api", "main"));
    assert_eq!(who.method, crate::model::AuthMethod::Jwt);
    assert_eq!((who.scopes, who.key), (None, None));
    assert_eq!(who.token.unwrap().as_str(), "0123456789abcdef");
    assert_eq!(who.session.unwrap().as_str(), "session-1");
    assert_eq!(who.expires_at, Some(Timestamp::from_secs(1_000_010)));
}

// requirement: 1, 2, 3, 4
#[test]
fn headers_that_mean_anything_else_are_refused() {
    for (header, good) in [
        (json!({"alg": "HS256"}), true),
        (json!({"alg": "HS256", "typ": "jwt"}), true),
        (json!({"alg": "HS256", "kid": "new"}), true),
        (json!({"alg": "HS256", "unknown": [1]}), true),
        (json!({}), false),
        (json!({"alg": "none"}), false),
        (json!({"alg": "None"}), false),
        (json!({"alg": "hs256"}), false),
        (json!({"alg": "HS384"}), false),
        (json!({"alg": "RS256"}), false),
        (json!({"alg": ["HS256"]}), false),
        (json!({"alg": null}), false),
        (json!({"alg": "HS256", "typ": "at+jwt"}), false),
        (json!({"alg": "HS256", "typ": "JWE"}), false),
        (json!({"alg": "HS256", "typ": 1}), false),
        (json!({"alg": "HS256", "cty": "JWT"}), false),
        (json!({"alg": "HS256", "crit": ["exp"], "exp": 1}), false),
        (json!({"alg": "HS256", "crit": []}), false),
        (json!({"alg": "HS256", "b64": false}), false),
        (json!({"alg": "HS256", "b64": true}), false),
        (json!({"alg": "HS256", "jku": "http://127.0.0.1/x"}), false),
        (json!({"alg": "HS256", "x5u": "http://127.0.0.1/x"}), false),
        (json!({"alg": "HS256", "x5c": ["AA"]}), false),
        (json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}), false),
        (json!({"alg": "HS256", "kid": "unknown"}), false),
        (json!({"alg": "HS256", "kid": 7}), false),
        (json!({"alg": "HS256", "kid": null}), false),
        (json!({"alg": "HS256", "kid": "n".repeat(257)}), false),
        (json!({"alg": "HS256", "kid": "../../dev/null"}), false),
    ] {
        let wanted = if good { None } else { Some(TokenFault::Invalid) };
        assert_eq!(fault(&sign(header.clone(), &claims())), wanted, "{header}");
    }
    let twice = sign_raw(r#"{"alg":"HS256","alg":"HS256"}"#, &claims().to_string(), SECRET);
    assert_eq!(fault(&twice), Some(TokenFault::Invalid));
}

// requirement: 6
#[test]
fn claims_of_the_wrong_kind_are_refused_and_never_taken_as_absent() {
    let refused = [
        without("exp"),
        with("exp", json!("1000010")),
        with("exp", json!(1_000_010.5)),
        with("exp", json!(1e6)),
        with("exp", json!(-1)),
        with("exp", json!(null)),
        with("exp", json!(u64::MAX)),
        with("exp", json!(253_402_300_800u64)),
        with("nbf", json!("999000")),
        with("nbf", json!(null)),
        with("nbf", json!(1_000_001)),
        with("iat", json!("x")),
        with("iat", json!(-5)),
        without("iss"),
        with("iss", json!("tmws-auth-service2")),
        with("iss", json!(["tmws-auth-service"])),
        without("aud"),
        with("aud", json!("other")),
        with("aud", json!([])),
        with("aud", json!(["other"])),
        with("aud", json!(["tmws-api", 7])),
        with("aud", json!(7)),
        with("aud", json!(null)),
        without("sub"),
        with("sub", json!("")),
        with("sub", json!(7)),
        with("sub", json!("a b")),
        with("sub", json!("a\r\nb")),
        without("jti"),
        with("jti", json!("short")),
        with("jti", json!(1_234_567_890_123_456_u64)),
        with("sid", json!(7)),
        with("sid", json!("")),
        with("username", json!(7)),
        with("email", json!([])),
        with("roles", json!("ADMIN")),
        with("roles", json!(["USER", 7])),
        with("agent_namespace", json!({})),
        with("cnf", json!({"jkt": "x"})),
        with("cnf", json!(null)),
    ];
    for claims in refused {
        assert_eq!(fault(&plain(&claims)), Some(TokenFault::Invalid), "{claims}");
    }
}

#[test]
fn optional_claims_may_be_absent_or_written_otherwise() {
    for claims in [
        with("aud", json!(["other", "tmws-api"])),
        with("nbf", json!(1_000_000)),
        with("username", json!(null)),
        without("username"),
        without("roles"),
        without("sid"),
        without("iat"),
        with("scope", json!("READ")),
    ] {
        assert_eq!(fault(&plain(&claims)), None, "{claims}");
    }
}

// requirement: 12
#[test]
fn expiry_is_told_only_of_a_genuine_token_that_is_right_in_all_else() {
    let late = with("exp", json!(1_000_000));
    assert_eq!(fault(&plain(&late)), Some(TokenFault::Expired));
    let forged = sign_raw(r#"{"alg":"HS256"}"#, &late.to_string(), OTHER);
    assert_eq!(fault(&forged), Some(TokenFault::Invalid));
    let mut foreign = late;
    foreign["aud"] = json!("other");
    assert_eq!(fault(&plain(&foreign)), Some(TokenFault::Invalid));
}

// requirement: 6
#[test]
fn leeway_moves_both_ends() {
    let lenient = TokenProfile { leeway: Duration::from_secs(5), ..profile() };
    let verify = |claims: Value| lenient.verify(&plain(&claims), NOW).err();
    assert_eq!(verify(with("exp", json!(999_996))), None);
    assert_eq!(verify(with("exp", json!(999_995))), Some(TokenFault::Expired));
    assert_eq!(verify(with("nbf", json!(1_000_005))), None);
    assert_eq!(verify(with("nbf", json!(1_000_006))), Some(TokenFault::Invalid));
    // A date of issue in the future is a clock a little ahead, or a lie.
    assert_eq!(verify(with("iat", json!(1_000_060))), None);
    assert_eq!(verify(with("iat", json!(1_000_061))), Some(TokenFault::Invalid));
}

// requirement: 7
#[test]
fn a_token_of_another_kind_is_refused_where_the_contract_has_kinds() {
    let typed = TokenProfile { token_type: Some("access".into()), ..profile() };
    let verify = |claims: Value| typed.verify(&plain(&claims), NOW).err();
    assert_eq!(verify(with("type", json!("access"))), None);
    assert_eq!(verify(with("type", json!("refresh"))), Some(TokenFault::Invalid));
    assert_eq!(verify(claims()), Some(TokenFault::Invalid));
}

#[test]
fn agent_tokens_are_a_kind_of_their_own() {
    let profile = |token_type: Option<&str>| TokenProfile {
        token_type: token_type.map(Into::into),
        agent_audience: Some("agents".into()),
        ..profile()
    };
    let agent = |change: &[(&str, Value)]| {
        let mut claims = claims();
        claims["type"] = json!("agent");
        claims["aud"] = json!("agents");
        claims["agent_type"] = json!("code_implementer");
        claims["capabilities"] = json!(["file:read"]);
        for (name, value) in change {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
                value => claims[*name] = value.clone(),
            }
        }
        plain(&claims)
    };
    for kinds in [None, Some("access")] {
        let found = profile(kinds).verify(&agent(&[]), NOW).unwrap();
        assert_eq!(found.method, AuthMethod::Agent);
        let facts = found.agent.unwrap();
        assert_eq!(&*facts.kind, "code_implementer");
        assert!(facts.may("file:read") && !facts.may("file:write"));
        for odd in [
            &[("aud", json!("tmws-api"))][..],
            &[("type", json!("access"))],
            &[("type", json!("refresh"))],
            &[("agent_type", Value::Null)],
            &[("agent_type", json!(7))],
            &[("capabilities", Value::Null)],
            &[("capabilities", json!("file:read"))],
            &[("capabilities", json!([7]))],
            &[("iss", json!("other"))],
        ] {
            let found = profile(kinds).verify(&agent(odd), NOW);
            assert!(found.is_err(), "{kinds:?} {odd:?}");
        }
    }
    // Where there are no agents their tokens are nothing at all.
    assert!(self::profile().verify(&agent(&[]), NOW).is_err());
}

#[test]
fn every_key_of_the_set_verifies_without_kid_and_only_the_named_one_with_it() {
    let rotated = TokenProfile { keys: vec![key("new", OTHER), key("old", SECRET)], ..profile() };
    let verify = |header: Value| rotated.verify(&sign(header, &claims()), NOW).is_ok();
    assert!(verify(json!({"alg": "HS256"})));
    assert!(verify(json!({"alg": "HS256", "kid": "old"})));
    assert!(!verify(json!({"alg": "HS256", "kid": "new"})));
    let none = TokenProfile { keys: Vec::new(), ..profile() };
    assert!(none.verify(&plain(&claims()), NOW).is_err());
}

#[test]
fn only_a_newer_key_could_make_a_token_good_that_is_right_in_all_but_its_signature() {
    let may = |token: &str| profile().may_have_newer_key(token, NOW);
    let by =
        |header: Value, claims: &Value| sign_raw(&header.to_string(), &claims.to_string(), OTHER);
    assert!(may(&by(json!({"alg": "HS256"}), &claims())));
    assert!(may(&by(json!({"alg": "HS256", "kid": "newer"}), &claims())));
    // A key in hand is named, a key pair instead of a secret, no algorithm at all, another kind of token.
    for header in [
        json!({"alg": "HS256", "kid": "new"}),
        json!({"alg": "RS256"}),
        json!({"alg": "none"}),
        json!({"alg": "HS512"}),
        json!({"alg": "HS256", "typ": "at+jwt"}),
    ] {
        assert!(!may(&by(header.clone(), &claims())), "{header}");
    }
    for wrong in [
        with("iss", json!("another")),
        with("aud", json!("another")),
        with("exp", json!(1_000_000)),
        without("sub"),
    ] {
        assert!(!may(&by(json!({"alg": "HS256"}), &wrong)), "{wrong}");
    }
    assert!(!may("e30.e30.AA") && !may(""));
}

#[test]
fn forms_that_are_not_a_compact_jws_are_refused() {
    let good = plain(&claims());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let huge = plain(&with("x", json!("x".repeat(9000))));
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        input.to_owned(),
        format!("{input}."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}={}.{signature}", payload),
        format!("{}.{payload}.{signature}", header.replace('e', "%65")),
        format!("{{\"payload\":\"{payload}\",\"signature\":\"{signature}\"}}"),
        format!("a.b.c.d.{signature}"),
        huge,
    ] {
        assert_eq!(fault(&token), Some(TokenFault::Invalid), "{token:.60}");
    }
}

#[test]
fn a_signature_with_loose_trailing_bits_is_refused() {
    let good = plain(&claims());
    let last = good.chars().next_back().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut accepted = 0;
    for char in alphabet.chars() {
        let changed = format!("{}{char}", &good[..good.len() - 1]);
        let verified = fault(&changed).is_none();
        assert_eq!(verified, char == last, "{char}");
        accepted += usize::from(verified);
    }
    assert_eq!(accepted, 1);
}

#[test]
fn nested_and_repeated_members_are_refused_under_a_good_signature() {
    let text = claims().to_string();
    let twice = text.replacen('{', r#"{"roles":["ADMIN"],"#, 1);
    assert_eq!(fault(&sign_raw(r#"{"alg":"HS256"}"#, &twice, SECRET)), Some(TokenFault::Invalid));
    let deep = text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(17), "]".repeat(17)), 1);
    assert_eq!(fault(&sign_raw(r#"{"alg":"HS256"}"#, &deep, SECRET)), Some(TokenFault::Invalid));
    let list = sign_raw(r#"{"alg":"HS256"}"#, "[]", SECRET);
    assert_eq!(fault(&list), Some(TokenFault::Invalid));
}

#[test]
fn asymmetric_keys_verify_their_own_algorithm_only() {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    };
    install_crypto_provider();
    install_crypto_provider();
    let random = aws_lc_rs::rand::SystemRandom::new();
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let ed_public = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap().public_key().as_ref().to_vec();
    let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let ec = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
    let ec_public =
        EcdsaKeyPair::from_pkcs8(curve, ec.as_ref()).unwrap().public_key().as_ref().to_vec();
    let cases = [
        (
            Algorithm::EdDSA,
            EncodingKey::from_ed_der(ed.as_ref()),
            DecodingKey::from_ed_der(&ed_public),
        ),
        (
            Algorithm::ES256,
            EncodingKey::from_ec_der(ec.as_ref()),
            DecodingKey::from_ec_der(&ec_public),
        ),
    ];
    for (algorithm, signer, verifier) in cases {
        let header = jsonwebtoken::Header::new(algorithm);
        let token = jsonwebtoken::encode(&header, &claims(), &signer).unwrap();
        let own = VerificationKey { kid: "a".into(), algorithm, key: verifier };
        let asymmetric = TokenProfile { keys: vec![own], ..profile() };
        assert!(asymmetric.verify(&token, NOW).is_ok(), "{algorithm:?}");
        // The public key as an HMAC secret: the classic confusion.
        for public in [&ed_public, &ec_public] {
            let forged = sign_raw(r#"{"alg":"HS256"}"#, &claims().to_string(), public);
            assert!(asymmetric.verify(&forged, NOW).is_err(), "{algorithm:?}");
        }
        assert!(profile().verify(&token, NOW).is_err(), "{algorithm:?}");
    }
}

#[test]
fn unsafe_profiles_are_told_at_load() {
    let with_keys = |keys: Vec<VerificationKey>| TokenProfile { keys, ..profile() }.check();
    let of = |algorithm, key| VerificationKey { kid: "x".into(), algorithm, key };
    let secret = || DecodingKey::from_secret(SECRET);
    let point = || DecodingKey::from_ed_der(&[7; 32]);
    assert_eq!(profile().check(), Ok(()));
    assert_eq!(with_keys(Vec::new()), Ok(()));
    assert_eq!(with_keys(vec![of(Algorithm::EdDSA, point())]), Ok(()));
    for keys in [
        vec![key("a", SECRET), key("a", OTHER)],
        vec![key("a", &SECRET[..31])],
        vec![of(Algorithm::HS512, secret())],
        vec![of(Algorithm::RS256, secret())],
        vec![of(Algorithm::HS256, point())],
        vec![key("a", SECRET), of(Algorithm::EdDSA, point())],
        vec![of(Algorithm::RS256, DecodingKey::from_rsa_raw_components(&[1; 128], &[1, 0, 1]))],
        vec![of(Algorithm::RS256, DecodingKey::from_rsa_der(&[1; 140]))],
    ] {
        assert!(with_keys(keys.clone()).is_err(), "{keys:?}");
    }
    assert!(TokenProfile { leeway: Duration::from_secs(61), ..profile() }.check().is_err());
}

#[test]
fn keys_and_tokens_do_not_show_themselves() {
    let shown = format!("{:?}", profile());
    assert!(!shown.contains("0123456789abcdef0123"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_token_with_any_changed_byte_is_refused(at in any::<proptest::sample::Index>(), byte in 0x20u8..0x7f) {
        let good = plain(&claims());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(fault(&changed).is_none(), changed == good);
    }

    #[test]
    fn any_text_is_read_without_panic(token in "[-a-zA-Z0-9_.]{0,200}|.{0,60}") {
        prop_assert!(fault(&token).is_some());
    }
}
