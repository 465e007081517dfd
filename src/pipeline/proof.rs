//! Proof of possession: what a route asks for beside a token, and what a bound token asks for wherever it is shown.
//!
//! A token that is bound is never worth more than its binding: it is refused wherever that is not verified, as good as its
//! signature may be.

use super::{
    carrier::Scheme,
    deny::{Deny, TokenFault},
};
use crate::model::Confirmation;

mod nonce;

pub use nonce::Nonces;

/// The algorithms that may sign proofs, as a challenge tells them.
macro_rules! algs {
    () => {
        "algs=\"ES256 ES384 EdDSA Ed25519 PS256 PS384 PS512 RS256 RS384 RS512\""
    };
}

/// The parameter of a challenge that tells which algorithms may sign proofs.
pub const ALGORITHMS: &str = algs!();

/// The same names, one by one.
pub const ALGORITHM_NAMES: [&str; 10] =
    ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

/// Which proof a route asks for (`proof`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProofRule {
    /// `none`: tokens are what they are, and bound ones are refused.
    #[default]
    None,
    /// `dpop`: a signature per request with the key that the token is bound to (RFC 9449).
    Dpop,
    /// `certificate`: the connection shows the certificate that the token is bound to (RFC 8705).
    Certificate,
    /// `any`: either.
    Any,
    /// Where tokens are given: a client may prove a key, for its token to be bound to.
    Offered {
        /// Whether the certificate of a client that proves none is taken for that.
        certificates: bool,
    },
}

impl ProofRule {
    /// Whether proofs by signature are verified.
    pub fn takes_dpop(self) -> bool {
        matches!(self, ProofRule::Dpop | ProofRule::Any)
    }

    /// Whether certificates are held against tokens.
    pub fn takes_certificates(self) -> bool {
        matches!(self, ProofRule::Certificate | ProofRule::Any)
    }

    /// What must be proven of a token with this binding, shown under this scheme. `Ok(None)`: nothing.
    pub fn demands(
        self,
        scheme: Scheme,
        bound: Option<&Confirmation>,
    ) -> Result<Option<&Confirmation>, Deny> {
        let refused = |fault| Err(Deny::Token(TokenFault::Proof(fault)));
        if scheme == Scheme::Dpop && !self.takes_dpop() {
            return Err(Deny::Token(TokenFault::Scheme));
        }
        let Some(bound) = bound else {
            return if self == ProofRule::None { Ok(None) } else { refused(ProofFault::Unbound) };
        };
        let verified = (bound.key.is_none() || self.takes_dpop())
            && (bound.certificate.is_none() || self.takes_certificates());
        match (verified, bound.key.is_some(), scheme) {
            (false, ..) => refused(ProofFault::Unverified),
            // RFC 9449 section 7.1: bound to a key, it is no bearer token, and the other way round.
            (true, true, Scheme::Bearer) => refused(ProofFault::Missing),
            (true, false, Scheme::Dpop) => refused(ProofFault::Unbound),
            (true, ..) => Ok(Some(bound)),
        }
    }
}

/// Why a token was refused although it is good in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProofFault {
    /// The route asks for a bound token, and this one is bound to nothing, or not to what it is shown with.
    Unbound,
    /// It is bound to something that the route does not verify.
    Unverified,
    /// No proof came with it.
    Missing,
    /// The proof is none: form, header, key, signature, or several of them.
    Invalid,
    /// The proof is for another method or address.
    Request,
    /// The proof is too old, or from the future.
    Time,
    /// The proof is for another token.
    Token,
    /// The proof is by another key than the token is bound to.
    Key,
    /// The proof carries no nonce of ours, or one that is too old.
    Nonce,
    /// The proof was used before.
    Replayed,
    /// The connection shows another certificate than the token is bound to, or none.
    Certificate,
}

