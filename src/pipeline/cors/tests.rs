use super::*;

fn cors(origins: &[&str], credentials: bool) -> Cors {
    let origins = origins.iter().map(|origin| Arc::from(*origin)).collect();
    Cors { origins, credentials, max_age: 600 }
}

fn text(headers: Vec<(HeaderName, HeaderValue)>) -> Vec<String> {
    let line =
        |(name, value): (HeaderName, HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    headers.into_iter().map(line).collect()
}

const APP: HeaderValue = HeaderValue::from_static("https://app.example.org");
const EVIL: HeaderValue = HeaderValue::from_static("https://app.example.org.evil.example");

#[test]
fn a_listed_origin_may_read_the_reply() {
    let told = text(cors(&["https://app.example.org"], true).reply_headers(Some(&APP)));
    assert_eq!(
        told,
        [
            "vary: Origin",
            "access-control-allow-origin: https://app.example.org",
            "access-control-allow-credentials: true",
            "access-control-expose-headers: X-Request-ID, Retry-After, X-RateLimit-Limit, \
             X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Policy, RateLimit, \
             RateLimit-Policy, DPoP-Nonce, WWW-Authenticate",
        ]
    );
}

#[test]
fn any_other_origin_learns_only_that_the_reply_varies() {
    let cors = cors(&["https://app.example.org"], true);
    for origin in [None, Some(&EVIL), Some(&HeaderValue::from_static("null"))] {
        assert_eq!(text(cors.reply_headers(origin)), ["vary: Origin"]);
        assert_eq!(text(cors.preflight_headers(origin, "GET")), ["vary: Origin"]);
    }
}

#[test]
fn any_origin_comes_without_credentials() {
    let told = text(cors(&["*"], true).reply_headers(Some(&EVIL)));
    assert_eq!(told[0], "access-control-allow-origin: *");
    assert!(!told.iter().any(|line| line.contains("credentials")));
    assert_eq!(text(cors(&["*"], false).reply_headers(None)), [""; 0]);
}

#[test]
fn no_origin_listed_says_nothing() {
    assert_eq!(text(cors(&[], false).reply_headers(Some(&APP))), [""; 0]);
    assert_eq!(text(cors(&[], false).preflight_headers(Some(&APP), "GET")), [""; 0]);
}

#[test]
fn a_preflight_is_told_methods_fields_and_age() {
    let cors = cors(&["https://app.example.org"], false);
    assert_eq!(
        text(cors.preflight_headers(Some(&APP), "GET, HEAD, POST")),
        [
            "vary: Origin",
            "access-control-allow-origin: https://app.example.org",
            "access-control-allow-methods: GET, HEAD, POST",
            "access-control-allow-headers: Authorization, Content-Type, DPoP, X-API-Key, X-Request-ID",
            "access-control-max-age: 600",
        ]
    );
}
