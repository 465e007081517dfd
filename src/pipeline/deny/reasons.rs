//! Every reason in words, for the reference of reason codes. Nothing here is ever shown to a client.

use std::time::Duration;

use super::{
    CertificateFault, Deny, HASHING, KeyFault, Malformed, SessionFault, TokenFault, UpstreamFault,
};
use crate::pipeline::{
    proof::ProofFault,
    quota::{AUTH_FAILURES, Toll, Window},
};

impl Deny {
    /// One of every reason there is. `tests/docs.rs` holds it against [`Deny::reason`].
    pub fn every() -> Vec<Deny> {
        let malformed = [
            Malformed::PathByte,
            Malformed::PathDots,
            Malformed::PathEncoding,
            Malformed::PathDoubleEncoding,
            Malformed::PathNotAllowedHere,
            Malformed::PathSpelling,
            Malformed::Target,
            Malformed::Host,
            Malformed::Header,
            Malformed::Connection,
            Malformed::Framing,
            Malformed::LineTooLong,
            Malformed::HeadTooLarge,
            Malformed::Question,
            Malformed::Reserved,
            Malformed::Upgrade,
        ];
        let token = [
            TokenFault::Invalid,
            TokenFault::Scheme,
            TokenFault::Expired,
            TokenFault::Revoked,
            TokenFault::Inactive,
        ];
        let key = [KeyFault::Malformed, KeyFault::Unknown, KeyFault::Expired, KeyFault::Revoked];
        let session = [SessionFault::Invalid, SessionFault::Expired, SessionFault::Ended];
        let upstream = [UpstreamFault::Unreachable, UpstreamFault::Timeout, UpstreamFault::Broken];
        let mut all: Vec<Deny> = malformed.map(Deny::Malformed).into();
        all.push(Deny::NoRoute);
        all.push(Deny::Misdirected);
        all.push(Deny::MethodNotAllowed { allow: String::new() });
        all.push(Deny::MissingCredential);
        all.extend(token.map(Deny::Token));
        all.extend(ProofFault::ALL.map(|fault| Deny::Token(TokenFault::Proof(fault))));
        all.extend(key.map(Deny::Key));
        all.extend(session.map(Deny::Session));
        all.extend([CertificateFault::Unknown, CertificateFault::Expired].map(Deny::Certificate));
        all.push(Deny::AddressNotAllowed);
        all.push(Deny::forbidden("read"));
        all.push(Deny::AnsweredHere);
        all.push(Deny::BodyTooLarge);
        all.extend(["limit", AUTH_FAILURES].map(|name| {
            Deny::RateLimited(Toll {
                name: name.into(),
                window: Window { limit: 1, per: Duration::from_secs(1) },
                remaining: 0,
                reset_after: Duration::from_secs(1),
                retry_after: Some(Duration::from_secs(1)),
            })
        }));
        all.extend(["store", HASHING].map(|dependency| Deny::Unavailable { dependency }));
        all.extend(upstream.map(Deny::Upstream));
        all.push(Deny::Internal);
        all
    }

