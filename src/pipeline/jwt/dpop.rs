//! DPoP proofs (RFC 9449 section 4): a signature with the client's own key over one request and one token.
//!
//! Cheap before dear, as for tokens: form, what it says of request, time, token and key, and the signature last. Whether a
//! proof was used before is for whoever remembers them: see [`Proof::id`].

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{VerificationKey, algorithm_name, json, key_set};
use crate::{
    model::{Digest, Timestamp, confirmation::Thumbprint},
    pipeline::{
        path::CanonicalPath,
        proof::{Nonces, ProofFault},
        view::authority,
    },
};

/// How old a proof may be, and how far a client's clock may be ahead of ours.
pub const MAX_AGE: Duration = Duration::from_secs(60);
/// See [`MAX_AGE`].
pub const MAX_AHEAD: Duration = Duration::from_secs(30);
/// Longest proof; one with an RSA key of 4096 bits has about 2300 bytes.
const MAX_BYTES: usize = 6 * 1024;
/// Longest id of a proof.
const MAX_ID: usize = 256;
/// What may sign proofs. A shared secret proves nothing to anybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];

/// The request that a proof must be for, as its client sees it.
#[derive(Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// Method as sent.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, with its port where it is not the usual one.
    pub authority: &'a str,
    /// The path.
    pub path: &'a CanonicalPath<'a>,
    /// The access token, and the key that it is bound to; `None`: the proof is to get one.
    pub token: Option<(&'a str, &'a Thumbprint)>,
    /// Where it must carry a nonce, who knows them.
    pub nonces: Option<&'a Nonces>,
}

/// A proof that holds, unless it was used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Its `jti`; with the key it is used once.
    pub id: String,
    /// Its key.
    pub key: Thumbprint,
}

/// Reads and verifies a proof.
pub fn verify(
    text: &str,
    request: &ProvenRequest<'_>,
    now: Timestamp,
) -> Result<Proof, ProofFault> {
    let form = Form::read(text).ok_or(ProofFault::Invalid)?;
    let claims = json::object(&form.payload).ok_or(ProofFault::Invalid)?;
    let id = claimed(&claims, "jti").filter(|id| !id.is_empty() && id.len() <= MAX_ID);
    let id = id.ok_or(ProofFault::Invalid)?.to_owned();
    let (method, url) = (claimed(&claims, "htm"), claimed(&claims, "htu"));
    let (Some(method), Some(url)) = (method, url) else { return Err(ProofFault::Invalid) };
    if method != request.method || !is_address(url, request) {
        return Err(ProofFault::Request);
    }
    let issued = claims.get("iat").and_then(seconds).ok_or(ProofFault::Invalid)?;
    if now >= issued + MAX_AGE || now + MAX_AHEAD < issued {
        return Err(ProofFault::Time);
    }
    let own = thumbprint(&form.jwk).ok_or(ProofFault::Invalid)?;
    if let Some((token, key)) = request.token {
        let wanted = URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).as_bytes());
        if claimed(&claims, "ath").ok_or(ProofFault::Invalid)? != wanted {
            return Err(ProofFault::Token);
        }
        if own != *key {
            return Err(ProofFault::Key);
        }
    }
    let key = key_set::client_key(&form.jwk, form.algorithm).ok_or(ProofFault::Invalid)?;
    if !form.is_signed_by(&key) {
        return Err(ProofFault::Invalid);
    }
    // Last, so that a client whose only fault this is learns it.
    if let Some(nonces) = request.nonces
        && !claimed(&claims, "nonce").is_some_and(|nonce| nonces.is_known(nonce, now))
    {
        return Err(ProofFault::Nonce);
    }
    Ok(Proof { id, key: own })
}

fn claimed<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

/// A NumericDate (RFC 7519 section 2); its fraction, if it has one, does not matter here.
fn seconds(value: &Value) -> Option<Timestamp> {
    const LAST: f64 = 253_402_300_799.0;
    let secs = value.as_f64().filter(|secs| (0.0..=LAST).contains(secs))?;
    // In that range every whole number is exact.
    Some(Timestamp::from_secs(secs as i64))
}

/// Whether `htu` names this request. Query and fragment do not matter, nor how the same address is spelt (section 4.3, RFC
/// 3986 sections 6.2.2 and 6.2.3).
fn is_address(url: &str, request: &ProvenRequest<'_>) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let usual = if request.scheme == "https" { 443 } else { 80 };
    let same_host = match (authority(host), authority(request.authority)) {
        (Some((given, port)), Some((own, own_port))) => {
            given == own && port.unwrap_or(usual) == own_port.unwrap_or(usual)
        }
        _ => false,
    };
    let same_path =
        || CanonicalPath::parse(path).is_ok_and(|path| path.as_str() == request.path.as_str());
    scheme.eq_ignore_ascii_case(request.scheme) && same_host && same_path()
}

/// SHA-256 of the members that make a key, in order and without a blank (RFC 7638 section 3).
fn thumbprint(jwk: &Map<String, Value>) -> Option<Thumbprint> {
    let member = |name: &str| {
        let text = jwk.get(name)?.as_str()?;
        // What needs no escape has one spelling only.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        text.bytes().all(plain).then_some(text)
    };
    let line = match member("kty")? {
        "EC" => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            member("crv")?,
            member("x")?,
            member("y")?
        ),
        "OKP" => format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, member("crv")?, member("x")?),
        "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member("e")?, member("n")?),
        _ => return None,
    };
    Some(*Digest::of(line.as_bytes()).as_bytes())
}

/// A compact JWS of the right type, which brings its key along. Nowhere else is such a key looked at.
struct Form<'a> {
    signing_input: &'a str,
    signature: &'a str,
    payload: Vec<u8>,
    algorithm: Algorithm,
    jwk: Map<String, Value>,
}

impl<'a> Form<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        if payload.contains('.') || payload.is_empty() || signature.is_empty() {
            return None;
        }
        URL_SAFE_NO_PAD.decode(signature).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let mut header = json::object(&URL_SAFE_NO_PAD.decode(header).ok()?)?;
        let odd = ["crit", "b64", "jku", "x5u", "x5c", "enc", "zip", "cty"];
        if odd.iter().any(|name| header.contains_key(*name)) || header.get("typ")? != "dpop+jwt" {
            return None;
        }
        let named = header.get("alg")?.as_str()?;
        // RFC 9864 section 2.2: the newer name says the curve as well.
        let usual = if named == "Ed25519" { "EdDSA" } else { named };
        let algorithm =
            ALGORITHMS.into_iter().find(|known| algorithm_name(*known) == Some(usual))?;
        let same = header.get("jwk")?.get("alg") == Some(&Value::from(named));
        let Value::Object(mut jwk) = header.remove("jwk")? else { return None };
        if same {
            jwk.remove("alg");
        }
        Some(Self { signing_input, signature, payload, algorithm, jwk })
    }

    fn is_signed_by(&self, key: &VerificationKey) -> bool {
        let input = self.signing_input.as_bytes();
        jsonwebtoken::crypto::verify(self.signature, input, &key.key, key.algorithm)
            .unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
