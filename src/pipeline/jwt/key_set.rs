//! A JWK set of somebody else (RFC 7517) as keys that may verify: read strictly, bounded, every key for one algorithm only.
//!
//! A key that we cannot use or may not use is passed over (section 5). What makes the whole doubtful refuses the whole: two
//! keys under one id, or a secret among public keys.

use std::{collections::HashSet, sync::Arc};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde_json::{Map, Value};

use super::{VerificationKey, algorithm_name, json};
use crate::model::Digest;

/// Longest set that is read.
pub const MAX_SET_BYTES: usize = 256 * 1024;
/// Most keys of a set, usable or not.
const MAX_KEYS: usize = 100;
/// Longest id of a key.
const MAX_KID_BYTES: usize = 256;
/// First byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;
/// Numbers that only the owner of a key may have (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    passed_over: usize,
}

/// Why a set is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// More bytes than are read.
    #[error("the set is longer than 256 KiB")]
    TooLong,
    /// Another form.
    #[error("it is no JWK set (RFC 7517)")]
    NoSet,
    /// Too many keys.
    #[error("the set has more than 100 keys")]
    TooManyKeys,
    /// Two keys under one name.
    #[error("two keys have one id")]
    TwiceTheSameId,
    /// A shared secret has no place there.
    #[error("a symmetric key stands in the set")]
    Symmetric,
    /// Nothing to verify with.
    #[error("no key of the set can be used: of another kind, for another use or another algorithm")]
    NoKey,
}

impl KeySetFault {
    /// Label for figures and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            KeySetFault::TooLong => "too_long",
            KeySetFault::NoSet => "no_set",
            KeySetFault::TooManyKeys => "too_many_keys",
            KeySetFault::TwiceTheSameId => "duplicate_kid",
            KeySetFault::Symmetric => "symmetric_key",
            KeySetFault::NoKey => "no_key",
        }
    }
}

impl KeySet {
    /// Reads a set. `allowed`: the algorithms of its issuer; a key that names none is for the first that fits its kind.
    pub fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetFault> {
        if text.len() > MAX_SET_BYTES {
            return Err(KeySetFault::TooLong);
        }
        let members = json::object(text).ok_or(KeySetFault::NoSet)?;
        let Some(Value::Array(given)) = members.get("keys") else { return Err(KeySetFault::NoSet) };
        if given.len() > MAX_KEYS {
            return Err(KeySetFault::TooManyKeys);
        }
        let mut ids = HashSet::new();
        let mut keys = Vec::new();
        for jwk in given {
            let Value::Object(jwk) = jwk else { return Err(KeySetFault::NoSet) };
            if jwk.get("kid").is_some_and(|kid| !ids.insert(kid.to_string())) {
                return Err(KeySetFault::TwiceTheSameId);
            }
            if text_of(jwk, "kty") == Some("oct") {
                return Err(KeySetFault::Symmetric);
            }
            keys.extend(key(jwk, allowed));
        }
        if keys.is_empty() {
            return Err(KeySetFault::NoKey);
        }
        let passed_over = given.len() - keys.len();
        Ok(Self { keys, passed_over })
    }

    /// Keys that are known otherwise; the caller has checked them.
    pub fn of(keys: Vec<VerificationKey>) -> Self {
        Self { keys, passed_over: 0 }
    }

    /// A shared secret, which is a set of its own.
    pub fn of_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, &'static str> {
        let key = DecodingKey::from_secret(secret);
        let key = VerificationKey { kid: Arc::default(), algorithm, key };
        key.check().map(|()| Self::of(vec![key]))
    }

    /// The keys.
    pub fn keys(&self) -> &[VerificationKey] {
        &self.keys
    }

    /// How many keys of the set are not used.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// Stands for the keys, in whatever order and words they came.
    pub fn digest(&self) -> Digest {
        let mut lines: Vec<Vec<u8>> = self.keys.iter().map(line).collect();
        lines.sort_unstable();
        Digest::of(&lines.concat())
    }
}

