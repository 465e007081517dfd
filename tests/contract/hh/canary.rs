//! No secret of a login ever reaches a log, a metric, an audit event or an operator's listing.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    hh::{ADMIN_PASSWORD, CLIENT_SECRET, House, Wish, code_in, cookie_of, state_of},
    wait::until,
};

#[tokio::test]
async fn no_secret_is_written_anywhere() {
    let house = House::start(Wish { more: "[log]\nlevel = \"debug\"", ..Wish::default() });
    let person = house.person().await;
    let client = house.caller();
    let started = client.get("/auth/login").await.expect(302);
    let state = state_of(&started);
    let cookie = cookie_of(&started).split_once('=').unwrap().1.to_owned();
    let target = format!("/auth/callback?code=code-{person}&state={state}");
    let page = client.with("Cookie", &cookie_of(&started)).get(&target).await.expect(200);
    let code = code_in(&page);
    let body = json!({"exchange_code": code});
    let session = client.post("/auth/exchange", body.clone()).await.expect(200).str("session_id");
    let access = house.token(&session).await.expect(200).str("access_token");

    // Every way in which a secret may stand at the wrong place.
    client.post("/auth/exchange", body).await.expect(400);
    client.get(&target).await.expect(400);
    house.me(&session).await.expect(200);
    client.post("/auth/refresh", json!({"session_id": session})).await.expect(200);
    client.post("/users/me", json!({"session_id": session})).await.expect(405);
    client
        .get(&format!("/nowhere?session_id={session}&code={code}&state={state}"))
        .await
        .expect(404);
    // In a path where none belongs, or with a method that the path has not.
    for path in ["/admin/sessions", "/users/me", "/auth/token", "/nowhere"] {
        let reply = client.get(&format!("{path}/{session}")).await;
        assert!([404, 405].contains(&reply.status), "{path}: {}", reply.status);
        let path = format!("{path}/{session};x");
        client.get(&path).await.expect(if path.starts_with("/admin") { 405 } else { 404 });
    }
    let preflight = client.with("Origin", "https://app.example.org");
    let preflight = preflight.with("Access-Control-Request-Method", "DELETE");
    preflight.call(Method::OPTIONS, &format!("/admin/sessions/{session}"), None).await.expect(200);
    house.admin().delete(&format!("/admin/users/{session}")).await.expect(404);
    let guest = client.with("Cookie", &format!("hh_session_id={session}"));
    guest.get("/api/tasks").await.expect(200);
    house.admin().delete(&format!("/admin/sessions/{session}")).await.expect(200);
    house.admin().delete(&format!("/admin/sessions/{session}")).await.expect(404);
    guest.get("/api/tasks").await.expect(401);
    house.me(&session).await.expect(401);

    // The access lines are written beside the answers.
    until("the last access line", || async {
        let lines = house.gateway.log();
        let is_last =
            |line: &serde_json::Value| line["path"] == "/users/me" && line["status"] == 401;
        lines.iter().any(is_last).then_some(())
    })
    .await;
    let public = client.get("/metrics").await.expect(200).text();
    let internal = house.gateway.operator().get("/metrics").await.expect(200).text();
    let audit = house.gateway.cli_ok(&["audit", "tail", "--output", "json"]);
    let listed = house.gateway.cli_ok(&["session", "list", "--output", "json"]);
    let events = serde_json::to_string(&house.events("").await).unwrap();
    let all = [house.gateway.output(), public, internal, audit, listed, events].join("\n");
    assert!(
        all.contains("/admin/sessions/{id}") && all.contains(&person),
        "looked at the right texts"
    );
    let refresh = format!("refresh-{person}");
    let provider_code = format!("code-{person}");
    for (name, secret) in [
        ("state", &state),
        ("cookie", &cookie),
        ("exchange code", &code),
        ("session", &session),
        ("access token", &access),
        ("refresh token", &refresh),
        ("code of the provider", &provider_code),
        ("client secret", &CLIENT_SECRET.to_owned()),
        ("password", &ADMIN_PASSWORD.to_owned()),
    ] {
        let line = all.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{name}");
    }
}
