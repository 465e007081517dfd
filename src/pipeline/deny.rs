//! Every reason to refuse, as one enum that knows nothing about JSON, and the pure face a contract gives it.

use std::{borrow::Cow, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{
    proof::ProofFault,
    quota::{AUTH_FAILURES, Toll},
};

mod lack;
mod reasons;

pub use lack::Lack;

/// The dependency that is not there where more passwords are to be hashed than may wait.
pub const HASHING: &str = "hashing";

/// How a request ended, as far as the gateway decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Passed on to the upstream.
    Permitted,
    /// The caller's doing: 4xx.
    Refused,
    /// Ours or a dependency's: 5xx. Never a pass, never a 401.
    Undetermined,
}

impl Outcome {
    /// Label spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Permitted => "permitted",
            Outcome::Refused => "refused",
            Outcome::Undetermined => "undetermined",
        }
    }
}

/// What is wrong with a request before any route is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The path has NUL, control or non-ASCII bytes, a backslash or `#`.
    PathByte,
    /// A dot segment, plain or encoded.
    PathDots,
    /// `%` without two hexadecimal digits, an encoded control byte, or bytes that are not UTF-8.
    PathEncoding,
    /// `%25` followed by two hexadecimal digits.
    PathDoubleEncoding,
    /// Encoded slash, `;` or an empty inner segment on a route that does not opt in.
    PathNotAllowedHere,
    /// Forward-auth: a spelling of the path that is not the one it is judged by.
    PathSpelling,
    /// The request target is not a path (`*`, authority form), or its query has bytes that may not stand in one.
    Target,
    /// No host, more than one, or one that is not a host.
    Host,
    /// A header that may stand once stands several times, or its bytes are not text.
    Header,
    /// `Connection` names a header that is not the client's to remove.
    Connection,
    /// Message framing that two parsers could read differently.
    Framing,
    /// The request line is longer than the listener takes.
    LineTooLong,
    /// A field, all fields together, their number or the cookies are more than the listener takes.
    HeadTooLarge,
    /// Forward-auth: the question does not tell exactly one request.
    Question,
    /// Forward-auth: a field that is stripped from every request, and that the asking proxy would pass on.
    Reserved,
    /// Forward-auth: an upgrade that the asking proxy would pass on, and the route takes none.
    Upgrade,
}

/// Why a bearer token was refused. Only `Expired` differs from outside, and only after the signature verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// Not a token of ours at all: form, header, signature, claims.
    Invalid,
    /// Another scheme than `Bearer`, or than `DPoP` where that is taken.
    Scheme,
    /// Genuine, but past its `exp`.
    Expired,
    /// Genuine, but logged out, or its session or account ended.
    Revoked,
    /// Its issuer says that it is none, or none any more.
    Inactive,
    /// Good in itself, but not with what it was shown with.
    Proof(ProofFault),
}

/// Why an API key was refused. All look the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyFault {
    /// Wrong form or checksum.
    Malformed,
    /// No such id at this mount, or the secret does not match.
    Unknown,
    /// Past its expiry.
    Expired,
    /// Revoked, or its owner is disabled.
    Revoked,
}

/// Why a session was refused. All look the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionFault {
    /// Not a session of this mount, or sent in two ways.
    Invalid,
    /// Past its end.
    Expired,
    /// Logged out, terminated, or its account is disabled.
    Ended,
}

/// Why the certificate of a client was refused. Both look the same from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateFault {
    /// The mount does not know it under any of its names.
    Unknown,
    /// Past its end, on a connection that was made before.
    Expired,
}

/// What failed behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamFault {
    /// No healthy backend, or none that accepts a connection.
    Unreachable,
    /// A deadline passed (connect, first byte, between bytes).
    Timeout,
    /// It answered something that is not HTTP, or broke off before its header was complete.
    Broken,
}

