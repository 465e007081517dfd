//! The cookie that binds a login's state to the browser that began it (RFC 6265, cookie prefixes of its successor).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::model::{SecretString, secret::ExposeSecret};

/// On TLS the prefix makes browsers refuse a cookie that another host of the domain has set.
const SECURE: &str = "__Host-portcullis-login";
/// On loopback without TLS.
const PLAIN: &str = "portcullis-login";

/// The field that sets it. `Lax`: the provider's redirect is a navigation from another site, and must bring it.
pub(super) fn set(secret: &SecretString, lifetime: Duration, secure: bool) -> Option<HeaderValue> {
    let (name, flag) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let (value, age) = (secret.expose_secret(), lifetime.as_secs());
    let field = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{flag}");
    let mut field = HeaderValue::try_from(field).ok()?;
    field.set_sensitive(true);
    Some(field)
}

/// What the browser brought. The other cookies are the client applications' own.
pub(super) fn read(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    let wanted = if secure { SECURE } else { PLAIN };
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut pairs =
        fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim().into())
}
