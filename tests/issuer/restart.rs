//! A restart while the provider is away: the last good set is still there, as old as it is, and nobody else can put one there.

use std::time::Duration;

use serde_json::Value;

use crate::{
    rig::{Rig, issuer, token},
    support::{
        conf::Table,
        gateway::Gateway,
        provider::{Mood, Provider},
        signer::{Signer, jwks},
        wait::until,
    },
};

fn believed(provider: &Provider) -> Table {
    issuer("corp", &provider.issuer())
        .with("discovery", "true")
        .with("refresh", r#""1s""#)
        .with("floor", r#""1s""#)
}

/// Kills the gateway and starts it again with this change of its file.
fn again(rig: &mut Rig, change: impl Fn(&str) -> String) {
    rig.gateway.kill();
    let text = std::fs::read_to_string(&rig.gateway.config).unwrap();
    let places = rig.gateway.places.clone();
    rig.restarted(Gateway::start_in(&places, &change(&text)));
}

fn state(rig: &Rig) -> Value {
    rig.gateway.cli_json(&["jwks", "list"])["issuers"][0].clone()
}

/// A gateway that has fetched keys, in a folder that outlives it.
async fn fetched(table: Table, key: &Signer, iss: &str) -> (tempfile::TempDir, Rig) {
    let (folder, rig) = Rig::lasting(&[table]);
    rig.get("/closed/x", &token(key, iss, "first")).await.expect(200);
    until("the set is written down", || async {
        let metrics = rig.gateway.operator().get("/metrics").await.expect(200).text();
        metrics.contains("op=\"replace_secret\"").then_some(())
    })
    .await;
    (folder, rig)
}

// requirement: 8
#[tokio::test]
async fn a_restart_while_the_provider_is_away_refuses_nobody() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let iss = provider.issuer();
    let (_folder, mut rig) = fetched(believed(&provider), &key, &iss).await;
    for mood in [Mood::Failing, Mood::Hanging] {
        provider.feel_wholly(mood);
        again(&mut rig, str::to_owned);
        rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(200);
        until("the last good set is known for what it is", || async {
            (state(&rig)["state"] == "stale").then_some(())
        })
        .await;
        rig.get("/closed/x", &token(&key, &iss, "bob")).await.expect(200);
    }
    // A set of the same name is none of another provider, nor of another address.
    let other =
        |text: &str| text.replace("discovery = true", &format!("jwks_url = \"{iss}/jwks\""));
    again(&mut rig, other);
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(503);
    provider.feel(Mood::Well);
    until("the keys are back", || async {
        (rig.get("/closed/x", &token(&key, &iss, "ada")).await.status == 200).then_some(())
    })
    .await;
}

// requirement: 8
#[tokio::test]
async fn a_set_does_not_grow_younger_by_a_restart() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let iss = provider.issuer();
    let table = believed(&provider).with("keep", r#""4s""#);
    let (_folder, mut rig) = fetched(table, &key, &iss).await;
    provider.feel_wholly(Mood::Failing);
    until("the set is too old", || async {
        let reply = rig.get("/closed/x", &token(&key, &iss, "ada")).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text());
        (reply.status == 503).then_some(())
    })
    .await;
    again(&mut rig, str::to_owned);
    let reply = rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(503);
    assert!(reply.header("retry-after").is_some());
    assert_eq!(state(&rig)["state"], "none");
}

// requirement: 8
#[tokio::test]
async fn nobody_else_can_put_keys_into_the_store() {
    let (key, others) = (Signer::curve("one", "ES256"), Signer::curve("one", "ES256"));
    let provider = Provider::new(jwks(&[&key]));
    let iss = provider.issuer();
    let (_folder, mut rig) = fetched(believed(&provider), &key, &iss).await;
    provider.feel_wholly(Mood::Failing);
    rig.gateway.kill();
    let path = rig.gateway.places.data.join("portcullis.db");
    let address = format!("sqlite://{}", path.display());
    let store = sqlx::SqlitePool::connect(&address).await.unwrap();
    let count =
        sqlx::query("UPDATE named_secret SET ciphertext = $1 WHERE name LIKE 'keys of issuer%'")
            .bind(jwks(&[&others]).to_string().into_bytes())
            .execute(&store)
            .await
            .unwrap()
            .rows_affected();
    assert_eq!(count, 1);
    store.close().await;
    again(&mut rig, str::to_owned);
    rig.get("/closed/x", &token(&others, &iss, "mallory")).await.expect(503);
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(503);
    assert!(rig.gateway.output().contains("sealed_secret_refused"), "{}", rig.gateway.output());
    provider.feel(Mood::Well);
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, async {
        while rig.get("/closed/x", &token(&key, &iss, "ada")).await.status != 200 {}
    })
    .await
    .expect("the keys are back");
    rig.get("/closed/x", &token(&others, &iss, "mallory")).await.expect(401);
}
