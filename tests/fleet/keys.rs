//! A signing key that one node makes is known by all before anybody signs with it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bench::{Fleet, GUARDED};
use crate::support::{client::Client, wait::until};

/// The keys that a node knows, and the one that signs there.
async fn known(fleet: &Fleet, number: usize) -> (BTreeSet<String>, String) {
    let reply = fleet.nodes[number].operator().get("/v1/signing-keys?mount=api").await.expect(200);
    let sets = reply.try_json().unwrap();
    let keys = sets["keys"].as_array().unwrap().clone();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    let signs = keys.iter().find(|key| key["signs"] == true).map(kid).unwrap_or_default();
    (keys.iter().map(kid).collect(), signs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_signing_key_is_known_everywhere_before_it_signs_anywhere() {
    let Some(fleet) = Fleet::start(3) else { return };
    let (before, old) = known(&fleet, 0).await;
    assert_eq!(known(&fleet, 2).await, (before.clone(), old.clone()), "one key for all nodes");
    let body = serde_json::json!({});
    fleet.nodes[1].operator().post("/v1/signing-keys/api/rotate", body).await.expect(201);
    let (after, signs) = known(&fleet, 1).await;
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(signs, old, "nobody signs with it before all others can know it");
    for number in [0, 2] {
        until("the others know it", || async {
            (known(&fleet, number).await.0 == after).then_some(())
        })
        .await;
    }
    // Whoever signs it now, all take it.
    for number in 0..3 {
        let who = fleet.person(number).await;
        fleet.taken_everywhere(&who.token()).await;
    }
    let new = after.difference(&before).next().unwrap().clone();
    for number in 0..3 {
        until("it signs", || async { (known(&fleet, number).await.1 == new).then_some(()) }).await;
        let who = fleet.person(number).await;
        fleet.taken_everywhere(&who.token()).await;
    }
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_says_of_a_token_with_a_newer_key_that_it_cannot_tell() {
    let Some(fleet) = Fleet::start(2) else { return };
    let (seen, unseen) = (fleet.person(0).await, fleet.person(0).await);
    fleet.taken_everywhere(&seen.token()).await;
    let (_, old) = known(&fleet, 0).await;
    let asked = async |token: &str| {
        let reply = Client::at(&fleet.nodes[1].url()).bearer(token).get(GUARDED).await;
        (reply.status, reply.header("retry-after").is_some())
    };
    let forged = |token: &str| {
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", "A".repeat(43))
    };
    assert_eq!(asked(&forged(&seen.tokens.access)).await, (401, false));
    fleet.cut_off(1, true);
    let body = serde_json::json!({});
    fleet.nodes[0].operator().post("/v1/signing-keys/api/rotate", body).await.expect(201);
    until("another key signs", || async { (known(&fleet, 0).await.1 != old).then_some(()) }).await;
    let newer = fleet.person(0).await;
    for _ in 0..2 {
        assert_eq!(asked(&newer.tokens.access).await, (503, true));
        // What its keys can tell is told, and so is what no key could make good.
        assert_eq!(asked(&seen.tokens.access).await, (200, false));
        assert_eq!(asked(&unseen.tokens.access).await, (200, false));
        assert_eq!(asked("e30.e30.AA").await, (401, false));
    }
    fleet.cut_off(1, false);
    until("it knows the key", || async {
        match asked(&newer.tokens.access).await {
            (200, false) => Some(()),
            (503, true) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    until("it can tell again", || async {
        (asked(&forged(&unseen.tokens.access)).await == (401, false)).then_some(())
    })
    .await;
}