fn line(key: &VerificationKey) -> Vec<u8> {
    let material = match key.key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.clone(),
        DecodingKeyKind::RsaModulusExponent { n, e } => [n.as_slice(), &[0], e].concat(),
    };
    let name = algorithm_name(key.algorithm).unwrap_or_default();
    [key.kid.as_bytes(), &[0], name.as_bytes(), &[0], Digest::of(&material).as_bytes()].concat()
}

/// The key that a client brings along in a proof, for this algorithm only. `None`: it is not public, not sound, or of another
/// kind.
pub(super) fn client_key(
    jwk: &Map<String, Value>,
    algorithm: Algorithm,
) -> Option<VerificationKey> {
    // A shared secret is none either, whatever stands beside it.
    if jwk.contains_key("k") { None } else { key(jwk, &[algorithm]) }
}

/// `None`: not one of ours to use.
fn key(jwk: &Map<String, Value>, allowed: &[Algorithm]) -> Option<VerificationKey> {
    let kid = match jwk.get("kid") {
        None => "",
        Some(kid) => kid.as_str().filter(|kid| kid.len() <= MAX_KID_BYTES)?,
    };
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(uses)) => uses.iter().any(|found| found.as_str() == Some("verify")),
        Some(_) => false,
    };
    let signs = jwk.get("use").is_none_or(|found| found.as_str() == Some("sig"));
    // Whoever publishes these has no secret any more.
    let is_public = !PRIVATE.iter().any(|name| jwk.contains_key(*name));
    if !verifies || !signs || !is_public {
        return None;
    }
    let algorithm = algorithm(jwk, allowed)?;
    let key = match algorithm {
        Algorithm::ES256 => curve_key(jwk, 32, &ECDSA_P256_SHA256_FIXED)?,
        Algorithm::ES384 => curve_key(jwk, 48, &ECDSA_P384_SHA384_FIXED)?,
        Algorithm::EdDSA => {
            let x = bytes_of(jwk, "x")?;
            ParsedPublicKey::new(&ED25519, &x).ok()?;
            DecodingKey::from_ed_der(&x)
        }
        _ => DecodingKey::from_rsa_raw_components(&number(jwk, "n")?, &number(jwk, "e")?),
    };
    let found = VerificationKey { kid: kid.into(), algorithm, key };
    found.check().is_ok().then_some(found)
}

/// The one algorithm of a key: what it says itself, where the issuer may use that, else the first that fits.
fn algorithm(jwk: &Map<String, Value>, allowed: &[Algorithm]) -> Option<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let fitting: &[Algorithm] = match (text_of(jwk, "kty")?, jwk.get("crv")) {
        ("RSA", _) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        ("EC", Some(curve)) if curve == "P-256" => &[ES256],
        ("EC", Some(curve)) if curve == "P-384" => &[ES384],
        ("OKP", Some(curve)) if curve == "Ed25519" => &[EdDSA],
        _ => return None,
    };
    let mut usable = allowed.iter().copied().filter(|found| fitting.contains(found));
    match jwk.get("alg") {
        None => usable.next(),
        Some(named) => usable.find(|found| algorithm_name(*found) == named.as_str()),
    }
}

/// A point, which must lie on its curve.
fn curve_key(
    jwk: &Map<String, Value>,
    length: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Option<DecodingKey> {
    let (x, y) = (bytes_of(jwk, "x")?, bytes_of(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return None;
    }
    let point = [&[UNCOMPRESSED], x.as_slice(), &y].concat();
    ParsedPublicKey::new(algorithm, &point).ok()?;
    Some(DecodingKey::from_ec_der(&point))
}

/// A number without the zeros that some write before it.
fn number(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let bytes = bytes_of(jwk, name)?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bytes_of(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text_of(jwk, name)?).ok()
}

fn text_of<'j>(jwk: &'j Map<String, Value>, name: &str) -> Option<&'j str> {
    jwk.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
