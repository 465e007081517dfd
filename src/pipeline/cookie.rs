//! Cookies of a request, read in one way everywhere (RFC 6265 sections 4.1.1 and 4.2.1).

use http::{HeaderMap, HeaderValue, header};

/// The value of a cookie. `None`: there is none. `Some(None)`: there are several that differ; a site next door could have
/// set one of them.
pub fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<Option<&'h [u8]>> {
    only(pairs(headers).filter(|pair| name_of(pair) == name.as_bytes()).map(value_of))
}

/// The request's cookies without that one, as one field; `None`: nothing is left.
pub(super) fn without(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let rest: Vec<&[u8]> = pairs(headers).filter(|pair| name_of(pair) != name.as_bytes()).collect();
    HeaderValue::from_bytes(&rest.join(&b"; "[..])).ok().filter(|value| !value.is_empty())
}

/// The value all agree on. `None`: there is none at all. `Some(None)`: they are not the same.
pub(super) fn only<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Option<Option<&'v [u8]>> {
    let first = values.next()?;
    Some(values.all(|other| other == first).then_some(first))
}

/// Whether a cookie may have this name (RFC 9110 section 5.6.2, `token`).
pub fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let fields = headers.get_all(header::COOKIE).iter();
    fields
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

fn name_of<'p>(pair: &&'p [u8]) -> &'p [u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

fn value_of(pair: &[u8]) -> &[u8] {
    let at = pair.iter().position(|byte| *byte == b'=').map_or(pair.len(), |at| at + 1);
    pair.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_among_others_and_two_that_differ_are_none() {
        let read = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::COOKIE, HeaderValue::from_static(field));
            }
            let found = value(&headers, "a");
            found.map(|found| found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
        };
        let one = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(read(&["b=1; a=2=3; aa=4"]), one("2=3"));
        assert_eq!(read(&["b=1", "a=2"]), one("2"));
        assert_eq!(read(&["a=2; a=2"]), one("2"));
        assert_eq!(read(&["a=2; a=3"]), Some(None));
        assert_eq!(read(&["a=2; a"]), Some(None));
        assert_eq!(read(&["A=2", "a"]), one(""));
        assert_eq!(read(&["A=2"]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn what_would_add_attributes_or_fields_is_no_name() {
        assert!(is_name("__Host-portcullis-login"));
        for name in ["", "a=b", "a b", "a;b", "a\r\nb", "\u{e4}"] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
