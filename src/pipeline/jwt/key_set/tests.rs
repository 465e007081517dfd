use serde_json::json;

use super::*;

const ALL: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

// RFC 7517 appendix A.1, RFC 8037 appendix A.2.
const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn ec() -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "ec" })
}

fn rsa() -> Value {
    json!({ "kty": "RSA", "n": N, "e": "AQAB", "kid": "rsa" })
}

fn ed() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": ED, "kid": "ed" })
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn read(keys: &[Value]) -> Result<KeySet, KeySetFault> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), &ALL)
}

fn algorithms(keys: &[Value]) -> Vec<Algorithm> {
    read(keys).unwrap().keys().iter().map(|key| key.algorithm).collect()
}

// requirement: 1, 5
#[test]
fn each_key_is_for_one_algorithm() {
    use Algorithm::{ES256, EdDSA, PS256, RS256};
    assert_eq!(algorithms(&[rsa(), ec(), ed()]), [RS256, ES256, EdDSA]);
    assert_eq!(algorithms(&[with(rsa(), "alg", "PS256".into())]), [PS256]);
    let text = json!({ "keys": [rsa()] }).to_string();
    let set = KeySet::read(text.as_bytes(), &[PS256, RS256]).unwrap();
    assert_eq!(set.keys()[0].algorithm, PS256, "the first of its issuer");
    assert_eq!(KeySet::read(text.as_bytes(), &[ES256]).err(), Some(KeySetFault::NoKey));
}

// requirement: 5
#[test]
fn keys_that_may_not_verify_are_passed_over() {
    let cases = [
        with(rsa(), "use", "enc".into()),
        with(rsa(), "use", json!(["sig"])),
        with(rsa(), "key_ops", json!(["sign"])),
        with(rsa(), "key_ops", "verify".into()),
        with(rsa(), "alg", "RS512".into()),
        with(rsa(), "alg", "ES256".into()),
        with(rsa(), "alg", "RSA-OAEP".into()),
        with(rsa(), "alg", Value::Null),
        with(rsa(), "d", "AQAB".into()),
        with(rsa(), "kid", json!(1)),
        with(rsa(), "kid", "k".repeat(257).into()),
        with(rsa(), "e", "AQ".into()),
        with(rsa(), "e", "AQAA".into()),
        with(rsa(), "n", "AQAB".into()),
        with(rsa(), "n", format!("{N}=").into()),
        with(rsa(), "n", Value::Null),
        with(ec(), "crv", "P-384".into()),
        with(ec(), "crv", "secp256k1".into()),
        with(ec(), "alg", "ES384".into()),
        with(ec(), "y", X.into()),
        with(ec(), "x", format!("{X}AA").into()),
        with(ed(), "crv", "X25519".into()),
        with(ed(), "x", "AQAB".into()),
        with(ed(), "kty", "PQC".into()),
        json!({}),
    ];
    for jwk in cases {
        assert_eq!(read(std::slice::from_ref(&jwk)).err(), Some(KeySetFault::NoKey), "{jwk}");
        let other = with(ec(), "kid", "other".into());
        let set = read(&[jwk.clone(), other]).unwrap();
        assert_eq!((set.keys().len(), set.passed_over()), (1, 1), "{jwk}");
    }
    for fine in [
        with(rsa(), "use", "sig".into()),
        with(rsa(), "key_ops", json!(["verify"])),
        with(rsa(), "x5c", json!(["AAAA"])),
        with(rsa(), "x5u", "https://elsewhere.example/".into()),
        json!({ "kty": "RSA", "n": N, "e": "AQAB" }),
    ] {
        assert!(read(std::slice::from_ref(&fine)).is_ok(), "{fine}");
    }
}

// requirement: 5, 8
#[test]
fn a_doubtful_set_is_refused_whole() {
    let secret = json!({ "kty": "oct", "k": "AQAB", "kid": "s" });
    let many = |count: usize| -> Vec<Value> {
        (0..count).map(|n| with(ec(), "kid", n.to_string().into())).collect()
    };
    for (keys, fault) in [
        (vec![rsa(), with(ec(), "kid", "rsa".into())], KeySetFault::TwiceTheSameId),
        (
            vec![rsa(), with(with(ec(), "kid", "rsa".into()), "use", "enc".into())],
            KeySetFault::TwiceTheSameId,
        ),
        (vec![rsa(), secret.clone()], KeySetFault::Symmetric),
        (vec![secret], KeySetFault::Symmetric),
        (many(101), KeySetFault::TooManyKeys),
        (vec![], KeySetFault::NoKey),
        (vec![rsa(), json!("key")], KeySetFault::NoSet),
    ] {
        assert_eq!(read(&keys).err(), Some(fault));
    }
    assert_eq!(read(&many(100)).unwrap().keys().len(), 100);
    for text in ["", "{}", "[]", "<html></html>", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(KeySet::read(text.as_bytes(), &ALL).err(), Some(KeySetFault::NoSet), "{text}");
    }
    let blank = " ".repeat(MAX_SET_BYTES + 1);
    assert_eq!(KeySet::read(blank.as_bytes(), &ALL).err(), Some(KeySetFault::TooLong));
}

#[test]
fn a_set_is_the_same_in_whatever_order_it_comes() {
    let digest = |keys: &[Value]| read(keys).unwrap().digest();
    assert!(digest(&[rsa(), ec()]) == digest(&[with(ec(), "note", 1.into()), rsa()]));
    assert!(digest(&[rsa(), ec()]) != digest(&[rsa()]));
    assert!(digest(&[rsa()]) != digest(&[with(rsa(), "kid", "other".into())]));
    assert!(digest(&[rsa()]) != digest(&[with(rsa(), "alg", "PS256".into())]));
}

// requirement: 5
#[test]
fn a_secret_is_as_long_as_its_hash() {
    assert!(KeySet::of_secret(&[7; 32], Algorithm::HS256).is_ok());
    assert!(KeySet::of_secret(&[7; 31], Algorithm::HS256).is_err());
    assert!(KeySet::of_secret(&[7; 32], Algorithm::HS384).is_err());
    assert!(KeySet::of_secret(&[7; 64], Algorithm::RS256).is_err());
}
