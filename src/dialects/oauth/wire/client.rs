//! How a client says who it is: HTTP Basic, two fields of the body, or a signed proof. Exactly one of them (RFC 6749 section
//! 2.3); nothing at all is no proof.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

use crate::{
    dialects::fields::Fields,
    identity::{ClientProof, GrantFault},
    model::SecretString,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the body says of the client.
#[derive(Debug)]
pub struct Presented {
    id: Option<String>,
    secret: Option<SecretString>,
    assertion_type: Option<String>,
    assertion: Option<SecretString>,
}

impl Presented {
    /// Takes its fields.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            id: fields.optional_text("client_id", usize::MAX),
            secret: fields.optional_secret("client_secret"),
            assertion_type: fields.optional_text("client_assertion_type", usize::MAX),
            assertion: fields.optional_secret("client_assertion"),
        }
    }
}

/// The one proof that came.
pub fn presented(headers: &HeaderMap, body: Presented) -> Result<ClientProof, GrantFault> {
    const TWICE: GrantFault = GrantFault::Request("The client must authenticate in one way only");
    let Presented { id, secret, assertion_type, assertion } = body;
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let basic = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(field), None) => {
            let text = field.to_str().ok().and_then(basic);
            Some(text.ok_or(GrantFault::Client)?)
        }
        _ => return Err(TWICE),
    };
    match (basic, secret, assertion) {
        (Some((name, secret)), None, None) => {
            if id.is_some_and(|id| id != name) {
                return Err(TWICE);
            }
            Ok(ClientProof::Secret { id: name, secret })
        }
        (None, Some(secret), None) => {
            let id = id.ok_or(GrantFault::Client)?;
            Ok(ClientProof::Secret { id, secret })
        }
        (None, None, Some(text)) => {
            if assertion_type.as_deref() != Some(ASSERTION_TYPE) {
                return Err(GrantFault::Request("client_assertion_type is not supported"));
            }
            Ok(ClientProof::Assertion { id, text })
        }
        (None, None, None) => Err(GrantFault::Client),
        _ => Err(TWICE),
    }
}

/// RFC 6749 section 2.3.1: both parts are encoded as in a form before they are put into HTTP Basic.
fn basic(field: &str) -> Option<(String, SecretString)> {
    let (scheme, rest) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = plain.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?.into()))
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::model::secret::ExposeSecret;

    fn headers(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for text in fields {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap());
        }
        headers
    }

    fn body(id: Option<&str>, secret: Option<&str>, assertion: Option<&str>) -> Presented {
        Presented {
            id: id.map(Into::into),
            secret: secret.map(Into::into),
            assertion_type: assertion.map(|_| ASSERTION_TYPE.to_owned()),
            assertion: assertion.map(Into::into),
        }
    }

    #[test]
    fn one_way_and_no_other() {
        let basic = format!("Basic {}", STANDARD.encode("a%3Ab:c+d%2B"));
        let code = |fields: &[&str], body| match presented(&headers(fields), body) {
            Ok(ClientProof::Secret { id, secret }) => format!("{id}/{}", secret.expose_secret()),
            Ok(ClientProof::Assertion { text, .. }) => text.expose_secret().to_owned(),
            Err(refused) => refused.code().to_owned(),
        };
        assert_eq!(code(&[&basic], body(None, None, None)), "a:b/c d+");
        assert_eq!(code(&[&basic], body(Some("a:b"), None, None)), "a:b/c d+");
        assert_eq!(code(&[], body(Some("a"), Some("b"), None)), "a/b");
        assert_eq!(code(&[], body(None, None, Some("x"))), "x");
        for (fields, sent, expected) in [
            (&[][..], body(Some("a"), None, None), "invalid_client"),
            (&[][..], body(None, None, None), "invalid_client"),
            (&[][..], body(None, Some("b"), None), "invalid_client"),
            (&[&*basic][..], body(Some("c"), None, None), "invalid_request"),
            (&[&*basic][..], body(None, Some("b"), None), "invalid_request"),
            (&[&*basic, &*basic][..], body(None, None, None), "invalid_request"),
            (&[][..], body(Some("a"), Some("b"), Some("x")), "invalid_request"),
            (&["Bearer x"][..], body(Some("a"), Some("b"), None), "invalid_client"),
            (&["Basic !"][..], body(None, None, None), "invalid_client"),
        ] {
            assert_eq!(code(fields, sent), expected, "{fields:?}");
        }
        let odd = Presented { assertion_type: None, ..body(None, None, Some("x")) };
        assert_eq!(code(&[], odd), "invalid_request");
    }
}
