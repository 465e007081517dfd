//! Protected upstream routes, and what ends a token.

use serde_json::{Value, json};

use super::bench::{Bench, PASSWORD, refused, token};
use crate::support::{gateway::Gateway, operate};

#[tokio::test]
async fn an_upstream_is_reached_with_a_token_and_answers_for_itself() {
    let bench = Bench::start().await;
    let (_, client) = bench.logged_in().await;
    let sum = json!({ "a": 2, "b": 40 });
    let reply = client.post("/api/sum", sum.clone()).await.expect(200);
    assert_eq!(reply.json(), json!({ "result": 42 }));
    let own = client.post("/api/bad", sum.clone()).await;
    assert_eq!((own.status, own.json()["detail"].as_str()), (401, Some("of the upstream")));
    let seen = bench.upstream.seen().pop().unwrap();
    assert!(seen.all("authorization").is_empty() && seen.field("x-auth-method").is_some());

    let stranger = bench.caller();
    let reply = stranger.post("/api/sum", sum.clone()).await;
    refused(&reply, 401, "Unauthorized".into());
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    for bad in ["x", "a.b.c", ""] {
        refused(
            &bench.caller().bearer(bad).post("/api/sum", sum.clone()).await,
            401,
            "Unauthorized".into(),
        );
    }
    refused(&client.get("/nowhere").await, 404, "Not Found".into());
}

#[tokio::test]
async fn a_deactivated_account_is_out_at_once() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    operate::disable(&bench.gateway, &email);
    refused(&client.post("/api/sum", Value::Null).await, 401, "Unauthorized".into());
}

#[tokio::test]
async fn a_fresh_token_outlives_a_restart_of_the_gateway() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    let text = std::fs::read_to_string(&bench.gateway.config).unwrap();
    let gone = bench.caller().bearer(&token(&bench.caller(), &email, PASSWORD).await);
    gone.post("/auth/jwt/logout", Value::Null).await.expect(204);
    bench.gateway.kill();
    let again = Gateway::start_in(&bench.gateway.places, &text);
    assert_eq!(again.url(), bench.gateway.url());
    client.post("/api/sum", json!({ "a": 1, "b": 1 })).await.expect(200);
    refused(&gone.get("/users/me").await, 401, "Unauthorized".into());
}

#[tokio::test]
async fn public_keys_are_published_where_there_are_some() {
    let bench = Bench::start().await;
    refused(&bench.caller().get("/.well-known/jwks.json").await, 404, "Not Found".into());

    let text = std::fs::read_to_string(&bench.gateway.config).unwrap();
    let text = text.replace("dialect = \"bearer\"", "dialect = \"bearer\"\nalgorithm = \"RS256\"");
    std::fs::write(&bench.gateway.config, text).unwrap();
    bench.gateway.cli_ok(&["reload"]);
    let reply = bench.caller().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
    assert!(reply.header("cache-control").is_some_and(|value| value.contains("max-age=")));
    let keys = reply.json();
    assert_eq!(
        (&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]),
        (&json!("RSA"), &json!("RS256"))
    );
    assert!(keys["keys"][0].get("d").is_none(), "nothing private");
}
