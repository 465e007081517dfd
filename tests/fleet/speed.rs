//! How soon an end is known elsewhere. `PORTCULLIS_FLEET_REVOCATIONS=1000` for the full run on five nodes, which is held to
//! the stated figures; without it a few on three, held to nothing but being right.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Credential, Fleet, all_refuse};

const P99: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_known_everywhere_within_moments() {
    let full: Option<usize> =
        std::env::var("PORTCULLIS_FLEET_REVOCATIONS").ok().and_then(|text| text.parse().ok());
    let (rounds, nodes) = full.map_or((6, 3), |rounds| (rounds, 5));
    let Some(fleet) = Fleet::start(nodes) else { return };
    let mut took = Vec::new();
    for round in 0..rounds {
        let at = round % nodes;
        let operator = fleet.nodes[at].operator();
        // Logins cost a hash each: every tenth is one.
        let (credential, path) = if round % 10 == 0 {
            let who = fleet.person(at).await;
            let found = operator.get(&format!("/v1/sessions?user={}", who.name)).await;
            let id = found.try_json().unwrap()["sessions"][0]["id"].as_str().unwrap().to_owned();
            (who.token(), format!("/v1/sessions/{id}/end"))
        } else {
            let body = json!({
                "owner": crate::support::operate::ADMIN, "name": "of a test", "scopes": ["READ"],
            });
            let made = operator.post("/v1/keys", body).await.expect(201).try_json().unwrap();
            let id = made["key"]["id"].as_str().unwrap().to_owned();
            let key = Credential::Key(made["api_key"].as_str().unwrap().to_owned());
            (key, format!("/v1/keys/{id}/revoke"))
        };
        let clients = fleet.taken_everywhere(&credential).await;
        operator.post(&path, Value::Null).await.expect(200);
        took.extend(all_refuse(at, clients, Instant::now()).await);
    }
    took.sort();
    let part = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)];
    println!(
        "{rounds} ends on {nodes} nodes, known at the others after: half {:?}, p99 {:?}, most {:?}",
        part(500),
        part(990),
        part(1000)
    );
    if full.is_some() {
        assert!(part(990) <= P99 && part(1000) <= MOST);
    }
}
