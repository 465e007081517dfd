//! Each way an operator or a person can end a credential, with one line of each kind open under it, and another of each kind
//! under another one.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    bench::{Bench, bearer, ends, key_id, keyed, said},
    lines::{Credential, End},
};
use crate::support::{
    operate,
    tmws::{GOOD_PASSWORD, caller, login},
};

/// A call of the operator that ends something, and when it was acknowledged.
fn operator(bench: &Bench, path: &str, body: Value) -> Instant {
    operate::call(&bench.gateway, "POST", path, body).expect(200);
    Instant::now()
}

/// Logs a fresh account in as often as asked for.
async fn logins<const N: usize>(bench: &Bench) -> (String, [String; N]) {
    let name = operate::someone(&bench.gateway, "USER");
    let mut tokens = Vec::new();
    for _ in 0..N {
        tokens.push(login(&caller(&bench.gateway), &name, GOOD_PASSWORD).await.access);
    }
    (name, tokens.try_into().unwrap())
}

async fn somebody_else(bench: &Bench) -> Credential {
    let (_, [token]) = logins(bench).await;
    bearer(&token)
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_revoked_key_ends() {
    let bench = Bench::with_admin().await;
    let (key, other) = (
        operate::admin_key(&bench.gateway, &["FULL"]),
        operate::admin_key(&bench.gateway, &["FULL"]),
    );
    let path = format!("/v1/keys/{}/revoke", key_id(&key));
    let end = async || operator(&bench, &path, Value::Null);
    bench.hold(&keyed(&key), &keyed(&other), 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_in_a_session_ends_with_a_logout() {
    let bench = Bench::start().await;
    // The same person twice: a session is ended, not an account.
    let (_, [own, other]) = logins(&bench).await;
    let end = async || {
        let client = caller(&bench.gateway).bearer(&own);
        client.post("/api/v1/auth/logout", json!({})).await.expect(200);
        Instant::now()
    };
    bench.hold(&bearer(&own), &bearer(&other), 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_in_a_session_ends_when_the_operator_ends_it() {
    let bench = Bench::start().await;
    let (_, [own, other]) = logins(&bench).await;
    let path = format!("/v1/sessions/{}/end", said(&own)["sid"].as_str().unwrap());
    let end = async || operator(&bench, &path, Value::Null);
    bench.hold(&bearer(&own), &bearer(&other), 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_of_a_disabled_account_ends() {
    let bench = Bench::start().await;
    let (name, [token]) = logins(&bench).await;
    let key = operate::add_key(&bench.gateway, &name, &["READ"], Value::Null);
    let other = somebody_else(&bench).await;
    let with_key = bench.open(&keyed(&key)).await;
    let path = format!("/v1/users/{name}/disable");
    let end = async || operator(&bench, &path, Value::Null);
    bench.hold(&bearer(&token), &other, 1008, end).await;
    // The account's key goes with it.
    for (kind, mark, line) in with_key {
        let how = line.end().await;
        assert_ne!(how, End::Orderly, "{kind}");
        bench.far.gone(&mark).await;
    }
}

// requirement: 10
#[tokio::test]
async fn everything_of_an_account_ends_with_its_password() {
    let bench = Bench::start().await;
    let (name, [token]) = logins(&bench).await;
    let other = somebody_else(&bench).await;
    let path = format!("/v1/users/{name}/password");
    let body = json!({ "password": format!("{GOOD_PASSWORD}-2") });
    let end = async || operator(&bench, &path, body);
    bench.hold(&bearer(&token), &other, 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_of_an_account_ends_with_a_password_that_its_owner_changes() {
    let bench = Bench::start().await;
    let (_, [own, changing]) = logins(&bench).await;
    let other = somebody_else(&bench).await;
    let end = async || {
        let body = json!({
            "current_password": GOOD_PASSWORD, "new_password": format!("{GOOD_PASSWORD}-2"),
        });
        let client = caller(&bench.gateway).bearer(&changing);
        client.put("/api/v1/users/me/password", body).await.expect(200);
        Instant::now()
    };
    bench.hold(&bearer(&own), &other, 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn what_runs_under_a_replaced_key_ends_with_the_overlap() {
    let bench = Bench::with_admin().await;
    let (key, other) = (
        operate::admin_key(&bench.gateway, &["FULL"]),
        operate::admin_key(&bench.gateway, &["FULL"]),
    );
    let (own, others) = (bench.open(&keyed(&key)).await, bench.open(&keyed(&other)).await);
    ends(&bench.far, own, others, 4401, async || {
        let path = format!("/v1/keys/{}/rotate", key_id(&key));
        operate::call(&bench.gateway, "POST", &path, json!({ "overlap_seconds": 2 })).expect(201);
        let end = Instant::now() + std::time::Duration::from_secs(2);
        tokio::time::sleep_until(end.into()).await;
        end
    })
    .await;
}
