//! The outer form of a token: three parts of strict base64url (no padding, no loose trailing bits) and a header we
//! understand wholly (RFC 7515).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{MAX_TOKEN_BYTES, VerificationKey, json};

/// Longest `kid`; it is a map key and nothing else.
const MAX_KID_BYTES: usize = 256;

/// `typ` of a token that is no more than that.
pub(super) const PLAIN: &str = "JWT";
/// `typ` of an access token that can be nothing else (RFC 9068 section 2.1).
pub(super) const ACCESS: &str = "at+jwt";
/// What may stand before a `typ`.
const FAMILY: &str = "application/";

/// A compact JWS whose form is right. Its signature was not looked at: nothing in it is to be believed.
#[derive(Clone, Debug)]
pub struct Form<'a> {
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
    algorithm: String,
    kid: Option<String>,
    kind: Option<String>,
}

impl<'a> Form<'a> {
    /// Takes a token apart; `None` for anything but a compact JWS with a header of ours.
    pub fn read(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signing_input, signature) = token.rsplit_once('.')?;
        let (header, payload) = signing_input.split_once('.')?;
        if payload.contains('.') || payload.is_empty() || signature.is_empty() {
            return None;
        }
        // The signature is decoded again where it is verified; here only its form is checked, before any other work.
        URL_SAFE_NO_PAD.decode(signature).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let header = json::object(&URL_SAFE_NO_PAD.decode(header).ok()?)?;
        let Some(Value::String(algorithm)) = header.get("alg") else { return None };
        // Every one of these would change what the token means or whose key is used.
        let odd = ["crit", "b64", "jku", "x5u", "x5c", "jwk", "enc", "zip", "cty"];
        if odd.iter().any(|name| header.contains_key(*name)) {
            return None;
        }
        let kind = match header.get("typ") {
            None => None,
            Some(Value::String(kind)) => Some(kind.clone()),
            Some(_) => return None,
        };
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => Some(kid.clone()),
            Some(_) => return None,
        };
        Some(Self { signing_input, payload, signature, algorithm: algorithm.clone(), kid, kind })
    }

    /// Whether `typ` says this, in any case and with or without `application/` (RFC 7515 section 4.1.9). A plain `JWT`
    /// need not be said (RFC 7519 section 5.1).
    pub(super) fn is_a(&self, wanted: &str) -> bool {
        let Some(kind) = &self.kind else { return wanted.eq_ignore_ascii_case(PLAIN) };
        let family = kind.get(..FAMILY.len()).filter(|start| start.eq_ignore_ascii_case(FAMILY));
        let kind = family.and_then(|found| kind.get(found.len()..)).unwrap_or(kind);
        kind.eq_ignore_ascii_case(wanted)
    }

    /// The algorithm that it says it was signed with; that of its key, once a key has verified it.
    pub(super) fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The id of the key it names.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether this key may be tried: the algorithm is the key's, and `kid`, where sent, is the key's.
    pub(super) fn names(&self, key: &VerificationKey) -> bool {
        self.is_by(key) && self.kid.as_deref().is_none_or(|kid| kid == &*key.kid)
    }

    /// The same for keys of others, of which some have no id: such a one may be tried whatever the token names.
    pub(super) fn may_name(&self, key: &VerificationKey) -> bool {
        self.names(key) || (key.kid.is_empty() && self.is_by(key))
    }

    fn is_by(&self, key: &VerificationKey) -> bool {
        algorithm_name(key.algorithm) == Some(self.algorithm.as_str())
    }

    /// Whether the signature is this key's.
    pub(super) fn is_signed_by(&self, key: &VerificationKey) -> bool {
        let input = self.signing_input.as_bytes();
        jsonwebtoken::crypto::verify(self.signature, input, &key.key, key.algorithm)
            .unwrap_or(false)
    }

    /// The claims as a strict JSON object; to be asked for after the signature only.
    pub fn claims(&self) -> Option<Map<String, Value>> {
        json::object(&self.payload)
    }
}

/// The `alg` spelling of an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1); `None` for one we do not know,
/// which then verifies nothing.
pub fn algorithm_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::HS256 => Some("HS256"),
        Algorithm::HS384 => Some("HS384"),
        Algorithm::HS512 => Some("HS512"),
        Algorithm::RS256 => Some("RS256"),
        Algorithm::RS384 => Some("RS384"),
        Algorithm::RS512 => Some("RS512"),
        Algorithm::PS256 => Some("PS256"),
        Algorithm::PS384 => Some("PS384"),
        Algorithm::PS512 => Some("PS512"),
        Algorithm::ES256 => Some("ES256"),
        Algorithm::ES384 => Some("ES384"),
        Algorithm::EdDSA => Some("EdDSA"),
        _ => None,
    }
}