    /// What it means, and what the operator can do about it.
    pub fn explained(&self) -> (&'static str, &'static str) {
        match self {
            Deny::Malformed(fault) => fault.explained(),
            Deny::NoRoute => (
                "No route matches host, path and listener. Nothing was forwarded.",
                "If it should exist, add a `[[route]]`; else nothing.",
            ),
            Deny::Misdirected => (
                "The host is not the one the TLS connection was opened to, and other routes hold for it.",
                "Clients then open a connection of their own. If both are one service, give them one place.",
            ),
            Deny::MethodNotAllowed { .. } => (
                "The path has routes, but none for this method. `TRACE` and `CONNECT` never have one.",
                "Look at `methods` of the route.",
            ),
            Deny::MissingCredential => (
                "The route needs a credential of a kind it lists, and none was sent.",
                "The client must send one. Look at `authn` of the route if it did.",
            ),
            Deny::Token(fault) => fault.explained(),
            Deny::Key(fault) => fault.explained(),
            Deny::Session(fault) => fault.explained(),
            Deny::Certificate(fault) => fault.explained(),
            Deny::AddressNotAllowed => (
                "The key is good, but not from this address.",
                "Compare `client` of the access line with the key's address list. Behind a proxy: `[trust] proxies`.",
            ),
            Deny::Forbidden { .. } => (
                "The caller is proven, but its roles or scopes do not reach.",
                "Give the account the role, or the key the scope; or change `authz` or the policy.",
            ),
            Deny::AnsweredHere => (
                "Forward-auth: a request that the gateway answers itself (a login, a preflight). Another proxy may not forward it.",
                "Let that proxy send such requests to the gateway's own listener: forward-auth.md.",
            ),
            Deny::BodyTooLarge => (
                "The body is larger than the route takes.",
                "Raise `body_limit` of the route, if such bodies are meant to pass.",
            ),
            Deny::RateLimited(toll) if is_failures(toll) => (
                "The address sent too many credentials that are none. What is known as good still passes.",
                "Somebody is guessing, or a program keeps sending a wrong credential: look at `client`. `[limiter] failures_per_address`.",
            ),
            Deny::RateLimited(_) => (
                "A limit is used up: of the route, of the key, or of failed logins.",
                "Wait `Retry-After` seconds. The headers of the reply say which window it was.",
            ),
            Deny::Unavailable { dependency: HASHING } => (
                "More logins at once than may wait for a place to hash.",
                "Try again; raise `[hashing] permits` if there are cores to spare.",
            ),
            Deny::Unavailable { .. } => (
                "A dependency of the decision (store, limiter) could not be asked in time.",
                "Look for `store_error` and `key_lookup_failed` in the log: disk full? slow disk?",
            ),
            Deny::Upstream(fault) => fault.explained(),
            Deny::Internal => (
                "A fault of the gateway itself.",
                "The log has the cause beside the request id. Please report it.",
            ),
        }
    }
}

fn is_failures(toll: &Toll) -> bool {
    *toll.name == *AUTH_FAILURES
}

impl Malformed {
    const fn explained(self) -> (&'static str, &'static str) {
        const CLIENT: &str =
            "The client must send it correctly. Many of these: somebody is probing.";
        match self {
            Malformed::PathByte => (
                "The path has a control or non-ASCII byte, a backslash, or the target has a `#`.",
                CLIENT,
            ),
            Malformed::PathDots => ("The path has a dot segment, plain or encoded.", CLIENT),
            Malformed::PathEncoding => (
                "The path has a `%` without two hexadecimal digits, an encoded control byte, or bytes that are not UTF-8.",
                CLIENT,
            ),
            Malformed::PathDoubleEncoding => {
                ("The path is encoded twice (`%25` and two hexadecimal digits).", CLIENT)
            }
            Malformed::PathNotAllowedHere => (
                "The path has an encoded slash, a `;` or an empty segment, and the route does not take that.",
                "If the upstream means them literally, name the form in `allow` of the route.",
            ),
            Malformed::PathSpelling => (
                "Forward-auth: the path is not spelt as it is judged, and the asking proxy would forward it as it is.",
                "The client must spell it canonically: escapes in upper case, and only where they are needed.",
            ),
            Malformed::Target => (
                "The request target is not a path, or its query has a byte that may not stand there.",
                CLIENT,
            ),
            Malformed::Host => ("There is no host, more than one, or one that is none.", CLIENT),
            Malformed::Header => {
                ("A header that may stand once stands twice, or is not text.", CLIENT)
            }
            Malformed::Connection => {
                ("`Connection` names a header that is not the client's to remove.", CLIENT)
            }
            Malformed::Framing => (
                "The head or the length of the body could be read in two ways.",
                "A client never sends this by accident; a proxy in front may be broken.",
            ),
            Malformed::LineTooLong => (
                "The request line is longer than `[server.limits] request_line`.",
                "Put what is so long into a body; or raise the limit, up to what the upstream takes.",
            ),
            Malformed::HeadTooLarge => (
                "A field, all fields, their number or the cookies are more than `[server.limits]` allows.",
                "Too many cookies? Else somebody is probing.",
            ),
            Malformed::Question => (
                "Forward-auth: method, path, host, scheme or address of the request is missing, doubled or none.",
                "Compare the proxy's configuration with forward-auth.md, and `style` with the proxy.",
            ),
            Malformed::Reserved => (
                "Forward-auth: a header that the gateway would strip, and the asking proxy would pass on.",
                "Let the proxy remove it before it asks: forward-auth.md. Many of these: somebody is probing.",
            ),
            Malformed::Upgrade => (
                "Forward-auth: a WebSocket or another upgrade that the asking proxy would pass on.",
                "`streaming = true` on the route, if it is meant to take one.",
            ),
        }
    }
}

