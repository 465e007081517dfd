//! Cookies that contracts set and read (RFC 6265).

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::{model::SecretString, pipeline::cookie};

/// When a browser sends a cookie along with requests that another site began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when the visitor follows a link.
    Lax,
}

/// A cookie to be set; always `HttpOnly` and for the whole origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// Name.
    pub name: &'a str,
    /// Value.
    pub value: &'a str,
    /// Life time.
    pub max_age: Duration,
    /// Over TLS only. Browsers make an exception for `localhost`, and for nothing else.
    pub secure: bool,
    /// With requests of other sites.
    pub same_site: SameSite,
}

impl Cookie<'_> {
    /// As the value of one `Set-Cookie` field, which begins with the name. `None`: name or value cannot stand in it.
    pub fn set(&self) -> Option<HeaderValue> {
        if !cookie::is_name(self.name) || !self.value.bytes().all(is_value) {
            return None;
        }
        let site = match self.same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
        };
        let secure = if self.secure { "; Secure" } else { "" };
        let (name, value, age) = (self.name, self.value, self.max_age.as_secs());
        let text =
            format!("{name}={value}; Max-Age={age}; Path=/; HttpOnly{secure}; SameSite={site}");
        let mut field = HeaderValue::try_from(text).ok()?;
        field.set_sensitive(true);
        Some(field)
    }

    /// The same cookie, taken away.
    #[must_use]
    pub fn cleared(self) -> Self {
        Self { value: "", max_age: Duration::ZERO, ..self }
    }
}

/// The value of a cookie; an empty one is none, and so are two that differ.
pub fn read(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let value = std::str::from_utf8(cookie::value(headers, name)??).ok()?;
    (!value.is_empty()).then(|| value.into())
}

/// RFC 6265 section 4.1.1, `cookie-octet`.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::model::secret::ExposeSecret;

    const COOKIE: Cookie<'static> = Cookie {
        name: "refresh_token",
        value: "abc.def",
        max_age: Duration::from_secs(86_400),
        secure: true,
        same_site: SameSite::Strict,
    };

    #[test]
    fn a_cookie_begins_with_its_name_and_has_every_flag() {
        let text = COOKIE.set().unwrap();
        let flags = "Max-Age=86400; Path=/; HttpOnly; Secure; SameSite=Strict";
        assert_eq!(text, format!("refresh_token=abc.def; {flags}"));
        let plain = Cookie { secure: false, same_site: SameSite::Lax, ..COOKIE }.cleared();
        assert_eq!(
            plain.set().unwrap(),
            "refresh_token=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn what_would_add_attributes_or_fields_is_no_cookie() {
        for value in ["a;b", "a b", "a,b", "a\"b", "a\\b", "a\r\nSet-Cookie: b", "\u{e4}"] {
            assert_eq!(Cookie { value, ..COOKIE }.set(), None, "{value:?}");
        }
        for name in ["", "a=b", "a b", "a;b"] {
            assert_eq!(Cookie { name, ..COOKIE }.set(), None, "{name:?}");
        }
    }

    #[test]
    fn what_is_read_is_one_value_that_is_not_empty() {
        let read_from = |field: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(field))]);
            read(&headers, "a").map(|value| value.expose_secret().to_owned())
        };
        assert_eq!(read_from("b=1; a=2").as_deref(), Some("2"));
        for none in ["a=", "a", "a=2; a=3", "b=1"] {
            assert_eq!(read_from(none), None, "{none}");
        }
    }
}