impl ProofFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unbound,
        Self::Unverified,
        Self::Missing,
        Self::Invalid,
        Self::Request,
        Self::Time,
        Self::Token,
        Self::Key,
        Self::Nonce,
        Self::Replayed,
        Self::Certificate,
    ];

    /// The `WWW-Authenticate` value (RFC 9449 section 7.1, RFC 8705 section 3).
    pub const fn challenge(self) -> &'static str {
        match self {
            Self::Missing => concat!("DPoP error=\"invalid_token\", ", algs!()),
            Self::Nonce => concat!("DPoP error=\"use_dpop_nonce\", ", algs!()),
            Self::Unbound | Self::Unverified | Self::Certificate => {
                "Bearer error=\"invalid_token\""
            }
            _ => concat!("DPoP error=\"invalid_dpop_proof\", ", algs!()),
        }
    }

    pub(super) const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::Unbound => (
                "The route asks for tokens that are bound to a key or a certificate, and this one is not, or was shown as if it were.",
                "The client must ask its issuer for a bound token. Look at `proof` of the route.",
            ),
            Self::Unverified => (
                "The token is bound (`cnf`) to something that the route does not verify: nobody proved to own it.",
                "Set `proof` on the route or mount to what the issuer binds its tokens to.",
            ),
            Self::Missing => (
                "The token is bound to a key, and no `DPoP` proof came with it, or it came as `Bearer`.",
                "The client must send `Authorization: DPoP` and a `DPoP` field with each request.",
            ),
            Self::Invalid => (
                "The `DPoP` proof is none: several of them, wrong form, type, algorithm or key, or a signature that does not fit.",
                "Look at the client's library. Many of these: somebody is probing.",
            ),
            Self::Request => (
                "The proof is for another method or address.",
                "Behind a proxy: does it hand the public scheme and host on (`X-Forwarded-Proto`, `X-Forwarded-Host`), and is it listed in `[trust] proxies`?",
            ),
            Self::Time => (
                "The proof was made more than a minute ago, or half a minute ahead.",
                "Look at the clock of the client, and at ours.",
            ),
            Self::Token => ("The proof is for another token.", "The client mixes its tokens up."),
            Self::Key => (
                "The proof is by another key than the token is bound to: it may be stolen.",
                "If it is no fault of the client, end the token's session.",
            ),
            Self::Nonce => (
                "The route asks for proofs with a nonce of ours (`proof_nonce`), and this one has none, or one that is too old.",
                "None, if it is tried again with the nonce of `DPoP-Nonce`: each client meets this once.",
            ),
            Self::Replayed => (
                "The proof was used before: somebody repeats what was sent, or a client makes one proof for two requests.",
                "A client must make a new proof for each try of a request.",
            ),
            Self::Certificate => (
                "The connection shows another certificate than the token is bound to, or none: the token may be stolen.",
                "Does the listener ask for certificates (`tls.client_ca`), and was the client's replaced since?",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Confirmation = Confirmation { key: Some([1; 32]), certificate: None };
    const CERTIFICATE: Confirmation = Confirmation { key: None, certificate: Some([2; 32]) };
    const BOTH: Confirmation = Confirmation { key: Some([1; 32]), certificate: Some([2; 32]) };

    #[test]
    fn a_bound_token_passes_only_where_all_of_its_binding_is_verified() {
        use ProofRule::{Any, Certificate, Dpop, None as Plain};
        let good = "";
        for (rule, scheme, bound, wanted) in [
            (Plain, Scheme::Bearer, None, good),
            (Plain, Scheme::Dpop, None, "token_scheme"),
            (Plain, Scheme::Bearer, Some(&KEY), "proof_unverified"),
            (Plain, Scheme::Dpop, Some(&KEY), "token_scheme"),
            (Plain, Scheme::Bearer, Some(&CERTIFICATE), "proof_unverified"),
            (Dpop, Scheme::Bearer, None, "proof_unbound"),
            (Dpop, Scheme::Dpop, None, "proof_unbound"),
            (Dpop, Scheme::Bearer, Some(&KEY), "proof_missing"),
            (Dpop, Scheme::Dpop, Some(&KEY), good),
            (Dpop, Scheme::Bearer, Some(&CERTIFICATE), "proof_unverified"),
            (Dpop, Scheme::Dpop, Some(&BOTH), "proof_unverified"),
            (Certificate, Scheme::Bearer, None, "proof_unbound"),
            (Certificate, Scheme::Bearer, Some(&CERTIFICATE), good),
            (Certificate, Scheme::Dpop, Some(&CERTIFICATE), "token_scheme"),
            (Certificate, Scheme::Bearer, Some(&KEY), "proof_unverified"),
            (Certificate, Scheme::Bearer, Some(&BOTH), "proof_unverified"),
            (Any, Scheme::Bearer, None, "proof_unbound"),
            (Any, Scheme::Dpop, Some(&KEY), good),
            (Any, Scheme::Bearer, Some(&KEY), "proof_missing"),
            (Any, Scheme::Bearer, Some(&CERTIFICATE), good),
            (Any, Scheme::Dpop, Some(&CERTIFICATE), "proof_unbound"),
            (Any, Scheme::Dpop, Some(&BOTH), good),
            (Any, Scheme::Bearer, Some(&BOTH), "proof_missing"),
        ] {
            let found = rule.demands(scheme, bound);
            let reason = found.as_ref().map_or_else(Deny::reason, |_| good);
            assert_eq!(reason, wanted, "{rule:?} {scheme:?} {bound:?}");
            if let Ok(demanded) = found {
                assert_eq!(demanded, bound, "all of it");
            }
        }
    }

    #[test]
    fn the_algorithms_are_told_alike_everywhere() {
        assert_eq!(ALGORITHMS, format!("algs=\"{}\"", ALGORITHM_NAMES.join(" ")));
    }

    #[test]
    fn every_fault_has_a_name_and_a_challenge_of_its_scheme() {
        let mut reasons: Vec<_> = ProofFault::ALL
            .iter()
            .map(|fault| Deny::Token(TokenFault::Proof(*fault)).reason())
            .collect();
        reasons.dedup();
        assert_eq!(reasons.len(), ProofFault::ALL.len());
        for fault in ProofFault::ALL {
            let challenge = fault.challenge();
            assert!(challenge.starts_with("DPoP ") || challenge.starts_with("Bearer "));
            assert_eq!(challenge.contains("algs="), challenge.starts_with("DPoP "));
        }
    }
}
