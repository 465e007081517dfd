//! A signing key that one node makes is known by all before anybody signs with it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bench::Fleet;
use crate::support::wait::until;

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
