//! Trap 4: one of the SDKs refreshes on every 401, also on that of the refresh itself. Only an answer other than 401 stops
//! it, so the requests are counted.

use reqwest::Method;
use serde_json::{Value, json};

use super::shared;
use crate::support::{
    archon::{assert_error, caller, data, user},
    client::Client,
    wire::Reply,
};

/// Does as the TypeScript SDK's interceptor: a 401 makes it refresh and try again, with the refresh sent the same way.
struct Sdk {
    http: Client,
    access: String,
    refresh: String,
    requests: usize,
}

impl Sdk {
    /// The SDK has no bound of its own; this one only ends a test that has failed.
    const ENDLESS: usize = 50;

    fn new(http: Client, login: &Value) -> Self {
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        Self { http, access: text("accessToken"), refresh: text("refreshToken"), requests: 0 }
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut waiting = vec![(method, path.to_owned(), body)];
        loop {
            assert!(self.requests < Self::ENDLESS, "it goes on without end");
            self.requests += 1;
            let (method, path, body) = waiting.last().unwrap().clone();
            let reply = self.http.bearer(&self.access).call(method, &path, body).await;
            if reply.status == 401 {
                let body = json!({ "refreshToken": self.refresh });
                waiting.push((Method::POST, "/auth/refresh".into(), Some(body)));
                continue;
            }
            waiting.pop();
            if waiting.is_empty() || reply.status != 200 {
                // An error other than 401 goes through all waiting calls.
                return reply;
            }
            self.access = reply.json()["data"]["accessToken"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn a_good_refresh_goes_on_with_the_same_refresh_token_for_ever() {
    let gateway = &shared().gateway;
    let (_, _, login) = user(gateway, "user").await;
    let mut sdk = Sdk::new(caller(gateway), &login);
    for round in 1..=3 {
        sdk.access = "gone".into();
        assert_eq!(sdk.call(Method::GET, "/users/me", None).await.status, 200);
        assert_eq!(sdk.requests, 3 * round, "the call, the refresh, the call again");
    }
}

#[tokio::test]
async fn a_rejected_refresh_stops_the_sdk_after_a_few_requests() {
    let gateway = &shared().gateway;
    let (_, _, login) = user(gateway, "user").await;
    let mut sdk = Sdk::new(caller(gateway), &login);
    sdk.access = "gone".into();
    sdk.refresh = "rejected".into();
    let reply = sdk.call(Method::GET, "/users/me", None).await;
    assert_error(&reply, 429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(sdk.requests, 5, "the call, and the fourth rejected refresh ends it");
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(reply.json()["error"]["details"]["retry_after"].is_u64());
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_stops_the_sdk() {
    let gateway = &shared().gateway;
    let (_, client, login) = user(gateway, "user").await;
    let mut sdk = Sdk::new(caller(gateway), &login);
    assert_eq!(sdk.call(Method::GET, "/users/me", None).await.status, 200);
    data(&client.post("/auth/logout", Value::Null).await);
    let before = sdk.requests;
    let reply = sdk.call(Method::GET, "/users/me", None).await;
    assert_error(&reply, 429, "RATE_LIMIT_EXCEEDED");
    assert!(sdk.requests - before <= 5, "{} requests", sdk.requests - before);
}

#[tokio::test]
async fn what_is_not_about_the_credential_is_never_401() {
    let gateway = &shared().gateway;
    let (_, _, login) = user(gateway, "user").await;
    let mut sdk = Sdk::new(caller(gateway), &login);
    let wrong = json!({ "currentPassword": "wrong", "newPassword": "Another9Horse@" });
    let reply = sdk.call(Method::PUT, "/users/me/password", Some(wrong)).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    let reply = sdk.call(Method::GET, "/admin/users", None).await;
    assert_error(&reply, 403, "AUTH_INSUFFICIENT_PERMISSIONS");
    let asked = json!({ "agentType": "security_auditor", "capabilitiesRequested": [] });
    let reply = sdk.call(Method::POST, "/auth/agents/authenticate", Some(asked)).await;
    assert_error(&reply, 403, "AGENT_UNAUTHORIZED");
    assert_eq!(sdk.requests, 3, "no call was tried again");
}
