//! The character NUL in a text: no store is asked with it, so every engine answers alike, and none with a failure of its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    operate,
    tmws::{assert_error, caller, refresh, shared, try_login, user},
};

const NUL: &str = "a\0b";

#[tokio::test]
async fn a_nul_in_a_text_is_a_fault_of_the_request() {
    let gateway = shared();
    let (person, client, _) = user(gateway).await;
    let named = |name: &str, scope: &str| json!({"name": name, "scopes": [scope]});
    for reply in [
        try_login(&caller(gateway), NUL, "whatever").await,
        client.post("/api/v1/auth/api-keys", named(NUL, "READ")).await,
        client.post("/api/v1/auth/api-keys", named("key", NUL)).await,
    ] {
        assert_error(&reply, 422, "Validation Error");
    }
    // Of what is secret nothing is said but that it is wrong.
    let wrong = try_login(&caller(gateway), &person.name, "what\0ever").await;
    assert_eq!(wrong.status, 401, "{}", wrong.text());
    for token in [NUL, "a\0.b"] {
        let wrong = refresh(&caller(gateway), token).await;
        assert_eq!(wrong.status, 401, "{}", wrong.text());
    }
    let path = caller(gateway).call(Method::GET, "/api/v1/keys/a%00b", None).await;
    assert!((400..500).contains(&path.status), "{}", path.text());
}

#[tokio::test]
async fn the_operator_is_told_of_it_too() {
    let gateway = shared();
    let user = json!({"username": NUL, "password": "an acceptable password 123"});
    operate::call(gateway, "POST", "/v1/users", user).expect(422);
    for path in ["/v1/sessions?user=a%00b", "/v1/users/a%00b/links", "/v1/keys?mount=%00"] {
        let reply = operate::call(gateway, "GET", path, Value::Null);
        assert_eq!(reply.status, 422, "{path}: {}", reply.text());
    }
    // A backslash that stands for itself is none.
    let name = format!("{}\\u0000", crate::support::tmws::fresh_name());
    let user = json!({"username": name, "password": "an acceptable password 123"});
    let reply = operate::call(gateway, "POST", "/v1/users", user);
    assert!(!reply.text().contains("NUL"), "{}", reply.text());
}
