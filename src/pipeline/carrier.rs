//! Where a credential may sit, and taking it out unproven.

use http::HeaderValue;
use memchr::memchr;

use super::{
    deny::{Deny, KeyFault, TokenFault},
    mount::Mount,
    scan,
};
use crate::model::{
    ClientCertificate, Digest,
    api_key::{self, MAX_KEY_BYTES, PresentedKey},
};

/// Longest bearer token looked at (security requirements, section 3).
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Longest credentials that are looked at; the configuration can only make them shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialSizes {
    /// Bytes of a bearer token.
    pub bearer_token: usize,
    /// Bytes of an API key.
    pub api_key: usize,
}

impl Default for CredentialSizes {
    fn default() -> Self {
        Self { bearer_token: MAX_TOKEN_BYTES, api_key: MAX_KEY_BYTES }
    }
}

/// Under which scheme a token was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750).
    Bearer,
    /// `DPoP`, with a proof beside it (RFC 9449 section 7.1).
    Dpop,
}

/// A credential as found: syntactically one of ours, proven in nothing.
#[derive(Clone)]
pub enum Credential<'a> {
    /// The text behind the scheme of `Authorization`.
    Jwt(&'a str, Scheme),
    /// A well-formed `X-API-Key` whose checksum fits.
    ApiKey(PresentedKey),
    /// The digest of a well-formed session id.
    Session(Digest),
    /// A certificate, whose chain and key the handshake has proven.
    Certificate(&'a ClientCertificate),
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::Jwt(_, scheme) => write!(f, "Jwt(…, {scheme:?})"),
            Credential::ApiKey(key) => f.debug_tuple("ApiKey").field(&key.id).finish(),
            Credential::Session(_) => f.write_str("Session(…)"),
            Credential::Certificate(_) => f.write_str("Certificate(…)"),
        }
    }
}

/// Reads `Authorization: Bearer <token>` (RFC 6750 section 2.1), or `DPoP` in its place. The scheme's case does not matter (RFC 9110, 11.1).
pub fn bearer(value: &HeaderValue, longest: usize) -> Result<Credential<'_>, Deny> {
    const INVALID: Deny = Deny::Token(TokenFault::Invalid);
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| INVALID)?;
    let (scheme, token) = memchr(b' ', text.as_bytes())
        .and_then(|blank| text.split_at_checked(blank))
        .ok_or(INVALID)?;
    let token = token.trim_matches(' ');
    let fits = |byte: u8| {
        // Comparisons without branches, for `scan`: `-`, `.` and `/` are neighbours.
        byte.is_ascii_alphanumeric()
            | (b'-'..=b'/').contains(&byte)
            | (byte == b'_')
            | (byte == b'~')
            | (byte == b'+')
            | (byte == b'=')
    };
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Dpop
    } else {
        return Err(Deny::Token(TokenFault::Scheme));
    };
    let wrong = token.is_empty() || token.len() > longest || !scan::all(token.as_bytes(), fits);
    if wrong { Err(INVALID) } else { Ok(Credential::Jwt(token, scheme)) }
}

/// Reads `X-API-Key`. A wrong checksum is told here, so that a made-up key costs no look-up.
pub fn api_key(value: &HeaderValue, mount: &Mount) -> Result<Credential<'static>, Deny> {
    const MALFORMED: Deny = Deny::Key(KeyFault::Malformed);
    if value.len() > mount.credential_sizes.api_key {
        return Err(MALFORMED);
    }
    let text = value.to_str().map_err(|_| MALFORMED)?;
    let issued = || api_key::parse(mount.api_key_format.as_ref()?, text);
    // First, because the operator may have chosen a text that looks like an issued key.
    of_configuration(text, mount).or_else(issued).map(Credential::ApiKey).ok_or(MALFORMED)
}

/// A key of the configuration has no form: its whole text is the secret, and every digest is compared in constant time.
fn of_configuration(text: &str, mount: &Mount) -> Option<PresentedKey> {
    if mount.static_keys.is_empty() {
        return None;
    }
    let digest = Digest::of(text.as_bytes());
    let mut found = None;
    for (own, id) in mount.static_keys.iter() {
        if *own == digest {
            found = Some(id);
        }
    }
    found.map(|id| PresentedKey { id: id.clone(), digest })
}
