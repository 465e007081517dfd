//! The face of routes that speak no contract: RFC 9457 problem documents.

use serde_json::json;

use super::refusal::phrase;
use crate::pipeline::{
    Deny, Face, Reply, ReplyFacts,
    deny::{TokenFault, UpstreamFault},
};

/// `application/problem+json`.
#[derive(Debug)]
pub struct Problem;

impl Face for Problem {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        let status = deny.status();
        let (code, detail) = words(deny);
        let mut body = json!({
            "type": "about:blank",
            "title": phrase(status),
            "status": status.as_u16(),
            "detail": detail,
            "code": code,
            "request_id": facts.request_id,
        });
        if let (Some(wait), Some(members)) = (deny.retry_after_secs(), body.as_object_mut()) {
            members.insert("retry_after".into(), wait.into());
        }
        Reply {
            status,
            headers: deny.headers("application/problem+json"),
            body: body.to_string().into(),
        }
    }
}

/// The stable code and a sentence. Neither says which check failed, but for what the status tells anyway.
fn words(deny: &Deny) -> (&'static str, &'static str) {
    match deny {
        Deny::Malformed(_) => ("bad_request", "The request cannot be read in exactly one way."),
        Deny::NoRoute => ("not_found", "There is nothing here."),
        Deny::Misdirected => ("misdirected", "This host is not served on this connection."),
        Deny::MethodNotAllowed { .. } => {
            ("method_not_allowed", "This method does not exist here; see the Allow header.")
        }
        Deny::MissingCredential => {
            ("credential_missing", "A credential is needed and none was sent.")
        }
        Deny::Token(TokenFault::Expired) => ("token_expired", "The access token has expired."),
        Deny::Token(_) | Deny::Key(_) | Deny::Session(_) | Deny::Certificate(_) => {
            ("credential_invalid", "The credential is not valid.")
        }
        Deny::AddressNotAllowed | Deny::Forbidden { .. } => {
            ("forbidden", "The credential does not allow this.")
        }
        Deny::AnsweredHere => ("forbidden", "The gateway answers this itself."),
        Deny::BodyTooLarge => ("body_too_large", "The request body is too large."),
        Deny::RateLimited(_) => ("rate_limited", "Too many requests; see the Retry-After header."),
        Deny::Unavailable { .. } => ("unavailable", "The request could not be decided now."),
        Deny::Upstream(UpstreamFault::Unreachable) => {
            ("upstream_unreachable", "The service behind the gateway cannot be reached.")
        }
        Deny::Upstream(UpstreamFault::Timeout) => {
            ("upstream_timeout", "The service behind the gateway did not answer in time.")
        }
        Deny::Upstream(UpstreamFault::Broken) => {
            ("upstream_broken", "The service behind the gateway did not answer properly.")
        }
        Deny::Internal => ("internal", "Something went wrong inside the gateway."),
    }
}

#[cfg(test)]
mod tests;
