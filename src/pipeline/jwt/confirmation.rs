//! The `cnf` claim (RFC 7800, RFC 9449 section 6.1, RFC 8705 section 3.1).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::model::{Confirmation, confirmation::Thumbprint};

/// What a token is bound to. Outer `None`: to something that nobody here can verify, so that the token is good for nothing.
pub(super) fn read(claims: &Map<String, Value>) -> Option<Option<Confirmation>> {
    let Some(value) = claims.get("cnf") else { return Some(None) };
    let Value::Object(members) = value else { return None };
    let mut found = Confirmation::default();
    for (name, value) in members {
        let place = match name.as_str() {
            "jkt" => &mut found.key,
            "x5t#S256" => &mut found.certificate,
            // A binding that is passed over is none.
            _ => return None,
        };
        *place = Some(thumbprint(value.as_str()?)?);
    }
    (found != Confirmation::default()).then_some(Some(found))
}

fn thumbprint(text: &str) -> Option<Thumbprint> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(cnf: Value) -> Option<Option<Confirmation>> {
        read(json!({ "cnf": cnf }).as_object().unwrap())
    }

    #[test]
    fn only_what_can_be_verified_is_a_binding() {
        let (one, other) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]));
        let confirmation = |key, certificate| Some(Some(Confirmation { key, certificate }));
        assert_eq!(of(json!({ "jkt": one })), confirmation(Some([1; 32]), None));
        assert_eq!(of(json!({ "x5t#S256": other })), confirmation(None, Some([2; 32])));
        let both = confirmation(Some([1; 32]), Some([2; 32]));
        assert_eq!(of(json!({ "jkt": one, "x5t#S256": other })), both);
        assert_eq!(read(&Map::new()), Some(None));
        for bad in [
            json!(null),
            json!({}),
            json!("jkt"),
            json!([]),
            json!({ "jkt": null }),
            json!({ "jkt": 1 }),
            json!({ "jkt": "" }),
            json!({ "jkt": "AAAA" }),
            json!({ "jkt": format!("{one}=") }),
            json!({ "jwk": {} }),
            json!({ "jkt": one, "kid": "x" }),
            json!({ "x5t": one }),
            json!({ "JKT": one }),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
    }
}
