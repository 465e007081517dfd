//! Introspection for services, and revocation.

use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{Bench, claims},
    support::{operate, tmws},
};

// requirement: 10
#[tokio::test]
async fn a_token_is_active_until_it_is_revoked_and_not_a_request_longer() {
    let bench = Bench::start();
    let client = bench.service();
    let service = bench.client(&["--grant", "introspection"]);
    let token = bench.own_token(&client).await;
    let said = claims(&token);
    let told = bench.introspect(&service, &token).await;
    assert_eq!(told["active"], json!(true));
    assert_eq!(told["token_type"], json!("Bearer"));
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"] {
        assert_eq!(told[name], said[name], "{name}");
    }
    // Somebody else's request to revoke it changes nothing, and says nothing.
    let other = bench.service();
    bench.post("/oauth/revoke", Some(&other), &[("token", &token)]).await.expect(200);
    assert!(bench.passes(&token).await);
    bench.post("/oauth/revoke", Some(&client), &[("token", &token)]).await.expect(200);
    assert!(!bench.passes(&token).await);
    assert_eq!(bench.introspect(&service, &token).await, json!({ "active": false }));
    bench.post("/oauth/revoke", Some(&client), &[("token", &token)]).await.expect(200);
    bench.post("/oauth/revoke", Some(&client), &[("token", "nonsense")]).await.expect(200);
    bench.post("/oauth/revoke", None, &[("token", &token)]).await.expect(401);
}

#[tokio::test]
async fn only_services_may_ask_and_nothing_is_told_of_what_is_no_token() {
    let bench = Bench::start();
    let service = bench.client(&["--grant", "introspection"]);
    let client = bench.service();
    let token = bench.own_token(&client).await;
    let refused = bench.post("/oauth/introspect", Some(&client), &[("token", &token)]).await;
    assert_eq!(refused.expect(400).str("error"), "unauthorized_client");
    bench.post("/oauth/introspect", None, &[("token", &token)]).await.expect(401);
    let mut forged = token.clone();
    forged.replace_range(token.len() - 4.., "AAAA");
    for odd in ["x", "a.b.c", &forged, &"x".repeat(9000)] {
        assert_eq!(bench.introspect(&service, odd).await, json!({ "active": false }), "{odd:.20}");
    }
    // A token of the contract's own login is one of this mount too.
    let login = bench.login().await;
    let told = bench.introspect(&service, &login).await;
    assert_eq!((&told["active"], &told["username"]), (&json!(true), &json!(operate::ADMIN)));
    let out = bench.caller().bearer(&login).call(Method::POST, "/api/v1/auth/logout", None).await;
    assert!(out.status < 300, "{}", out.status);
    assert_eq!(bench.introspect(&service, &login).await, json!({ "active": false }));
    let _ = tmws::GOOD_PASSWORD;
}