impl TokenFault {
    const fn explained(self) -> (&'static str, &'static str) {
        match self {
            TokenFault::Invalid => (
                "Not a token of this mount: form, signature, issuer, audience or claims.",
                "Did the client log in at another mount? Was the signing secret changed?",
            ),
            TokenFault::Scheme => (
                "`Authorization` has another scheme than `Bearer`.",
                "The client sends `Authorization: Bearer` and its token.",
            ),
            TokenFault::Expired => ("Genuine, but past its end.", "The client refreshes it."),
            TokenFault::Revoked => (
                "Genuine, but logged out, or its session or account ended.",
                "The client logs in again.",
            ),
            TokenFault::Inactive => (
                "The issuer of an opaque token says that it is not active: made up, ended, or revoked there.",
                "The client gets a new one from its provider.",
            ),
            TokenFault::Proof(fault) => fault.explained(),
        }
    }
}

impl KeyFault {
    const fn explained(self) -> (&'static str, &'static str) {
        match self {
            KeyFault::Malformed => (
                "Not a key of this mount by its form or checksum. No look-up was made.",
                "A slip in copying it, or a key of another mount.",
            ),
            KeyFault::Unknown => (
                "No key of this id at this mount, or the secret is wrong.",
                "Compare the id with `key list`. Many of these: somebody is guessing.",
            ),
            KeyFault::Expired => (
                "The key is past its end, or its overlap after a rotation is over.",
                "Make or rotate a key.",
            ),
            KeyFault::Revoked => (
                "The key was revoked, or its owner is disabled.",
                "Make a new key, or enable the account.",
            ),
        }
    }
}

impl SessionFault {
    const fn explained(self) -> (&'static str, &'static str) {
        match self {
            SessionFault::Invalid => (
                "Not a session of this mount, or two different ones in one request.",
                "The client logs in again.",
            ),
            SessionFault::Expired => ("The session is past its end.", "The client logs in again."),
            SessionFault::Ended => (
                "The session was logged out or terminated, or its account is disabled.",
                "The client logs in again, if it may.",
            ),
        }
    }
}

impl CertificateFault {
    const fn explained(self) -> (&'static str, &'static str) {
        match self {
            CertificateFault::Unknown => (
                "The certificate is good, but the mount does not know it under any of its names.",
                "Add one of its names to `match` of a `[[mount.client_cert]]`.",
            ),
            CertificateFault::Expired => (
                "The certificate has ended since the connection was made.",
                "The client gets a new one and connects again.",
            ),
        }
    }
}

impl UpstreamFault {
    const fn explained(self) -> (&'static str, &'static str) {
        match self {
            UpstreamFault::Unreachable => (
                "No backend took the connection.",
                "Is the upstream running at the address in `backends`? Does the name resolve?",
            ),
            UpstreamFault::Timeout => (
                "A deadline of the route passed: connecting, first byte, or between bytes.",
                "Look at the upstream; or raise `timeouts`, or write `streaming = true`.",
            ),
            UpstreamFault::Broken => (
                "The upstream broke off, or answered something that is not HTTP.",
                "The log of the upstream has the cause.",
            ),
        }
    }
}
