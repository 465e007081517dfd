//! Clients as the operator makes and ends them.

use serde_json::Value;

use crate::bench::{Bench, Made};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn events(bench: &Bench) -> Vec<String> {
    let text = bench.gateway.cli_ok(&["audit", "export"]);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

// requirement: 10
#[tokio::test]
async fn what_a_disabled_client_holds_ends_at_the_next_request() {
    let bench = Bench::start();
    let (client, other) = (bench.service(), bench.service());
    let (token, kept) = (bench.own_token(&client).await, bench.own_token(&other).await);
    assert!(bench.passes(&token).await);
    bench.gateway.cli_ok(&["client", "disable", &client.id]);
    assert!(!bench.passes(&token).await);
    assert!(bench.passes(&kept).await, "another client does not notice");
    assert_eq!(bench.token(&client, &[GRANT]).await.expect(401).str("error"), "invalid_client");
    bench.gateway.cli_ok(&["client", "enable", &client.id]);
    assert!(!bench.passes(&token).await, "what ended stays ended");
    let token = bench.own_token(&client).await;
    assert!(bench.passes(&token).await);
    bench.gateway.cli_ok(&["client", "remove", &client.id]);
    assert!(!bench.passes(&token).await);
    assert!(bench.passes(&kept).await);
    let listed = bench.gateway.cli_json(&["client", "list"]);
    let ids: Vec<_> = listed["clients"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
    assert_eq!(ids, [&Value::from(other.id.as_str())]);
    let told = events(&bench);
    for wanted in [
        "CLIENT_CREATED",
        "TOKEN_ISSUED",
        "CLIENT_DISABLED",
        "CLIENT_ENABLED",
        "CLIENT_REMOVED",
        "CLIENT_REFUSED",
    ] {
        assert!(told.iter().any(|event| event == wanted), "{wanted}: {told:?}");
    }
    bench.gateway.cli_ok(&["audit", "verify"]);
}

// requirement: 10
#[tokio::test]
async fn what_has_ended_stays_ended_over_a_kill() {
    let upstream = crate::support::upstream::Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let places = crate::support::gateway::Places {
        public: crate::support::ports::free_address(),
        operator: crate::support::ports::free_address(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let text = crate::bench::configuration(&places, &upstream, "").text();
    let start = || crate::support::gateway::Gateway::start_in(&places, &text);
    let bench = Bench { gateway: start(), upstream };
    let client = bench.service();
    let (ended, good) = (bench.own_token(&client).await, bench.own_token(&client).await);
    bench.post("/oauth/revoke", Some(&client), &[("token", &ended)]).await.expect(200);
    bench.gateway.kill();
    let bench = Bench { gateway: start(), upstream: bench.upstream };
    assert!(!bench.passes(&ended).await);
    assert!(bench.passes(&good).await, "keys and tokens outlive a crash");
}

// requirement: 14
#[tokio::test]
async fn a_secret_is_replaced_with_an_overlap_and_its_tokens_go_on() {
    let bench = Bench::start();
    let client = bench.service();
    let token = bench.own_token(&client).await;
    let renew = |overlap: &str| {
        let made =
            bench.gateway.cli_json(&["client", "rotate-secret", &client.id, "--overlap", overlap]);
        Made { secret: made["client_secret"].as_str().unwrap().to_owned(), ..client.clone() }
    };
    let second = renew("3600");
    assert_ne!(second.secret, client.secret);
    for both in [&client, &second] {
        bench.own_token(both).await;
    }
    let third = renew("0");
    bench.own_token(&third).await;
    for old in [&client, &second] {
        bench.token(old, &[GRANT]).await.expect(401);
    }
    assert!(bench.passes(&token).await);
    // Only the one who asked has seen it: nothing of it is kept.
    let store = std::fs::read(bench.gateway.places.data.join("portcullis.db")).unwrap();
    for secret in [&client.secret, &second.secret, &third.secret] {
        assert!(!store.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
}

#[tokio::test]
async fn every_fault_of_a_new_client_is_told_at_once() {
    let bench = Bench::start();
    let refused = bench.gateway.cli(&[
        "client",
        "create",
        "x",
        "--grant",
        "password",
        "--scope",
        "a b",
        "--role",
        "NOBODY",
        "--redirect-uri",
        "http://app.example/cb",
        "--resource",
        "relative",
    ]);
    let said = crate::support::gateway::said(&refused);
    assert!(!refused.status.success());
    for field in ["name", "grant", "scope", "NOBODY", "http://app.example/cb", "relative"] {
        assert!(said.contains(field), "{field}: {said}");
    }
    assert_eq!(bench.gateway.cli_json(&["client", "list"])["clients"], serde_json::json!([]));
}

#[tokio::test]
async fn the_age_of_each_set_of_signing_keys_is_shown() {
    let bench = Bench::start();
    let shown = async || {
        let text = bench.gateway.operator().get("/metrics").await.text();
        let name = "portcullis_signing_key_age_seconds{keys=";
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(|line| line.split_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [r#""api"}"#, r#""api/issuer"}"#]);
}
