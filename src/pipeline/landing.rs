//! Where a browser may be sent after a login: to a path of our own, and nowhere else (RFC 9700 section 4.11).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Longest path with its query.
const LONGEST: usize = 1024;
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a text is a path on whatever origin it is read from, however a browser may read it: one slash at its beginning, no
/// second one behind another, nothing that browsers take for a slash or leave out.
pub fn is_own_path(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    text.len() <= LONGEST
        && path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|part| matches!(part, "." | ".."))
        && text.bytes().all(plain)
}

/// Whether a browser says of a request that a page of our own began it (Fetch metadata; else `Origin`). Whoever says nothing
/// has not said so.
pub fn is_from_own_page(headers: &HeaderMap, origin: &str) -> bool {
    let said = |name: HeaderName| {
        let mut all = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        (all.next(), all.next().is_some())
    };
    let ((site, twice), (from, from_twice)) = (said(SEC_FETCH_SITE), said(header::ORIGIN));
    let own_site = site.is_none_or(|site| matches!(site, b"same-origin" | b"none"));
    let own_origin = from.is_none_or(|from| from == origin.as_bytes());
    !twice && !from_twice && own_site && own_origin && (site.is_some() || from.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    // requirement: 35
    #[test]
    fn only_a_path_of_our_own_is_one() {
        for text in ["/", "/a", "/a/b?c=d&e=http://x.example//", "/a#b", "/a%2f%2fb", "/a;b=1"] {
            assert!(is_own_path(text), "{text}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "a",
            "?a",
            "#a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            " /a",
            "/a b",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: x=y",
            "/\u{0}",
            "/\u{e4}",
            "/.//evil.example",
            "/..//evil.example",
            "/a/../b",
            "/a//b",
            &long,
        ] {
            assert!(!is_own_path(text), "{text:?}");
        }
    }

    #[test]
    fn whoever_says_nothing_has_not_said_that_it_was_our_page() {
        const OWN: &str = "https://app.example";
        let own = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            is_from_own_page(&headers, OWN)
        };
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(own(&[("sec-fetch-site", "none")]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", OWN)]));
        assert!(own(&[("origin", OWN)]));
        for fields in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", OWN)],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("origin", "null")],
            &[("origin", "https://app.example.evil.example")],
            &[("origin", "http://app.example")],
            &[("origin", "https://app.example:444")],
            &[("origin", OWN), ("origin", "https://evil.example")],
        ] {
            assert!(!own(fields), "{fields:?}");
        }
    }
}
