//! HTTP Basic (RFC 7617) of the mount's administrator. Identity judges; here the field is only read.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::App;
use crate::{
    dialects::{exchange::Hop, hh::wire::Refusal},
    identity::{ForeignFault, IdentityError},
    model::SecretString,
};

/// A proven administrator: its name, for the audit log.
pub(super) struct Admin(pub(super) String);

impl FromRequestParts<App> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        const WRONG: IdentityError = IdentityError::Foreign(ForeignFault::Administrator);
        let field = parts.headers.get(header::AUTHORIZATION);
        let Some(text) = field.map(|field| field.to_str().unwrap_or_default()) else {
            return Err(Refusal::not_authenticated());
        };
        let Some((scheme, rest)) = text.split_once(' ') else { return Err(WRONG.into()) };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Refusal::not_authenticated());
        }
        let (name, password) = read(rest.trim()).ok_or(WRONG)?;
        let hop = Hop::from_request_parts(parts, app).await.map_err(Refusal::from)?;
        let by = hop.actor();
        app.identity.prove_administrator(&app.mount, &name, &password, &by).await?;
        Ok(Self(name))
    }
}

/// Name and password; the name ends at the first colon.
fn read(encoded: &str) -> Option<(String, SecretString)> {
    let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = plain.split_once(':')?;
    Some((name.to_owned(), password.into()))
}
