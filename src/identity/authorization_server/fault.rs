//! What the standard issuer answers instead of a token, in the words of RFC 6749 section 5.2.

use http::StatusCode;

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantFault {
    /// A parameter is missing, stands twice or makes no sense; the sentence names it.
    Request(&'static str),
    /// The client is unknown, disabled, expired, or has not proven that it is the one.
    Client,
    /// Code, refresh token or subject token is not good, or not this client's.
    Grant,
    /// The client may not ask for this kind of grant.
    NotAllowed,
    /// There is no such kind of grant here.
    Unknown,
    /// More than client, account or subject token have.
    Scope,
    /// A resource that client or subject token are not for (RFC 8707).
    Target,
    /// The proof beside the request is none (RFC 9449 section 5).
    Proof,
    /// It lacks the nonce that is asked for (RFC 9449 section 8).
    Nonce,
}

impl GrantFault {
    /// One of each.
    pub(in crate::identity) fn every() -> [Self; 9] {
        [
            Self::Request(""),
            Self::Client,
            Self::Grant,
            Self::NotAllowed,
            Self::Unknown,
            Self::Scope,
            Self::Target,
            Self::Proof,
            Self::Nonce,
        ]
    }

    /// `error` on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Client => "invalid_client",
            Self::Grant => "invalid_grant",
            Self::NotAllowed => "unauthorized_client",
            Self::Unknown => "unsupported_grant_type",
            Self::Scope => "invalid_scope",
            Self::Target => "invalid_target",
            Self::Proof => "invalid_dpop_proof",
            Self::Nonce => "use_dpop_nonce",
        }
    }

    /// `error_description` on the wire. It says what to change, never which check failed.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Request(what) => what,
            Self::Client => "Client authentication failed",
            Self::Grant => "The grant is not valid, or not any more",
            Self::NotAllowed => "The client may not use this grant",
            Self::Unknown => "This grant type is not supported",
            Self::Scope => "The scope is not within what may be granted",
            Self::Target => "The resource is not one that may be asked for",
            Self::Proof => "The DPoP proof is not valid for this request",
            Self::Nonce => "The DPoP proof must carry the nonce of DPoP-Nonce",
        }
    }

    /// The status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Client => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Stable reason code for logs and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Request(_) => "oauth_request_invalid",
            Self::Client => "client_invalid",
            Self::Grant => "grant_invalid",
            Self::NotAllowed => "grant_not_allowed",
            Self::Unknown => "grant_type_unsupported",
            Self::Scope => "scope_invalid",
            Self::Target => "target_invalid",
            Self::Proof => "client_proof_invalid",
            Self::Nonce => "client_proof_nonce",
        }
    }

    /// What it means, and what the operator can do about it.
    pub const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::Request(_) => (
                "Standard issuer: a parameter is missing, stands twice or makes no sense.",
                "The answer's `error_description` names it.",
            ),
            Self::Client => (
                "Standard issuer: the client is unknown, disabled or expired, or its secret or signed proof is wrong.",
                "`client list` shows its state; `client rotate-secret` gives it another secret.",
            ),
            Self::Grant => (
                "Standard issuer: a code, refresh token or subject token is wrong, used, ended, or another client's.",
                "The client begins anew. Again and again: a copy is about.",
            ),
            Self::NotAllowed => (
                "Standard issuer: the client may not use this grant.",
                "Make the client with `--grant`, if it should.",
            ),
            Self::Unknown => (
                "Standard issuer: there is no such grant type.",
                "The client asks for another one.",
            ),
            Self::Scope => (
                "Standard issuer: more scopes than client, account or subject token have.",
                "The client asks for less, or is made with more `--scope`.",
            ),
            Self::Target => (
                "Standard issuer: a resource that client or subject token are not for.",
                "Make the client with `--resource`, if it should.",
            ),
            Self::Proof => (
                "Standard issuer: the `DPoP` proof of a client that asks for a token is none, is for another request or time, or was used before.",
                "Look at the client's library and clock. Behind a proxy: does it hand the public scheme and host on, and is it listed in `[trust] proxies`?",
            ),
            Self::Nonce => (
                "Standard issuer: proofs must carry a nonce (`proof_nonce` of the mount), and this one has none, or one that is too old.",
                "None: the client tries again with the nonce of `DPoP-Nonce`.",
            ),
        }
    }
}