/// Every reason to refuse a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Deny {
    /// 400: cannot be read in exactly one way. 414 and 431: more than is read at all.
    Malformed(Malformed),
    /// 404: no route. Never forwarded.
    NoRoute,
    /// 421: the host is not the one that the TLS connection was opened to, and has other rules.
    Misdirected,
    /// 405: a route for this path, but not for this method. `allow` is the `Allow` header's value.
    MethodNotAllowed {
        /// Methods that exist here, comma separated.
        allow: String,
    },
    /// 401: a credential is needed and none was sent.
    MissingCredential,
    /// 401: bearer token.
    Token(TokenFault),
    /// 401: API key.
    Key(KeyFault),
    /// 401: session.
    Session(SessionFault),
    /// 401: certificate of the client.
    Certificate(CertificateFault),
    /// 403: the key may not be used from this address.
    AddressNotAllowed,
    /// 403: scopes or roles do not reach. `action` is what was asked for (`create`, …).
    Forbidden {
        /// The action of the policy table.
        action: Cow<'static, str>,
        /// Which rule refused, and what would have satisfied it; for logs, never for clients.
        lack: Option<Box<Lack>>,
    },
    /// 403: forward-auth, and the gateway itself answers such a request: nobody may forward it.
    AnsweredHere,
    /// 413: the body is larger than the route takes.
    BodyTooLarge,
    /// 429.
    RateLimited(Toll),
    /// 503: a dependency of the decision could not be asked.
    Unavailable {
        /// Which one, for the log: `store`, `identity`, `issuer`, `limiter`, `upstream` (it is full), `descriptors`,
        /// [`HASHING`].
        dependency: &'static str,
    },
    /// 502, 503 or 504: permitted, but the upstream could not serve it.
    Upstream(UpstreamFault),
    /// 500: our own fault.
    Internal,
}

