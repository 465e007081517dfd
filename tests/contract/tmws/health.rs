//! `GET /health`.

use crate::support::tmws::{assert_common_headers, caller, shared};

#[tokio::test]
async fn health_is_an_object_anyone_may_ask_for() {
    let reply = caller(shared()).get("/health").await.expect(200);
    assert_common_headers(&reply);
    let body = reply.json();
    assert_eq!(body["status"], "healthy");
    let time = body["timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(body["components"]["authentication"], "enabled");
    assert!(body["auth_mode"].is_string() && body["security_level"].is_string(), "{body}");
}

#[tokio::test]
async fn a_bad_credential_does_not_make_it_sick() {
    caller(shared()).bearer("rubbish").get("/health").await.expect(200);
    caller(shared()).call(reqwest::Method::HEAD, "/health", None).await.expect(200);
}

#[tokio::test]
async fn the_operators_side_is_not_public() {
    // At this address it is hh that shows the two families its contract fixes, and nothing of the process.
    let reply = caller(shared()).get("/metrics").await.expect(200);
    let named = |line: &&str| line.starts_with("# TYPE ");
    let families: Vec<_> = reply.text().lines().filter(named).map(str::to_owned).collect();
    assert_eq!(
        families,
        ["# TYPE requests_total counter", "# TYPE request_duration_seconds histogram"]
    );
    for path in ["/livez", "/readyz", "/v1/users", "/v1/openapi.json"] {
        assert_eq!(caller(shared()).get(path).await.status, 404, "{path}");
    }
}
