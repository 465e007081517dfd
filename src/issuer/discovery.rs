//! The metadata of an issuer (OpenID Connect Discovery 1.0, RFC 8414): where its keys are, and what a login there needs.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::client::{FetchFault, is_safe};

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// What the metadata of a provider says to those who log in through it. What cannot be used is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Where browsers are sent.
    pub authorize: Option<Url>,
    /// Where codes are traded.
    pub token: Option<Url>,
    /// Where browsers are sent to log out there as well.
    pub end_session: Option<Url>,
    /// Whether it always says in its answers who it is (RFC 9207).
    pub says_issuer: bool,
    /// Whether it wants our secret in the body and nowhere else.
    pub secret_in_body: bool,
}

impl Described {
    /// Reads it out of metadata that were found good by [`keys_at`].
    pub(super) fn read(body: &[u8], metadata: &Url, origins: &[String]) -> Self {
        let all: Value = serde_json::from_slice(body).unwrap_or_default();
        let address = |name: &str| {
            let url = Url::parse(all.get(name)?.as_str()?).ok()?;
            (is_safe(&url) && url.username().is_empty() && url.password().is_none()).then_some(url)
        };
        // Our secret goes there; where a browser goes, the person sees.
        let ours = |url: &Url| is_allowed(url, metadata, origins);
        let methods = all.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
        let knows = |name: &str| methods.is_some_and(|all| all.iter().any(|one| one == name));
        Self {
            authorize: address("authorization_endpoint"),
            token: address("token_endpoint").filter(ours),
            end_session: address("end_session_endpoint"),
            says_issuer: all.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            secret_in_body: knows("client_secret_post") && !knows("client_secret_basic"),
        }
    }
}

/// Whether the configuration lets us ask there.
fn is_allowed(url: &Url, metadata: &Url, origins: &[String]) -> bool {
    url.origin() == metadata.origin() || origins.contains(&url.origin().ascii_serialization())
}

/// Where the keys are, if the metadata is that of this issuer and names a place where its keys may be.
pub(super) fn keys_at(
    body: &[u8],
    issuer: &str,
    metadata: &Url,
    origins: &[String],
) -> Result<Url, FetchFault> {
    let wrong = FetchFault::Metadata;
    let found: Metadata = serde_json::from_slice(body)
        .map_err(|_| wrong("the metadata has no issuer and jwks_uri (RFC 8414)"))?;
    // Section 4.3 of Discovery: else one issuer could speak for another.
    if found.issuer != issuer {
        return Err(wrong("the metadata is that of another issuer"));
    }
    let url = Url::parse(&found.jwks_uri).map_err(|_| wrong("jwks_uri is no URL"))?;
    if !is_allowed(&url, metadata, origins)
        || !is_safe(&url)
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(wrong("jwks_uri is at an origin that the configuration does not name"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(issuer: &str, jwks_uri: &str) -> Result<String, FetchFault> {
        let body = json!({ "issuer": issuer, "jwks_uri": jwks_uri, "more": [] }).to_string();
        let metadata = Url::parse("https://a.example/.well-known/openid-configuration").unwrap();
        let origins = ["https://keys.example:8443".to_owned(), "http://plain.example".to_owned()];
        keys_at(body.as_bytes(), "https://a.example", &metadata, &origins).map(String::from)
    }

    #[test]
    fn our_secret_goes_only_where_the_configuration_lets_it_go() {
        let metadata = Url::parse("https://a.example/.well-known/openid-configuration").unwrap();
        let read = |body: Value| {
            Described::read(body.to_string().as_bytes(), &metadata, &["https://b.example".into()])
        };
        for (uri, token, authorize) in [
            ("https://a.example/x", true, true),
            ("https://b.example/x", true, true),
            ("https://c.example/x", false, true),
            ("http://a.example/x", false, false),
            ("https://u@a.example/x", false, false),
            ("javascript:alert(1)", false, false),
            ("/x", false, false),
        ] {
            let found = read(json!({ "token_endpoint": uri, "authorization_endpoint": uri }));
            assert_eq!(found.token.is_some(), token, "{uri}");
            assert_eq!(found.authorize.is_some(), authorize, "{uri}");
        }
        assert_eq!(read(json!([])), Described::default());
        for (methods, in_body) in [
            (json!(["client_secret_post"]), true),
            (json!(["client_secret_basic", "client_secret_post"]), false),
            (json!("client_secret_post"), false),
        ] {
            let found = read(json!({ "token_endpoint_auth_methods_supported": methods }));
            assert_eq!(found.secret_in_body, in_body, "{methods}");
        }
    }

    // requirement: 8
    #[test]
    fn keys_are_only_where_the_configuration_lets_them_be() {
        for (uri, allowed) in [
            ("https://a.example/jwks", true),
            ("https://a.example:443/jwks", true),
            ("https://keys.example:8443/x?y=z", true),
            ("https://keys.example/x", false),
            ("http://a.example/jwks", false),
            ("http://plain.example/jwks", false),
            ("https://a.example.evil.example/jwks", false),
            ("https://a.example@evil.example/jwks", false),
            ("https://user@a.example/jwks", false),
            ("https://169.254.169.254/latest", false),
            ("file:///etc/passwd", false),
            ("/jwks", false),
        ] {
            assert_eq!(found("https://a.example", uri).is_ok(), allowed, "{uri}");
        }
        assert!(found("https://a.example/", "https://a.example/jwks").is_err());
        let url = Url::parse("https://a.example/").unwrap();
        for body in ["", "{}", "[]", "<html>", r#"{"issuer":"https://a.example"}"#] {
            assert!(keys_at(body.as_bytes(), "https://a.example", &url, &[]).is_err(), "{body}");
        }
    }
}
