//! The metadata of an issuer (OpenID Connect Discovery 1.0, RFC 8414): all that is taken from it is where its keys are.

use serde::Deserialize;
use url::Url;

use super::client::{FetchFault, is_safe};

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
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
    let origin = url.origin().ascii_serialization();
    let allowed = url.origin() == metadata.origin() || origins.contains(&origin);
    if !allowed || !is_safe(&url) || !url.username().is_empty() || url.password().is_some() {
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
