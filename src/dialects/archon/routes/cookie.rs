//! The cookie `refresh_token`. One of the SDKs reads it out of `Set-Cookie` as text: the name stands first, and the value
//! has neither quotes nor `=` (trap 7). It lives shorter than the token itself, as in the guide.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};

use crate::{
    dialects::cookies::{self, Cookie, SameSite},
    model::{SecretString, secret::ExposeSecret},
};

const NAME: &str = "refresh_token";
const DAY: Duration = Duration::from_secs(86_400);

/// Sets it; nothing for a value that the SDK would cut, which ours never is.
pub(super) fn set(token: &SecretString, remember: bool, secure: bool) -> Option<HeaderValue> {
    let value = token.expose_secret();
    let max_age = if remember { DAY * 7 } else { DAY };
    let fits = !value.contains('=');
    fits.then(|| cookie(value, max_age, secure).set()).flatten()
}

/// Takes it away.
pub(super) fn clear(secure: bool) -> Option<HeaderValue> {
    cookie("", Duration::ZERO, secure).cleared().set()
}

/// Reads it.
pub(super) fn read(headers: &HeaderMap) -> Option<SecretString> {
    cookies::read(headers, NAME)
}

fn cookie(value: &str, max_age: Duration, secure: bool) -> Cookie<'_> {
    Cookie { name: NAME, value, max_age, secure, same_site: SameSite::Strict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lives_a_day_or_a_week_and_has_no_padding() {
        let made = set(&"a.b-c_d".into(), true, true).unwrap();
        assert_eq!(
            made,
            "refresh_token=a.b-c_d; Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Strict"
        );
        let made = set(&"a".into(), false, false).unwrap();
        assert_eq!(made, "refresh_token=a; Max-Age=86400; Path=/; HttpOnly; SameSite=Strict");
        assert!(set(&"a=b".into(), false, true).is_none());
    }
}
