//! A mount as the pipeline sees it: one wire contract, at its places, with its token profile.

use std::sync::Arc;

use super::{
    carrier::CredentialSizes,
    cors::Cors,
    deny::Face,
    jwt::{IssuerProfile, TokenProfile},
    policy::Policy,
    quota::Limit,
    session_carrier::SessionCarrier,
};
use crate::model::{Digest, KeyId, MountName, Principal, RealmName, api_key::KeyFormat};

/// When `X-RateLimit-*` and the IETF fields are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateHeaders {
    /// `X-RateLimit-Limit/-Remaining/-Reset` on every reply (`true`) or on 429 only.
    pub legacy_always: bool,
    /// `X-RateLimit-Policy: 1000;w=60` beside them.
    pub policy: bool,
    /// `RateLimit` and `RateLimit-Policy` beside them.
    pub ietf: bool,
}

/// One contract in one realm. All its places are one mount to a token; two mounts never share a signing key.
#[derive(Debug)]
pub struct Mount {
    /// Name in the configuration.
    pub name: MountName,
    /// Whose accounts; `None` for the plain mount of routes without a contract (no credential is valid there).
    pub realm: Option<RealmName>,
    /// Label of the contract: `tmws`, or `problem` for plain routes.
    pub dialect: &'static str,
    /// How refusals look.
    pub face: &'static dyn Face,
    /// How its access tokens look and which keys verify them.
    pub tokens: Option<TokenProfile>,
    /// How the access tokens of its standard issuer look, where it has one. Its `iss` is another than that of `tokens`.
    pub issued: Option<TokenProfile>,
    /// Where it tells which tokens its routes take (RFC 9728); a part of every challenge.
    pub resource_metadata: Option<Arc<str>>,
    /// Other issuers whose tokens it takes, each known by its own `iss`.
    pub issuers: Vec<Arc<IssuerProfile>>,
    /// How its API keys look; `None`: the contract has no keys.
    pub api_key_format: Option<KeyFormat>,
    /// Where a session id may sit on protected routes; `None`: it is no credential there.
    pub session_carrier: Option<SessionCarrier>,
    /// Longest credentials that are looked at.
    pub credential_sizes: CredentialSizes,
    /// API keys of the configuration: the digest of the whole text, and the id under which there is evidence.
    pub static_keys: Arc<[(Digest, KeyId)]>,
    /// Names of client certificates, and whom they stand for.
    pub client_certs: Arc<[(Box<str>, Arc<Principal>)]>,
    /// Who may do what where, for routes that name no rule of their own.
    pub policy: Arc<Policy>,
    /// Cross-origin rules.
    pub cors: Cors,
    /// Its general limits, as far as they count anybody: requests that no route of it takes are charged to these.
    pub limits: Vec<Arc<Limit>>,
    /// Those of them that are counted and refuse nothing.
    pub shadow_limits: Vec<Arc<Limit>>,
    /// Rate-limit headers.
    pub rate_headers: RateHeaders,
    /// Whether it shows its two public metric families to everybody.
    pub public_figures: bool,
}

impl Mount {
    /// The profile of all tokens, where there is one only.
    pub fn only_profile(&self) -> Option<&TokenProfile> {
        let only = self.issued.is_none() && self.issuers.is_empty();
        self.tokens.as_ref().filter(|_| only)
    }

    /// The profile of our own tokens with this `iss`: of the contract's login, or of the standard issuer.
    pub fn own_profile(&self, iss: &str) -> Option<&TokenProfile> {
        self.tokens.iter().chain(&self.issued).find(|own| *own.issuer == *iss)
    }

    /// The profile of tokens with this `iss` of somebody else.
    pub fn issuer(&self, iss: &str) -> Option<&Arc<IssuerProfile>> {
        self.issuers.iter().find(|own| *own.issuer == *iss)
    }

    /// The issuer that is to be asked about a token, instead of verifying it here.
    pub fn asked_about(&self, token: &str) -> Option<&Arc<IssuerProfile>> {
        self.issuers.iter().find(|own| own.is_asked_about(token))
    }
}
