//! An issuer's key in a test: signs tokens, and shows its public half as a JWK.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// One key with its algorithm.
pub struct Signer {
    pub kid: String,
    pub algorithm: &'static str,
    key: Key,
}

enum Key {
    Rsa(KeyPair),
    Curve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Secret(Vec<u8>),
}

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// `RS256` to `RS512`, `PS256` to `PS512`.
    pub fn rsa(kid: &str, algorithm: &'static str) -> Self {
        let key = Key::Rsa(KeyPair::generate(KeySize::Rsa2048).expect("a key"));
        Signer { kid: kid.into(), algorithm, key }
    }

    /// `ES256` or `ES384`.
    pub fn curve(kid: &str, algorithm: &'static str) -> Self {
        let rule = match algorithm {
            "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
        };
        let key = Key::Curve(EcdsaKeyPair::generate(rule).expect("a key"));
        Signer { kid: kid.into(), algorithm, key }
    }

    pub fn ed25519(kid: &str) -> Self {
        let key = Key::Edwards(Ed25519KeyPair::generate().expect("a key"));
        Signer { kid: kid.into(), algorithm: "EdDSA", key }
    }

    pub fn secret(kid: &str, secret: &str) -> Self {
        Self::hashed(kid, "HS256", secret)
    }

    /// `HS256` to `HS512`.
    pub fn hashed(kid: &str, algorithm: &'static str, secret: &str) -> Self {
        Signer { kid: kid.into(), algorithm, key: Key::Secret(secret.as_bytes().to_vec()) }
    }

    /// The same key under another name and algorithm.
    pub fn called(self, kid: &str, algorithm: &'static str) -> Self {
        Signer { kid: kid.into(), algorithm, ..self }
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let n: &[u8] = public.modulus().big_endian_without_leading_zero();
                let e: &[u8] = public.exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "n": coded(n), "e": coded(e) })
            }
            Key::Curve(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 48 { "P-384" } else { "P-256" };
                json!({ "kty": "EC", "crv": curve, "x": coded(x), "y": coded(y) })
            }
            Key::Edwards(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": coded(key.public_key()) })
            }
            Key::Secret(secret) => json!({ "kty": "oct", "k": coded(secret) }),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with a header of the usual form.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({ "alg": self.algorithm, "kid": self.kid, "typ": "at+jwt" }), claims)
    }

    /// A token with any header.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", coded(header.to_string()), coded(claims.to_string()));
        let bytes = input.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Rsa(key) => {
                let rule: &dyn aws_lc_rs::signature::RsaEncoding = match self.algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(rule, &random, bytes, &mut out).expect("a signature");
                out
            }
            Key::Curve(key) => key.sign(&random, bytes).expect("a signature").as_ref().to_vec(),
            Key::Edwards(key) => key.sign(bytes).as_ref().to_vec(),
            Key::Secret(secret) => {
                let hash = match self.algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(hash, secret);
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
        };
        format!("{input}.{}", coded(signature))
    }
}

/// A set of these keys.
pub fn jwks(signers: &[&Signer]) -> Value {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() })
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Claims of somebody for an audience, good for ten minutes.
pub fn claims(issuer: &str, audience: &str, subject: &str) -> Value {
    json!({
        "iss": issuer, "aud": audience, "sub": subject, "iat": now(), "exp": now() + 600,
        "jti": format!("jti-of-{subject}"), "scope": "READ WRITE", "client_id": "app",
    })
}
