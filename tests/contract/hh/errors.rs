//! Refusals of every kind in the contract's shape; health, metrics, preflight.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    hh::{House, Wish, assert_refused},
    wait::until,
};

#[tokio::test]
async fn what_is_not_there_is_404_and_another_method_405() {
    let house = House::shared();
    for path in ["/nowhere", "/", "/auth", "/admin"] {
        assert_refused(&house.caller().get(path).await, 404, "Not Found");
    }
    for (method, path) in [
        (Method::POST, "/auth/login"),
        (Method::GET, "/auth/exchange"),
        (Method::PUT, "/users/me"),
        (Method::PATCH, "/admin/users"),
        (Method::POST, "/health"),
    ] {
        let reply = house.caller().call(method, path, None).await;
        assert_refused(&reply, 405, "Method Not Allowed");
        assert!(reply.header("allow").is_some_and(|allow| !allow.is_empty()));
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_413_415_and_422() {
    let house = House::shared();
    let client = house.caller();
    let send = |kind: &'static str, body: Vec<u8>| {
        let client = client.clone();
        async move { client.send(Method::POST, "/auth/exchange", Some((kind, body))).await }
    };
    let reply = send("text/plain", b"exchange_code=x".to_vec()).await;
    assert_refused(&reply, 415, "Unsupported Media Type");
    assert_refused(&send("application/json", b"{".to_vec()).await, 422, "Invalid request data");
    assert_refused(&send("application/json", Vec::new()).await, 422, "Invalid request data");
    let large = format!("{{\"exchange_code\":\"{}\"}}", "x".repeat(70_000)).into_bytes();
    assert_refused(&send("application/json", large).await, 413, "Payload Too Large");
}

#[tokio::test]
async fn both_spellings_of_a_path_are_one() {
    let house = House::shared();
    let (_, session) = house.session().await;
    let body = json!({"session_id": session});
    house.caller().post("/auth/token/", body.clone()).await.expect(200);
    house.caller().post("//auth/token", body).await.expect(200);
    house.caller().get(&format!("/users/me/?session_id={session}")).await.expect(200);
}

#[tokio::test]
async fn health_is_an_object_with_its_version() {
    let house = House::shared();
    let health = house.caller().get("/health").await.expect(200);
    assert_eq!((health.str("status"), health.str("version")), ("healthy".into(), "2.0.0".into()));
    assert!(health.str("timestamp").ends_with('Z'));
}

#[tokio::test]
async fn metrics_are_the_two_families_by_template() {
    let house = House::start(Wish::default());
    let (_, session) = house.session().await;
    house.me(&session).await.expect(200);
    house.admin().delete("/admin/users/12345").await.expect(404);
    // Counted when the answer is out.
    let text = until("the figures", || async {
        let reply = house.caller().get("/metrics").await.expect(200);
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = reply.text();
        let line = "requests_total{method=\"DELETE\",endpoint=\"/admin/users/{hh_user_id}\"} 1";
        text.contains(line).then_some(text)
    })
    .await;
    for line in [
        "# HELP requests_total Total number of requests",
        "requests_total{method=\"GET\",endpoint=\"/users/me\"} 1",
        "request_duration_seconds_bucket{method=\"GET\",endpoint=\"/users/me\",le=\"0.1\"}",
        "request_duration_seconds_sum{",
        "request_duration_seconds_count{",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains(&session));
}

#[tokio::test]
async fn a_broken_configuration_is_told_as_a_whole() {
    let house = House::start(Wish::default());
    let file = &house.gateway.config;
    let good = std::fs::read_to_string(file).unwrap();
    for (from, to, what) in [
        ("client_id = ", "#client_id = ", "missing key"),
        ("password_hash = \"$", "password_hash = \"$2b$04$", "password_hash"),
        ("/auth/callback\"", "/auth/callback#x\"", "bad address"),
        ("cookie = \"hh_session_id\"", "cookie = \"a b\"", "bad cookie name"),
        ("session = {", "#session = {", "session on mount"),
        ("[mount.login]", "[mount.login]\nsession_lifetime = \"0s\"", "out of range"),
        ("[mount.login]", "[mount.login]\nlifetime = \"1s\"", "unknown key"),
        ("token_url = \"http://127.0.0.1", "token_url = \"http://192.0.2.1", "in clear"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(file, good.replacen(from, to, 1)).unwrap();
        let checked = house.gateway.cli(&["check"]);
        let said = crate::support::gateway::said(&checked);
        assert!(!checked.status.success() && said.contains(what), "{to}: {said}");
    }
}
