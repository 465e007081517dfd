//! The database goes away and comes back: what is known is served, what is not is undetermined, and nothing ended is taken.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Credential, Fleet, GUARDED, refused};
use crate::support::{
    client::Client,
    tmws::{GOOD_PASSWORD, make_key, try_login},
    wait::until,
};

/// What a node answers, and whether it says when to come again.
async fn asked(fleet: &Fleet, number: usize, credential: &Credential) -> (u16, bool) {
    let reply = credential.client(fleet, number).get(GUARDED).await;
    (reply.status, reply.header("retry-after").is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_what_is_known_goes_on_and_what_ended_stays_ended() {
    let Some(mut fleet) = Fleet::start(2) else { return };
    let (who, gone) = (fleet.person(0).await, fleet.person(1).await);
    let known = Credential::Key(
        make_key(&who.client, json!({"name": "known", "scopes": ["READ"]})).await.str("api_key"),
    );
    let unknown = Credential::Key(
        make_key(&who.client, json!({"name": "unknown", "scopes": ["READ"]})).await.str("api_key"),
    );
    for credential in [who.token(), gone.token(), known.clone()] {
        fleet.taken_everywhere(&credential).await;
    }
    let client = Client::at(&fleet.nodes[0].url()).bearer(&gone.tokens.access);
    client.post("/api/v1/auth/logout", json!({})).await.expect(200);
    fleet.refused_everywhere(0, &gone.token()).await;

    fleet.server.kill();
    for number in 0..2 {
        assert_eq!(asked(&fleet, number, &who.token()).await, (200, false));
        assert_eq!(asked(&fleet, number, &known).await, (200, false));
        assert_eq!(asked(&fleet, number, &gone.token()).await.0, 401);
        assert_eq!(asked(&fleet, number, &unknown).await, (503, true));
        let client = Client::at(&fleet.nodes[number].url());
        assert_eq!(try_login(&client, &who.name, GOOD_PASSWORD).await.status, 503);
    }
    for number in 0..2 {
        let log = || fleet.nodes[number].output().matches("changes_not_confirmed").count();
        until("it says so once", || async { (log() == 1).then_some(()) }).await;
    }

    fleet.server.restart();
    for number in 0..2 {
        let client = unknown.client(&fleet, number);
        until("it asks again", || async {
            (client.get(GUARDED).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(asked(&fleet, number, &gone.token()).await.0, 401);
    }
    // News travel again.
    let client = Client::at(&fleet.nodes[1].url()).bearer(&who.tokens.access);
    until("a logout is acknowledged", || async {
        (client.post("/api/v1/auth/logout", json!({})).await.status == 200).then_some(())
    })
    .await;
    fleet.refused_everywhere(1, &who.token()).await;
    for node in &fleet.nodes {
        until("it says that it is over", || async {
            (node.output().matches("changes_confirmed").count() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_operator_allows_is_undetermined_and_never_refused() {
    let Some(mut fleet) = Fleet::with(1, "stale_for = \"3s\"") else { return };
    let who = fleet.person(0).await;
    let made = make_key(&who.client, json!({"name": "known", "scopes": ["READ"]})).await;
    let key = Credential::Key(made.str("api_key"));
    fleet.taken_everywhere(&key).await;
    fleet.server.kill();
    let died = Instant::now();
    for credential in [who.token(), key.clone()] {
        assert_eq!(asked(&fleet, 0, &credential).await, (200, false));
        until("it is too old", || async {
            match asked(&fleet, 0, &credential).await {
                (503, true) => Some(()),
                (200, false) => None,
                other => panic!("{other:?}"),
            }
        })
        .await;
        assert!(died.elapsed() >= Duration::from_secs(2), "{:?}", died.elapsed());
        // The operator sees why.
        until("it says so", || async {
            fleet.nodes[0].output().contains("memory_too_old").then_some(())
        })
        .await;
        fleet.server.restart();
        until("it is confirmed again", || async {
            (asked(&fleet, 0, &credential).await == (200, false)).then_some(())
        })
        .await;
        if matches!(credential, Credential::Token(_)) {
            fleet.server.kill();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_holds_up_nobody_who_is_known() {
    let Some(fleet) = Fleet::start(2) else { return };
    let who = fleet.person(0).await;
    let made = make_key(&who.client, json!({"name": "known", "scopes": ["READ"]})).await;
    let (token, key) = (who.token(), Credential::Key(made.str("api_key")));
    fleet.taken_everywhere(&token).await;
    fleet.taken_everywhere(&key).await;
    fleet.server.freeze(true);
    let frozen = Instant::now();
    let mut answers = 0;
    while frozen.elapsed() < Duration::from_secs(3) {
        for number in 0..2 {
            assert_eq!(asked(&fleet, number, &token).await, (200, false));
            assert_eq!(asked(&fleet, number, &key).await, (200, false));
            answers += 2;
        }
    }
    println!("{answers} answers in 3 s while the database hung");
    fleet.server.freeze(false);
    let path = "/api/v1/auth/logout";
    until("a logout is acknowledged", || async {
        (who.client.post(path, Value::Object(Default::default())).await.status == 200).then_some(())
    })
    .await;
    refused(&token.client(&fleet, 1), Instant::now()).await;
}
