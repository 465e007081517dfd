use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::json;

use super::*;

/// The proof of RFC 9449 section 7.1, figure 13, with the token and the key of its other figures.
const RFC_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0\
    VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6\
    IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0\
    ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqz\
    hrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const RFC_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const RFC_THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const RFC_TIME: Timestamp = Timestamp::from_secs(1_562_262_618);

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const TOKEN: &str = "a.token.of-ours";

fn print(text: &str) -> Thumbprint {
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

/// A client with a key of its own.
struct Client {
    pair: EcdsaKeyPair,
}

impl Client {
    fn new() -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        json!({ "kty": "EC", "crv": "P-256", "x": part(1), "y": part(33) })
    }

    fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() })
    }

    fn signed(&self, header: &str, payload: &str) -> String {
        let text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A good proof, changed.
    fn proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let (mut header, mut claims) = (self.header(), claims());
        change(&mut header, &mut claims);
        self.signed(&header.to_string(), &claims.to_string())
    }

    fn judge(&self, proof: &str) -> Result<Proof, ProofFault> {
        let key = thumbprint(self.jwk().as_object().unwrap()).unwrap();
        let path = CanonicalPath::parse("/a/b").unwrap();
        let request = ProvenRequest {
            method: "GET",
            scheme: "https",
            authority: "api.example.org",
            path: &path,
            token: Some((TOKEN, &key)),
            nonces: None,
        };
        verify(proof, &request, NOW)
    }
}

fn claims() -> Value {
    json!({
        "jti": "an-id", "htm": "GET", "htu": "https://api.example.org/a/b", "iat": NOW.secs(),
        "ath": URL_SAFE_NO_PAD.encode(Digest::of(TOKEN.as_bytes()).as_bytes()),
    })
}

#[test]
fn the_example_of_rfc_9449_holds_for_its_request_and_for_no_other() {
    let path = CanonicalPath::parse("/protectedresource").unwrap();
    let key = print(RFC_THUMBPRINT);
    let good = ProvenRequest {
        method: "GET",
        scheme: "https",
        authority: "resource.example.org",
        path: &path,
        token: Some((RFC_TOKEN, &key)),
        nonces: None,
    };
    assert_eq!(
        verify(RFC_PROOF, &good, RFC_TIME),
        Ok(Proof { id: "e1j3V_bKic8-LAEB".into(), key })
    );
    let other_path = CanonicalPath::parse("/protectedresourc").unwrap();
    for (request, fault) in [
        (ProvenRequest { method: "POST", ..good }, ProofFault::Request),
        (ProvenRequest { scheme: "http", ..good }, ProofFault::Request),
        (ProvenRequest { authority: "resource.example.org:8443", ..good }, ProofFault::Request),
        (ProvenRequest { authority: "other.example.org", ..good }, ProofFault::Request),
        (ProvenRequest { path: &other_path, ..good }, ProofFault::Request),
        (ProvenRequest { token: Some(("other", &key)), ..good }, ProofFault::Token),
        (ProvenRequest { token: Some((RFC_TOKEN, &[0; 32])), ..good }, ProofFault::Key),
    ] {
        assert_eq!(verify(RFC_PROOF, &request, RFC_TIME), Err(fault));
    }
    let later = |secs| verify(RFC_PROOF, &good, RFC_TIME + Duration::from_secs(secs));
    assert!(later(59).is_ok());
    assert_eq!(later(60), Err(ProofFault::Time));
    let earlier = |secs| verify(RFC_PROOF, &good, RFC_TIME - Duration::from_secs(secs));
    assert!(earlier(30).is_ok());
    assert_eq!(earlier(31), Err(ProofFault::Time));
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    // RFC 7638 section 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
        tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
        SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let rsa = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    let of = |jwk: &Value| thumbprint(jwk.as_object().unwrap());
    assert_eq!(of(&rsa), Some(print("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")));
    // RFC 8037 appendix A.3.
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(of(&okp), Some(print("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")));
    for odd in
        [json!({ "kty": "oct", "k": "AAAA" }), json!({ "kty": "EC", "crv": "P-256", "x": "a" })]
    {
        assert_eq!(of(&odd), None);
    }
    let quoted = json!({ "kty": "OKP", "crv": "Ed25519\",\"x\":\"y", "x": "z" });
    assert_eq!(of(&quoted), None, "what would need an escape");
}

#[test]
fn each_claim_must_be_there_and_right() {
    let client = Client::new();
    assert!(client.judge(&client.proof(|_, _| {})).is_ok());
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let proof = client.proof(|_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(client.judge(&proof), Err(ProofFault::Invalid), "without {name}");
        let proof = client.proof(|_, claims| claims[name] = json!([1]));
        assert_eq!(client.judge(&proof), Err(ProofFault::Invalid), "{name} of another type");
    }
    use ProofFault::{Invalid, Request, Time, Token};
    for (name, value, wanted) in [
        ("jti", json!(""), Some(Invalid)),
        ("jti", json!("x".repeat(257)), Some(Invalid)),
        ("htm", json!("get"), Some(Request)),
        ("htu", json!("https://api.example.org/a/b?x=1#y"), None),
        ("htu", json!("HTTPS://API.example.org:443/a/%62"), None),
        ("htu", json!("https://api.example.org./a/b"), None),
        ("htu", json!("https://api.example.org/a/b/"), Some(Request)),
        ("htu", json!("https://api.example.org/a/../a/b"), Some(Request)),
        ("htu", json!("https://u@api.example.org/a/b"), Some(Request)),
        ("htu", json!("https:api.example.org/a/b"), Some(Request)),
        ("htu", json!("https://api.example.org:444/a/b"), Some(Request)),
        ("htu", json!("/a/b"), Some(Request)),
        ("htu", json!(""), Some(Request)),
        ("iat", json!(NOW.secs() - 60), Some(Time)),
        ("iat", json!(NOW.secs() + 31), Some(Time)),
        ("iat", json!(NOW.secs() as f64 - 0.5), None),
        ("iat", json!(-1), Some(Invalid)),
        ("iat", json!(1e300), Some(Invalid)),
        ("iat", json!(NOW.secs().to_string()), Some(Invalid)),
        ("ath", json!(""), Some(Token)),
        ("nonce", json!("unasked"), None),
    ] {
        let proof = client.proof(|_, claims| claims[name] = value.clone());
        assert_eq!(client.judge(&proof).err(), wanted, "{name}: {value}");
    }
}

