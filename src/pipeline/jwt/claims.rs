//! From verified claims to a principal. Every claim that is used is typed exactly; a wrong type is never "absent"
//! (CVE-2026-25537).

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{AGENT, Claims, TokenProfile, confirmation};
use crate::{
    model::{AccountId, Agent, AuthMethod, Principal, ScopeSet, SessionId, Timestamp, TokenId},
    pipeline::deny::TokenFault,
};

/// The last second of the year 9999; later dates are nonsense, and adding a leeway must not overflow.
const LAST_DATE: u64 = 253_402_300_799;
/// Shortest `jti`: fewer characters cannot be unique by chance.
const MIN_TOKEN_ID: usize = 16;
/// Longest id, and longest role or other text of a claim.
const MAX_ID: usize = 128;
pub(super) const MAX_TEXT: usize = 320;
/// Longest list of scopes.
const MAX_SCOPE: usize = 4096;
/// Most roles, and most capabilities.
pub(super) const MAX_LIST: usize = 64;

/// How far ahead of our clock a token may say that it was issued.
pub(super) const MAX_AHEAD: Duration = Duration::from_secs(60);

/// The dates that a principal does not keep.
struct Dates {
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

/// Reads the claims of a token whose signature was verified by `profile`'s keys.
pub(super) fn principal(
    claims: Claims,
    profile: &TokenProfile,
    now: Timestamp,
) -> Result<Principal, TokenFault> {
    let (caller, dates) = read(&claims, profile).ok_or(TokenFault::Invalid)?;
    let early = dates.not_before.is_some_and(|start| now + profile.leeway < start);
    // No clock of ours is so far off: whoever signed this lied about the time, or signs for later.
    if early || dates.issued_at.is_some_and(|issued| now + MAX_AHEAD < issued) {
        return Err(TokenFault::Invalid);
    }
    if caller.expires_at.is_none_or(|end| now >= end + profile.leeway) {
        return Err(TokenFault::Expired);
    }
    Ok(caller)
}

/// All claims but their relation to the clock. `None`: refused.
fn read(claims: &Claims, profile: &TokenProfile) -> Option<(Principal, Dates)> {
    let expires_at = date(claims, "exp")??;
    let dates = Dates { not_before: date(claims, "nbf")?, issued_at: date(claims, "iat")? };
    // A token that is bound must not pass on its bare signature: see `proof.rs`.
    let bound = confirmation::read(claims)?;
    let method = method(claims, profile)?;
    let subject = id(claims, "sub")??;
    let token = id(claims, "jti")?.filter(|token| token.len() >= MIN_TOKEN_ID)?;
    let caller = Principal {
        subject: AccountId::new(subject),
        username: text(claims, "username")?,
        email: text(claims, "email")?,
        realm: profile.realm.clone(),
        mount: profile.mount.clone(),
        tenant: match &profile.tenant_claim {
            Some(name) => text(claims, name)?,
            None => None,
        },
        method,
        roles: texts(claims, "roles")?,
        scopes: if profile.standard { Some(scope(claims)?) } else { None },
        session: id(claims, "sid")?.map(SessionId::new),
        token: Some(TokenId::new(token)),
        key: None,
        agent: match method {
            AuthMethod::Agent => Some(Arc::new(agent(claims)?)),
            _ => None,
        },
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: Some(expires_at),
        issuer: None,
        bound,
    };
    Some((caller, dates))
}

/// Which kind of token of this profile it is, by issuer, audience and type. `None`: none.
fn method(claims: &Claims, profile: &TokenProfile) -> Option<AuthMethod> {
    let is = |name: &str, wanted: &str| {
        claims.get(name).and_then(Value::as_str).is_some_and(|given| given == wanted)
    };
    let is_for = |own: &str| names_audience(claims.get("aud"), own);
    if !is("iss", &profile.issuer) {
        return None;
    }
    if profile.standard {
        // Only we make such a token, and one for an agent always says for which.
        let kind =
            if claims.contains_key("agent_type") { AuthMethod::Agent } else { AuthMethod::Jwt };
        return profile.audience.as_deref().is_none_or(is_for).then_some(kind);
    }
    let agents = profile.agent_audience.as_deref();
    // Looked for first: where a contract's access tokens have no type, an agent token must not pass for one.
    if agents.is_some() && is("type", AGENT) {
        return agents.filter(|own| is_for(own)).map(|_| AuthMethod::Agent);
    }
    let access = profile.audience.as_deref().is_none_or(is_for)
        && profile.token_type.as_deref().is_none_or(|own| is("type", own));
    access.then_some(AuthMethod::Jwt)
}

/// What an agent token must say of its agent.
fn agent(claims: &Claims) -> Option<Agent> {
    let kind = id(claims, "agent_type")??.into();
    claims.get("capabilities")?;
    Some(Agent { kind, capabilities: texts(claims, "capabilities")? })
}

/// RFC 7519 section 4.1.3: one text or a list of texts.
pub(super) fn names_audience(value: Option<&Value>, own: &str) -> bool {
    match value {
        Some(Value::String(one)) => one == own,
        Some(Value::Array(many)) => {
            many.iter().all(Value::is_string) && many.iter().any(|one| one.as_str() == Some(own))
        }
        _ => false,
    }
}

// The readers below: outer `None` is a wrong type or range, inner `None` an absent claim.

pub(super) fn date(claims: &Claims, name: &str) -> Option<Option<Timestamp>> {
    let Some(value) = claims.get(name) else { return Some(None) };
    let secs = value.as_u64().filter(|secs| *secs <= LAST_DATE)?;
    Some(Some(Timestamp::from_secs(i64::try_from(secs).ok()?)))
}

/// RFC 8693 section 4.2: names separated by blanks, in one text. A token without has none, and reaches nothing.
fn scope(claims: &Claims) -> Option<ScopeSet> {
    let text = match claims.get("scope") {
        None => "",
        Some(Value::String(text)) if text.len() <= MAX_SCOPE => text,
        Some(_) => return None,
    };
    Some(ScopeSet::exact(text.split(' ').filter(|name| !name.is_empty())))
}

/// Ids reach headers, logs and map keys: visible ASCII only.
fn id<'c>(claims: &'c Claims, name: &str) -> Option<Option<&'c str>> {
    let Some(value) = claims.get(name) else { return Some(None) };
    value.as_str().filter(|text| is_id(text, MAX_ID)).map(Some)
}

pub(super) fn is_id(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn text(claims: &Claims, name: &str) -> Option<Option<Arc<str>>> {
    match claims.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.len() <= MAX_TEXT => Some(Some(text.as_str().into())),
        Some(_) => None,
    }
}

fn texts(claims: &Claims, name: &str) -> Option<Vec<Arc<str>>> {
    match claims.get(name) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_LIST => list
            .iter()
            .map(|text| text.as_str().filter(|text| text.len() <= MAX_ID).map(Arc::from))
            .collect(),
        Some(_) => None,
    }
}