impl Deny {
    /// The status code, the same in every contract unless its [`Face`] says otherwise.
    pub fn status(&self) -> StatusCode {
        match self {
            Deny::Malformed(Malformed::LineTooLong) => StatusCode::URI_TOO_LONG,
            Deny::Malformed(Malformed::HeadTooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Deny::Malformed(_) => StatusCode::BAD_REQUEST,
            Deny::NoRoute => StatusCode::NOT_FOUND,
            Deny::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Deny::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Deny::MissingCredential
            | Deny::Token(_)
            | Deny::Key(_)
            | Deny::Session(_)
            | Deny::Certificate(_) => StatusCode::UNAUTHORIZED,
            Deny::AddressNotAllowed | Deny::Forbidden { .. } | Deny::AnsweredHere => {
                StatusCode::FORBIDDEN
            }
            Deny::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Deny::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Deny::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Deny::Upstream(UpstreamFault::Timeout) => StatusCode::GATEWAY_TIMEOUT,
            Deny::Upstream(_) => StatusCode::BAD_GATEWAY,
            Deny::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Refused or undetermined.
    pub fn outcome(&self) -> Outcome {
        if self.status().is_server_error() { Outcome::Undetermined } else { Outcome::Refused }
    }

    /// Stable code for logs and metrics, from a closed set. Never shown to clients.
    pub fn reason(&self) -> &'static str {
        match self {
            Deny::Malformed(Malformed::PathByte) => "path_byte",
            Deny::Malformed(Malformed::PathDots) => "path_dots",
            Deny::Malformed(Malformed::PathEncoding) => "path_encoding",
            Deny::Malformed(Malformed::PathDoubleEncoding) => "path_double_encoding",
            Deny::Malformed(Malformed::PathNotAllowedHere) => "path_not_allowed_here",
            Deny::Malformed(Malformed::PathSpelling) => "path_spelling",
            Deny::Malformed(Malformed::Target) => "request_target",
            Deny::Malformed(Malformed::Host) => "host",
            Deny::Malformed(Malformed::Header) => "header",
            Deny::Malformed(Malformed::Connection) => "connection_header",
            Deny::Malformed(Malformed::Framing) => "framing",
            Deny::Malformed(Malformed::LineTooLong) => "request_line_too_long",
            Deny::Malformed(Malformed::HeadTooLarge) => "head_too_large",
            Deny::Malformed(Malformed::Question) => "forward_auth_question",
            Deny::Malformed(Malformed::Reserved) => "reserved_header",
            Deny::Malformed(Malformed::Upgrade) => "upgrade_not_taken",
            Deny::NoRoute => "no_route",
            Deny::Misdirected => "misdirected",
            Deny::MethodNotAllowed { .. } => "method_not_allowed",
            Deny::MissingCredential => "credential_missing",
            Deny::Token(TokenFault::Invalid) => "token_invalid",
            Deny::Token(TokenFault::Scheme) => "token_scheme",
            Deny::Token(TokenFault::Expired) => "token_expired",
            Deny::Token(TokenFault::Revoked) => "token_revoked",
            Deny::Token(TokenFault::Inactive) => "token_inactive",
            Deny::Token(TokenFault::Proof(ProofFault::Unbound)) => "proof_unbound",
            Deny::Token(TokenFault::Proof(ProofFault::Unverified)) => "proof_unverified",
            Deny::Token(TokenFault::Proof(ProofFault::Missing)) => "proof_missing",
            Deny::Token(TokenFault::Proof(ProofFault::Invalid)) => "proof_invalid",
            Deny::Token(TokenFault::Proof(ProofFault::Request)) => "proof_request",
            Deny::Token(TokenFault::Proof(ProofFault::Time)) => "proof_time",
            Deny::Token(TokenFault::Proof(ProofFault::Token)) => "proof_token",
            Deny::Token(TokenFault::Proof(ProofFault::Key)) => "proof_key",
            Deny::Token(TokenFault::Proof(ProofFault::Nonce)) => "proof_nonce",
            Deny::Token(TokenFault::Proof(ProofFault::Replayed)) => "proof_replayed",
            Deny::Token(TokenFault::Proof(ProofFault::Certificate)) => "proof_certificate",
            Deny::Key(KeyFault::Malformed) => "key_malformed",
            Deny::Key(KeyFault::Unknown) => "key_unknown",
            Deny::Key(KeyFault::Expired) => "key_expired",
            Deny::Key(KeyFault::Revoked) => "key_revoked",
            Deny::Session(SessionFault::Invalid) => "session_invalid",
            Deny::Session(SessionFault::Expired) => "session_expired",
            Deny::Session(SessionFault::Ended) => "session_ended",
            Deny::Certificate(CertificateFault::Unknown) => "certificate_unknown",
            Deny::Certificate(CertificateFault::Expired) => "certificate_expired",
            Deny::AddressNotAllowed => "address_not_allowed",
            Deny::Forbidden { .. } => "insufficient_scope",
            Deny::AnsweredHere => "answered_here",
            Deny::BodyTooLarge => "body_too_large",
            Deny::RateLimited(toll) if *toll.name == *AUTH_FAILURES => "auth_failures",
            Deny::RateLimited(_) => "rate_limited",
            Deny::Unavailable { dependency: HASHING } => "hash_pool_full",
            Deny::Unavailable { .. } => "dependency_unavailable",
            Deny::Upstream(UpstreamFault::Unreachable) => "upstream_unreachable",
            Deny::Upstream(UpstreamFault::Timeout) => "upstream_timeout",
            Deny::Upstream(UpstreamFault::Broken) => "upstream_broken",
            Deny::Internal => "internal",
        }
    }

    /// When to come back, for 429 and 503; whole seconds, at least 1, are what goes on the wire.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Deny::RateLimited(toll) => Some(toll.retry_after.unwrap_or(Duration::from_secs(1))),
            Deny::Unavailable { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The `WWW-Authenticate` value of RFC 6750 section 3, for the statuses that need one.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Deny::MissingCredential => Some("Bearer"),
            Deny::Token(TokenFault::Proof(fault)) => Some(fault.challenge()),
            Deny::Token(_) => Some("Bearer error=\"invalid_token\""),
            Deny::Forbidden { .. } => Some("Bearer error=\"insufficient_scope\""),
            _ => None,
        }
    }

    /// The header fields every contract sends with a refusal: `Content-Type`, `Cache-Control`, and by its kind
    /// `Retry-After`, `WWW-Authenticate` and `Allow`. For faces; a face whose contract differs edits the list.
    pub fn headers(&self, content_type: &'static str) -> Vec<(HeaderName, HeaderValue)> {
        let mut out = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        if let Some(secs) = self.retry_after_secs() {
            out.push((header::RETRY_AFTER, secs.into()));
        }
        if let Some(challenge) = self.challenge() {
            out.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        if let Deny::MethodNotAllowed { allow } = self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            out.push((header::ALLOW, allow));
        }
        out
    }

    /// [`Self::retry_after`] in whole seconds, rounded up, at least 1: the number for headers and bodies.
    pub fn retry_after_secs(&self) -> Option<u64> {
        let wait = self.retry_after()?;
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

/// What a face may tell the client beside the refusal itself.
#[derive(Clone, Copy, Debug)]
pub struct ReplyFacts<'a> {
    /// `req_…`.
    pub request_id: &'a str,
    /// The canonical path, without its query.
    pub path: &'a str,
    /// The request's method, as text.
    pub method: &'a str,
}

/// A complete local answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Header fields beside `Content-Length`, `Date` and those the edge owns (request id, rate limits).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; always a JSON object with its `Content-Type` in `headers`.
    pub body: bytes::Bytes,
}

/// The pure face of a wire contract: how its refusals look. Implemented by `dialects`, held by a [`super::Mount`].
pub trait Face: Send + Sync + std::fmt::Debug {
    /// Renders a refusal in this contract's error shape. Must not say which check failed beyond what the contract fixes.
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply;
}
