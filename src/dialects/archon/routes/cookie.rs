//! The cookie `refresh_token`. One of the SDKs reads it out of `Set-Cookie` as text: the name stands first, and the value
//! has neither quotes nor `=` (trap 7). It lives shorter than the token itself, as in the guide.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::model::{SecretString, secret::ExposeSecret};

const NAME: &str = "refresh_token";
const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;

/// Sets it; nothing for a value that cannot stand in a cookie, which ours never is.
pub(super) fn set(token: &SecretString, remember: bool, secure: bool) -> Option<HeaderValue> {
    let seconds = if remember { WEEK } else { DAY };
    field(token.expose_secret(), seconds, secure)
}

/// Takes it away.
pub(super) fn clear(secure: bool) -> Option<HeaderValue> {
    field("", 0, secure)
}

/// Reads it.
pub(super) fn read(headers: &HeaderMap) -> Option<SecretString> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = fields.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| name.trim() == NAME).map(|(_, value)| value.trim());
    found.filter(|value| !value.is_empty()).map(SecretString::from)
}

fn field(value: &str, seconds: u32, secure: bool) -> Option<HeaderValue> {
    if value.contains(['=', ';', ',', '"', ' ']) {
        return None;
    }
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{NAME}={value}; Max-Age={seconds}; Path=/; HttpOnly{secure}; SameSite=strict");
    let mut field = HeaderValue::from_str(&text).ok()?;
    field.set_sensitive(true);
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_first_and_the_flags_are_those_of_the_contract() {
        let made = set(&"a.b-c_d".into(), true, true).unwrap();
        assert_eq!(
            made,
            "refresh_token=a.b-c_d; Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=strict"
        );
        let made = set(&"a".into(), false, false).unwrap();
        assert_eq!(made, "refresh_token=a; Max-Age=86400; Path=/; HttpOnly; SameSite=strict");
        assert!(set(&"a=b".into(), false, true).is_none());
        let gone = clear(true).unwrap();
        assert_eq!(gone, "refresh_token=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=strict");
    }

    #[test]
    fn it_is_found_among_others() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(text))])
        };
        let text =
            |headers: &HeaderMap| read(headers).map(|value| value.expose_secret().to_owned());
        assert_eq!(text(&headers("a=b; refresh_token=x.y; c=d")).as_deref(), Some("x.y"));
        for none in ["a=b", "refresh_token=", "xrefresh_token=1", ""] {
            assert_eq!(text(&headers(none)), None, "{none}");
        }
    }
}
