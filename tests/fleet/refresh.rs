//! One refresh token at five nodes at the same moment, while the database or a node goes away under it: one family, one
//! successor, and whoever asks again gets that one.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tokio::task::{JoinSet, block_in_place};

use super::bench::Fleet;
use crate::support::{
    client::Client,
    postgres,
    tmws::{Tokens, fresh_address},
    wait::PATIENCE,
};

const NODES: usize = 5;
/// For so long the contract answers a spent token again.
const GRACE: Duration = Duration::from_secs(10);

/// What goes away, in the middle of the requests.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Database,
    Sessions,
    Node,
}

/// Asks like a client that does not give up: again after a 503 or a broken connection, and then at the next node.
async fn insists(urls: Vec<String>, mut at: usize, token: String) -> Tokens {
    let began = Instant::now();
    loop {
        let client = Client::from(&urls[at % urls.len()], fresh_address());
        let body = json!({"refresh_token": token}).to_string().into_bytes();
        let body = Some(("application/json", body));
        if let Ok(reply) = client.try_send(Method::POST, "/api/v1/auth/refresh", body).await {
            match reply.status {
                200 => return Tokens::of(&reply),
                503 => assert!(reply.header("retry-after").is_some(), "when to come again"),
                other => panic!("{other} after {:?}: {}", began.elapsed(), reply.text()),
            }
        }
        assert!(began.elapsed() < PATIENCE, "never answered");
        at += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn round(fleet: &mut Fleet, gone: Gone, after: Duration) {
    let who = fleet.person(0).await;
    let urls: Vec<String> = fleet.nodes.iter().map(|node| node.url()).collect();
    let mut asking = JoinSet::new();
    let began = Instant::now();
    for at in 0..NODES {
        asking.spawn(insists(urls.clone(), at, who.tokens.refresh.clone()));
    }
    tokio::time::sleep(after).await;
    match gone {
        Gone::Database => block_in_place(|| {
            fleet.server.kill();
            fleet.server.restart();
        }),
        Gone::Sessions => {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE application_name LIKE 'portcullis%'";
            block_in_place(|| postgres::ask(&fleet.database, sql));
        }
        Gone::Node => block_in_place(|| fleet.nodes[NODES - 1].kill()),
    }
    let all: Vec<Tokens> = asking.join_all().await;
    if began.elapsed() > GRACE {
        // A machine this slow says nothing: the contract itself ends the family by then.
        println!("{gone:?}: not in time, {:?}", began.elapsed());
        return;
    }
    let successors: BTreeSet<&String> = all.iter().map(|tokens| &tokens.refresh).collect();
    assert_eq!(successors.len(), 1, "{gone:?} after {after:?}");
    if matches!(gone, Gone::Node) {
        block_in_place(|| fleet.restart(NODES - 1));
    }
    let next = (*successors.first().unwrap()).clone();
    insists(urls, 1, next).await;
    let sql = format!(
        "SELECT count(*) FILTER (WHERE r.generation = 1), count(DISTINCT r.family_id) \
         FROM refresh_token r JOIN refresh_family f ON f.id = r.family_id \
         JOIN session s ON s.id = f.session_id JOIN account a ON a.id = s.account_id \
         WHERE a.username = '{}'",
        who.name
    );
    assert_eq!(block_in_place(|| postgres::ask(&fleet.database, &sql)), "1|1", "{gone:?}");
}

// requirement: 31
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_refresh_token_at_five_nodes_has_one_successor_whatever_goes_away_under_it() {
    let Some(mut fleet) = Fleet::start(NODES) else { return };
    for (turn, gone) in
        [Gone::Database, Gone::Sessions, Gone::Node, Gone::Database, Gone::Sessions, Gone::Node]
            .into_iter()
            .enumerate()
    {
        round(&mut fleet, gone, Duration::from_millis(3 + 9 * turn as u64)).await;
    }
    for node in &fleet.nodes {
        let verdict = node.cli_ok(&["audit", "verify"]);
        assert!(!verdict.contains("missing"), "{verdict}");
    }
}
