//! `client_credentials`: what a token says, what it reaches, and who gets none.

use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{Bench, Made, claims, seconds},
    support::{operate, wire::Reply},
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[track_caller]
fn refused(reply: Reply, status: u16, error: &str) {
    let reply = reply.expect(status);
    assert_eq!(reply.str("error"), error);
    assert!(reply.json().get("access_token").is_none());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
}

// requirement: 7
#[tokio::test]
async fn a_token_is_of_the_standard_profile_and_reaches_what_its_scopes_and_roles_both_reach() {
    let bench = Bench::start();
    let client = bench.service();
    let reply = bench.token(&client, &[GRANT]).await.expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!((reply.str("token_type"), reply.int("expires_in")), ("Bearer".into(), 3600));
    assert_eq!(reply.str("scope"), "READ WRITE");
    let token = reply.str("access_token");
    let said = claims(&token);
    let (now, issuer) = (seconds(), bench.issuer());
    for (name, value) in [
        ("iss", json!(issuer)),
        ("aud", json!(issuer)),
        ("sub", json!(client.id)),
        ("client_id", json!(client.id)),
        ("scope", json!("READ WRITE")),
        ("roles", json!(["SERVICE"])),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert!(said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap() == 3600);
    assert!(said["iat"].as_u64().unwrap().abs_diff(now) < 60);
    assert!(said["jti"].as_str().unwrap().len() >= 32);
    assert_eq!(bench.ask(&token, Method::GET, "/api/v1/tasks/1").await, 200);
    assert_eq!(bench.ask(&token, Method::POST, "/reports/1").await, 200);
    let seen = bench.upstream.seen();
    let seen = seen.last().unwrap();
    assert_eq!(seen.field("x-auth-subject").as_deref(), Some(client.id.as_str()));
    assert_eq!(seen.field("x-auth-scopes").as_deref(), Some("READ WRITE"));
    assert_eq!(seen.field("x-auth-roles").as_deref(), Some("SERVICE"));
    assert!(seen.all("authorization").is_empty());
    // Narrower, because it was asked for.
    let reply = bench.token(&client, &[GRANT, ("scope", "READ")]).await.expect(200);
    let token = reply.str("access_token");
    assert_eq!(bench.ask(&token, Method::GET, "/reports/1").await, 200);
    assert_eq!(bench.ask(&token, Method::POST, "/reports/1").await, 403);
    assert_eq!(bench.ask(&token, Method::POST, "/api/v1/tasks").await, 403);
}

// requirement: 9
#[tokio::test]
async fn scopes_alone_reach_nothing_and_neither_do_roles() {
    let bench = Bench::start();
    let cases: [&[&str]; 2] = [&["--scope", "WRITE"], &["--role", "SERVICE"]];
    for more in cases {
        let client = bench.client(&[&["--grant", "client_credentials"], more].concat());
        let token = bench.own_token(&client).await;
        assert!(bench.passes(&token).await);
        for path in ["/reports/1", "/api/v1/tasks/1"] {
            assert_eq!(bench.ask(&token, Method::GET, path).await, 403, "{more:?} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_gets_more_than_he_was_made_with() {
    let bench = Bench::start();
    let client = bench.service();
    for (fields, error) in [
        (&[GRANT, ("scope", "ADMIN")][..], "invalid_scope"),
        (&[GRANT, ("scope", "READ ADMIN")], "invalid_scope"),
        (&[GRANT, ("scope", "READX")], "invalid_scope"),
        (&[GRANT, ("resource", "https://other.example")], "invalid_target"),
        (&[GRANT, GRANT], "invalid_request"),
        (&[("scope", "READ")], "invalid_request"),
        (&[("grant_type", "password")], "unsupported_grant_type"),
        (
            &[
                ("grant_type", crate::bench::EXCHANGE),
                ("subject_token", "x"),
                ("subject_token_type", crate::bench::ACCESS_TOKEN),
            ],
            "unauthorized_client",
        ),
    ] {
        refused(bench.token(&client, fields).await, 400, error);
    }
    let other = bench.client(&[
        "--grant",
        "client_credentials",
        "--scope",
        "READ",
        "--resource",
        "https://other.example",
    ]);
    let reply = bench.token(&other, &[GRANT, ("resource", "https://other.example")]).await;
    let token = reply.expect(200).str("access_token");
    assert_eq!(claims(&token)["aud"], json!("https://other.example"));
    assert!(!bench.passes(&token).await, "a token for another resource is none here");
}

// requirement: 13
#[tokio::test]
async fn only_the_client_itself_gets_one() {
    let bench = Bench::start();
    let client = bench.service();
    let other = bench.service();
    let with = |secret: &str| Made { secret: secret.to_owned(), ..client.clone() };
    for wrong in
        [with("x"), with(""), with(&other.secret), Made { id: "x".into(), ..client.clone() }]
    {
        refused(bench.token(&wrong, &[GRANT]).await, 401, "invalid_client");
    }
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let none = bench.post("/oauth/token", None, &[GRANT]).await;
    refused(none, 401, "invalid_client");
    let named = bench.post("/oauth/token", None, &[GRANT, ("client_id", id)]).await;
    refused(named, 401, "invalid_client");
    let posted = [GRANT, ("client_id", id), ("client_secret", secret)];
    bench.post("/oauth/token", None, &posted).await.expect(200);
    refused(bench.token(&client, &posted).await, 400, "invalid_request");
    let text = bench.gateway.output();
    assert!(!text.contains(secret), "the secret stands in the log");
}

#[tokio::test]
async fn guesses_are_counted_by_address_and_client() {
    let bench = Bench::start();
    let client = bench.service();
    let address = crate::support::tmws::fresh_address();
    let http = crate::support::client::Client::from(&bench.gateway.url(), address);
    let try_with = async |secret: &str| {
        let form =
            format!("grant_type=client_credentials&client_id={}&client_secret={secret}", client.id);
        let body = Some((crate::bench::FORM, form.into_bytes()));
        http.send(Method::POST, "/oauth/token", body).await
    };
    for _ in 0..10 {
        refused(try_with("wrong").await, 401, "invalid_client");
    }
    let limited = try_with(&client.secret).await.expect(429);
    assert!(limited.header("retry-after").is_some());
    assert_eq!(limited.str("error"), "temporarily_unavailable");
    // From elsewhere it is not locked out.
    bench.own_token(&client).await;
}

// requirement: 7
#[tokio::test]
async fn the_contracts_own_endpoints_take_its_own_tokens_only() {
    let bench = Bench::start();
    let client = bench.service();
    let token = bench.own_token(&client).await;
    let body = json!({ "name": "mine", "scopes": ["FULL"] });
    let caller = bench.caller().bearer(&token);
    caller.post("/api/v1/auth/api-keys", body).await.expect(401);
    caller.get("/api/v1/auth/api-keys").await.expect(401);
    // And its own login goes on as ever, beside the issuer.
    let login = bench.login().await;
    assert!(bench.passes(&login).await);
    assert_eq!(claims(&login)["iss"], json!("tmws-auth-service"));
    bench.caller().bearer(&login).get("/api/v1/auth/api-keys").await.expect(200);
    let _ = operate::ADMIN;
}
