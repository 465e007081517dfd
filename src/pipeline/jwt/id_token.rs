//! What an OpenID provider tells the one who relies on it: ID tokens (OpenID Connect Core 1.0 section 3.1.3.7) and logout tokens
//! (Back-Channel Logout 1.0 section 2.6). Neither is ever a credential at a route.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    Claims, KeySet, Presented, Unproven,
    claims::{MAX_AHEAD, MAX_TEXT, date, is_id, names_audience},
    form::PLAIN,
    issuer::check_signature,
};
use crate::{model::Timestamp, pipeline::deny::TokenFault};

/// `typ` of a logout token that can be nothing else.
const LOGOUT: &str = "logout+jwt";
/// The member of `events` that makes a token a logout token.
const LOGGED_OUT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Longest `sub` (Core section 2), `sid` and `jti`.
const MAX_ID: usize = 255;
/// Longest time for which a logout token may be good: its id is remembered for so long.
const LONGEST_LOGOUT: Duration = Duration::from_secs(24 * 3600);

/// Who relies on whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// `iss` of the provider.
    pub issuer: Arc<str>,
    /// Our name there.
    pub client_id: Arc<str>,
    /// Difference of clocks that is forgiven.
    pub leeway: Duration,
}

/// What an ID token must fit.
#[derive(Clone, Copy, Debug)]
pub struct Awaited<'a> {
    /// The `nonce` that was sent along.
    pub nonce: &'a str,
    /// The access token that came beside it.
    pub access_token: Option<&'a str>,
}

/// Whom a provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdClaims {
    /// `sub`.
    pub subject: String,
    /// `sid`: the session there.
    pub session: Option<String>,
    /// Address, if it says one.
    pub email: Option<String>,
    /// Whether it says that the address is the person's.
    pub email_verified: bool,
    /// Name for people.
    pub name: Option<String>,
}

/// Who has logged out there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutClaims {
    /// `jti`: it is good once.
    pub id: String,
    /// The person, where it says so.
    pub subject: Option<String>,
    /// The session there, where it says so; one of the two it does.
    pub session: Option<String>,
    /// From then on it is no good any more.
    pub ends: Timestamp,
}

impl RelyingParty {
    /// Verifies an ID token by these keys and no others.
    pub fn id_token(
        &self,
        token: &Presented<'_>,
        keys: &KeySet,
        awaited: Awaited<'_>,
        now: Timestamp,
    ) -> Result<IdClaims, Unproven> {
        if !token.form.is_a(PLAIN) {
            return Err(TokenFault::Invalid.into());
        }
        let told = self.told(token, awaited, now)?;
        check_signature(token, keys, || true)?;
        Ok(told)
    }

    /// Verifies a logout token. Whether it came before is for the caller to say.
    pub fn logout_token(
        &self,
        token: &Presented<'_>,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<LogoutClaims, Unproven> {
        if !token.form.is_a(LOGOUT) && !token.form.is_a(PLAIN) {
            return Err(TokenFault::Invalid.into());
        }
        let told = self.logged_out(&token.claims, now)?;
        check_signature(token, keys, || true)?;
        Ok(told)
    }

    fn told(
        &self,
        token: &Presented<'_>,
        awaited: Awaited<'_>,
        now: Timestamp,
    ) -> Result<IdClaims, TokenFault> {
        let claims = &token.claims;
        self.concerns_us(claims, now)?;
        let says = |name: &str| claims.get(name).and_then(Value::as_str);
        // Core section 3.1.3.7, 4 and 5: for whom it was made, where it is for several.
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        let for_us = match claims.get("azp") {
            None => !several,
            Some(_) => says("azp") == Some(&*self.client_id),
        };
        let same_access = match (claims.get("at_hash"), awaited.access_token) {
            (None, _) | (_, None) => true,
            (Some(hash), Some(access)) => {
                let own = left_half(token.form.algorithm(), access);
                own.is_some() && hash.as_str() == own.as_deref()
            }
        };
        let logs_in = !claims.contains_key("events");
        if !for_us || !same_access || !logs_in || says("nonce") != Some(awaited.nonce) {
            return Err(TokenFault::Invalid);
        }
        Ok(IdClaims {
            subject: id(claims, "sub")?.ok_or(TokenFault::Invalid)?,
            session: id(claims, "sid")?,
            email: text(claims, "email"),
            // Some write it as a text. What is not plainly true is not.
            email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            name: text(claims, "name"),
        })
    }

    fn logged_out(&self, claims: &Claims, now: Timestamp) -> Result<LogoutClaims, TokenFault> {
        let (issued, ends) = self.concerns_us(claims, now)?;
        let event = claims.get("events").and_then(|events| events.get(LOGGED_OUT));
        let is_logout = event.is_some_and(Value::is_object);
        // An ID token has one, and a logout token must not (section 2.4).
        let is_login = claims.contains_key("nonce");
        let (subject, session) = (id(claims, "sub")?, id(claims, "sid")?);
        let lasting = ends > issued && ends.since(issued) > LONGEST_LOGOUT;
        if !is_logout || is_login || lasting || (subject.is_none() && session.is_none()) {
            return Err(TokenFault::Invalid);
        }
        let id = id(claims, "jti")?.ok_or(TokenFault::Invalid)?;
        Ok(LogoutClaims { id, subject, session, ends: ends + self.leeway })
    }

    /// Issuer, audience and dates. Gives when it was issued and when it ends.
    fn concerns_us(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), TokenFault> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        if issuer != Some(&self.issuer) || !names_audience(claims.get("aud"), &self.client_id) {
            return Err(TokenFault::Invalid);
        }
        let dated = |name: &str| date(claims, name).ok_or(TokenFault::Invalid);
        let issued = dated("iat")?.ok_or(TokenFault::Invalid)?;
        let ends = dated("exp")?.ok_or(TokenFault::Invalid)?;
        let early = dated("nbf")?.is_some_and(|start| now + self.leeway < start);
        if early || now + self.leeway.max(MAX_AHEAD) < issued {
            return Err(TokenFault::Invalid);
        }
        if now >= ends + self.leeway { Err(TokenFault::Expired) } else { Ok((issued, ends)) }
    }
}

/// The left half of the hash of a token, by the hash of the algorithm (Core section 3.1.3.6). `None`: one we do not know.
fn left_half(algorithm: &str, token: &str) -> Option<String> {
    let by = match algorithm {
        "RS256" | "PS256" | "ES256" => &digest::SHA256,
        "RS384" | "PS384" | "ES384" => &digest::SHA384,
        "RS512" | "PS512" | "EdDSA" => &digest::SHA512,
        _ => return None,
    };
    let whole = digest::digest(by, token.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2)?;
    Some(URL_SAFE_NO_PAD.encode(half))
}

fn id(claims: &Claims, name: &str) -> Result<Option<String>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_id(text, MAX_ID) => Ok(Some(text.clone())),
        Some(_) => Err(TokenFault::Invalid),
    }
}

/// For people to read: what cannot be shown is not there.
fn text(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?.trim();
    let plain = !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
