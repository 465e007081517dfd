//! How soon a store is back after its server was away for a while, and was asked all the time.

use std::time::{Duration, Instant};

use portcullis::store::{Options, Store};

use super::support::*;
use crate::postgres::{self, Server};

const AWAY: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_secs(1);

/// As it is in service: calls are answered within a second.
async fn prompt(url: &str) -> Store {
    let options = Options { call_timeout: Duration::from_millis(800), ..Options::default() };
    Store::connect(&at(url, "ada"), options).await.unwrap()
}

/// What a gateway does meanwhile: every call is answered, and none waits for longer than it may.
async fn asks_in_vain(store: &Store) {
    let began = Instant::now();
    while began.elapsed() < AWAY {
        let asked = Instant::now();
        assert!(store.ping().await.is_err());
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
}

/// Reads and writes are back soon, not after a pause that grew with the outage.
async fn is_back(store: &Store) {
    let began = Instant::now();
    while store.audit_append(&[event("X")]).await.is_err() {
        assert!(began.elapsed() < BACK, "no write for {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.ping().await.unwrap();
    assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_for_a_while_is_written_to_as_soon_as_it_is_back() {
    if !postgres::is_there() {
        return;
    }
    let mut server = Server::start();
    let store = prompt(&server.database()).await;
    store.audit_append(&[event("X")]).await.unwrap();
    server.kill();
    asks_in_vain(&store).await;
    server.restart();
    is_back(&store).await;

    server.freeze(true);
    asks_in_vain(&store).await;
    server.freeze(false);
    is_back(&store).await;
}
