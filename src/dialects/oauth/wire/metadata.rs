//! What issuer and protected resource publish of themselves (RFC 8414 section 2, RFC 9728 section 2).

use serde_json::{Map, Value, json};

use crate::{
    dialects::oauth::{AUTHORIZE, INTROSPECT, KEYS, REVOKE, TOKEN},
    identity::AuthorizationServerSettings,
    pipeline::proof::ALGORITHM_NAMES,
};

use super::TOKEN_EXCHANGE;

const CLIENT_PROOFS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
const PROOF_ALGORITHMS: [&str; 5] = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];

/// The issuer's description.
pub fn server(own: &AuthorizationServerSettings) -> Value {
    let mut grants = vec!["client_credentials", TOKEN_EXCHANGE];
    if own.login {
        grants.extend(["authorization_code", "refresh_token"]);
    }
    let mut out = json!({
        "issuer": &*own.issuer,
        "token_endpoint": own.address(TOKEN),
        "jwks_uri": own.address(KEYS),
        "revocation_endpoint": own.address(REVOKE),
        "introspection_endpoint": own.address(INTROSPECT),
        "grant_types_supported": grants,
        "dpop_signing_alg_values_supported": ALGORITHM_NAMES,
        "tls_client_certificate_bound_access_tokens": own.bind_certificates,
        "response_types_supported": if own.login { &["code"][..] } else { &[] },
    });
    if let (true, Some(members)) = (own.login, out.as_object_mut()) {
        let login = [
            ("authorization_endpoint", json!(own.address(AUTHORIZE))),
            ("response_modes_supported", json!(["query"])),
            ("code_challenge_methods_supported", json!(["S256"])),
            ("authorization_response_iss_parameter_supported", json!(true)),
        ];
        members.extend(login.map(|(name, value)| (name.to_owned(), value)));
    }
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = format!("{endpoint}_endpoint_auth_methods_supported");
        let algorithms = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        if let Some(members) = out.as_object_mut() {
            members.insert(methods, json!(CLIENT_PROOFS));
            members.insert(algorithms, json!(PROOF_ALGORITHMS));
        }
    }
    out
}

/// The protected resource's description.
pub fn resource(about: &crate::dialects::ResourceFacts) -> Value {
    let mut out = Map::from_iter([
        ("resource".to_owned(), Value::from(&*about.resource)),
        ("bearer_methods_supported".to_owned(), json!(["header"])),
    ]);
    let lists = [
        ("authorization_servers", &about.authorization_servers),
        ("scopes_supported", &about.scopes),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            let list = list.iter().map(|text| Value::from(&**text)).collect();
            out.insert(name.to_owned(), list);
        }
    }
    let texts = [("resource_name", &about.name), ("resource_documentation", &about.documentation)];
    for (name, text) in texts {
        if let Some(text) = text {
            out.insert(name.to_owned(), Value::from(&**text));
        }
    }
    Value::Object(out)
}
