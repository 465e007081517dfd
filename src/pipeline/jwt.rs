//! Access tokens: the profile of a mount, its keys, and the verification rules (RFC 7515, 7519, 8725).

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey};

use super::{carrier::MAX_TOKEN_BYTES, deny::TokenFault};
use crate::model::{MountName, Principal, RealmName, Timestamp};

mod check;
mod claims;
mod confirmation;
pub mod dpop;
mod form;
mod id_token;
mod issuer;
mod json;
mod key_set;
mod mapping;

pub use form::{Form, algorithm_name};
pub use id_token::{Awaited, IdClaims, LogoutClaims, RelyingParty};
pub use issuer::{IssuerKeys, IssuerProfile, Presented, Unproven};
pub use json::object as read_claims;
pub use key_set::{KeySet, KeySetFault, MAX_SET_BYTES};
pub use mapping::{ClaimMap, ClaimPath, Names};

/// The claims of a token: its JSON, strictly read.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// `type` of an agent token.
pub const AGENT: &str = "agent";

/// What our own tokens may be signed with.
const OURS: [Algorithm; 4] =
    [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// One key that verifies tokens of a mount. The algorithm is the key's, never the token's.
#[derive(Clone)]
pub struct VerificationKey {
    /// `kid`; tokens of contracts without `kid` are tried against every key of the set.
    pub kid: Arc<str>,
    /// The only algorithm this key verifies.
    pub algorithm: Algorithm,
    /// Key material.
    pub key: DecodingKey,
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish()
    }
}

/// How the tokens of a mount look, and what verifies them.
#[derive(Clone, Debug)]
pub struct TokenProfile {
    /// Required `iss`.
    pub issuer: Arc<str>,
    /// Required member of `aud`; `None` only where a contract forbids the claim.
    pub audience: Option<Arc<str>>,
    /// Required `type` claim, where the contract has one.
    pub token_type: Option<Arc<str>>,
    /// Whether tokens are of the standard profile (RFC 9068): `typ` is `at+jwt`, and `scope` narrows what roles allow.
    pub standard: bool,
    /// Audience of agent tokens, in contracts that have them; their `type` is [`AGENT`].
    pub agent_audience: Option<Arc<str>>,
    /// The claim that carries organisation or namespace, where the contract has one.
    pub tenant_claim: Option<Arc<str>>,
    /// Newest first; several at once, so that rotation logs nobody out.
    pub keys: Vec<VerificationKey>,
    /// Clock difference allowed on `exp` and `nbf`, at most 60 s.
    pub leeway: Duration,
    /// Mount name, written into the principal.
    pub mount: MountName,
    /// Realm name, written into the principal.
    pub realm: RealmName,
}

impl TokenProfile {
    /// Verifies form, signature and claims of a compact JWS. Says nothing about revocation.
    ///
    /// The order is cheap before dear, and nothing is believed before the signature: form and header, signature, claims.
    ///
    /// A token that is bound to something is refused: its signature alone says nothing of who sends it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenFault> {
        let found = self.verify_unproven(token, now)?;
        if found.bound.is_some() { Err(TokenFault::Invalid) } else { Ok(found) }
    }

    /// The same for who goes on to hold the token against what it is bound to ([`Principal::bound`]).
    pub fn verify_unproven(&self, token: &str, now: Timestamp) -> Result<Principal, TokenFault> {
        let claims = self.verified_claims(token).ok_or(TokenFault::Invalid)?;
        claims::principal(claims, self, now)
    }

    /// The claims of a compact JWS that one of our keys has signed, whatever they say.
    pub fn verified_claims(&self, token: &str) -> Option<Claims> {
        let form = Form::read(token)?;
        if self.has_signed(&form) { form.claims() } else { None }
    }

    /// As [`Self::verify_unproven`], for a token that was taken apart to see whose it is.
    pub fn verify_presented_unproven(
        &self,
        token: Presented<'_>,
        now: Timestamp,
    ) -> Result<Principal, TokenFault> {
        if !self.has_signed(&token.form) {
            return Err(TokenFault::Invalid);
        }
        claims::principal(token.claims, self, now)
    }

    /// Whether a token that none of our keys has signed may be good all the same, should there be a newer key than those in
    /// hand: it names none of these, and all but its signature is as it has to be.
    pub fn may_have_newer_key(&self, token: &str, now: Timestamp) -> bool {
        let Some(form) = Form::read(token) else { return false };
        let named = form.kid().is_some_and(|kid| self.keys.iter().any(|key| *key.kid == *kid));
        // A shared secret is never replaced by a key pair, nor the other way round.
        let hashed = |name: &str| algorithm_name(Algorithm::HS256) == Some(name);
        let own = self.keys.iter().filter_map(|key| algorithm_name(key.algorithm));
        let related = OURS.iter().filter_map(|ours| algorithm_name(*ours)).any(|ours| {
            ours == form.algorithm() && own.clone().any(|own| hashed(own) == hashed(ours))
        });
        let sound = |claims| claims::principal(claims, self, now).is_ok();
        !named && related && form.is_a(self.kind()) && form.claims().is_some_and(sound)
    }

    fn kind(&self) -> &'static str {
        if self.standard { form::ACCESS } else { form::PLAIN }
    }

    fn has_signed(&self, form: &Form<'_>) -> bool {
        // A token of one kind is none of the other, whoever signed it (RFC 8725 section 3.11).
        form.is_a(self.kind())
            && self.keys.iter().any(|key| form.names(key) && form.is_signed_by(key))
    }
}

/// Makes aws-lc-rs the provider of all token cryptography. Called once at start-up; further calls change nothing.
pub fn install_crypto_provider() {
    // An error only says that a provider is set already; this program knows no other.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod tests;