#[test]
fn each_part_of_the_header_must_be_right() {
    let client = Client::new();
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!(null)),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", json!("es256")),
        ("jwk", json!(null)),
        ("jwk", json!("key")),
        ("crit", json!(["x"])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example.org")),
        ("x5u", json!("https://evil.example.org")),
        ("x5c", json!([])),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let proof = client.proof(|header, _| header[name] = value.clone());
        assert_eq!(client.judge(&proof), Err(ProofFault::Invalid), "{name}: {value}");
    }
    for name in ["typ", "alg", "jwk"] {
        let proof = client.proof(|header, _| {
            header.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(client.judge(&proof), Err(ProofFault::Invalid), "without {name}");
    }
    // Its owner has no secret any more.
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let proof = client.proof(|header, _| header["jwk"][name] = json!("AAAA"));
        assert_eq!(client.judge(&proof), Err(ProofFault::Invalid), "private {name}");
    }
    let proof = client.proof(|header, _| header["kid"] = json!("whatever"));
    assert!(client.judge(&proof).is_ok(), "a name does no harm");
}

#[test]
fn another_key_another_signature_or_another_form_is_none() {
    let (client, other) = (Client::new(), Client::new());
    assert_eq!(client.judge(&other.proof(|_, _| {})), Err(ProofFault::Key));
    // The right key in the header, the signature of another.
    let forged = other.signed(&client.header().to_string(), &claims().to_string());
    assert_eq!(client.judge(&forged), Err(ProofFault::Invalid));
    let good = client.proof(|_, _| {});
    let parts: Vec<&str> = good.split('.').collect();
    for text in [
        String::new(),
        "a.b.c".into(),
        format!("{good}="),
        format!("{good}.x"),
        format!(" {good}"),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{good}{}", "A".repeat(MAX_BYTES)),
    ] {
        assert_eq!(client.judge(&text), Err(ProofFault::Invalid), "{text}");
    }
    let header = client.header().to_string();
    let twice = claims().to_string().replacen('{', r#"{"htm":"POST","#, 1);
    assert_eq!(client.judge(&client.signed(&header, &twice)), Err(ProofFault::Invalid));
    let twice = header.replacen('{', r#"{"alg":"none","#, 1);
    let proof = client.signed(&twice, &claims().to_string());
    assert_eq!(client.judge(&proof), Err(ProofFault::Invalid));
}

#[test]
fn keys_of_other_kinds_prove_as_well() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk }).to_string();
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    let proof = format!("{text}.{}", URL_SAFE_NO_PAD.encode(pair.sign(text.as_bytes()).as_ref()));
    let path = CanonicalPath::parse("/a/b").unwrap();
    let key = thumbprint(jwk.as_object().unwrap()).unwrap();
    let request = ProvenRequest {
        method: "GET",
        scheme: "https",
        authority: "api.example.org:443",
        path: &path,
        token: Some((TOKEN, &key)),
        nonces: None,
    };
    assert!(verify(&proof, &request, NOW).is_ok());
}

#[test]
fn a_nonce_is_asked_for_where_it_is_wanted_and_must_be_ours() {
    let client = Client::new();
    let key = thumbprint(client.jwk().as_object().unwrap()).unwrap();
    let path = CanonicalPath::parse("/a/b").unwrap();
    let nonces = Nonces::new(&[7; 32]);
    let request = ProvenRequest {
        method: "GET",
        scheme: "https",
        authority: "api.example.org",
        path: &path,
        token: Some((TOKEN, &key)),
        nonces: Some(&nonces),
    };
    let with = |nonce: Value| client.proof(|_, claims| claims["nonce"] = nonce);
    assert!(verify(&with(nonces.now(NOW).into()), &request, NOW).is_ok());
    let old = nonces.now(NOW - Duration::from_secs(600));
    let theirs = Nonces::new(&[8; 32]).now(NOW);
    for nonce in [json!(old), json!(theirs), json!(""), json!(1), json!(null)] {
        assert_eq!(verify(&with(nonce), &request, NOW), Err(ProofFault::Nonce));
    }
    assert_eq!(verify(&client.proof(|_, _| {}), &request, NOW), Err(ProofFault::Nonce));
    // Only who has the key learns that nothing else is amiss.
    let forged = Client::new().signed(&client.header().to_string(), &claims().to_string());
    assert_eq!(verify(&forged, &request, NOW), Err(ProofFault::Invalid));
}

#[test]
fn the_proof_for_a_token_that_is_yet_to_be_made_names_no_token() {
    let client = Client::new();
    let key = thumbprint(client.jwk().as_object().unwrap()).unwrap();
    let path = CanonicalPath::parse("/a/b").unwrap();
    let request = ProvenRequest {
        method: "GET",
        scheme: "https",
        authority: "api.example.org",
        path: &path,
        token: None,
        nonces: None,
    };
    let proof = client.proof(|_, claims| {
        claims.as_object_mut().unwrap().remove("ath");
    });
    assert_eq!(verify(&proof, &request, NOW), Ok(Proof { id: "an-id".into(), key }));
}
