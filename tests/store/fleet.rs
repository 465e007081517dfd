//! Several nodes on one database: who may open it, what holds between them, and what a server in trouble does to them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use portcullis::store::{
    Ciphertext, NewDelivery, Options, Postgres, Rotation, SchemaState, Store, StoreError,
    WebhookRecord,
};
use sqlx::Connection;

use super::support::*;
use crate::postgres::{self, Server};

async fn node(url: &str, name: &str) -> Store {
    let options = Options { call_timeout: Duration::from_secs(20), ..Options::default() };
    Store::connect(&at(url, name), options).await.unwrap()
}

/// As it is in service: calls are answered within a second.
async fn prompt(url: &str, name: &str) -> Store {
    let options = Options { call_timeout: Duration::from_millis(800), ..Options::default() };
    Store::connect(&at(url, name), options).await.unwrap()
}

#[tokio::test]
async fn two_nodes_of_one_name_are_refused_until_the_first_is_closed() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let first = node(&url, "ada").await;
    let other = node(&url, "bob").await;
    let again = Store::connect(&at(&url, "ada"), Options::default()).await;
    assert_eq!(again.unwrap_err(), StoreError::NodeTaken);
    first.close().await;
    node(&url, "ada").await.close().await;
    other.close().await;
}

#[tokio::test]
async fn a_node_keeps_its_name_when_its_sessions_are_terminated() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let store = node(&url, "ada").await;
    for _ in 0..3 {
        terminate(&url).await;
        store.audit_append(&[event("X")]).await.unwrap();
        assert_eq!(store.audit_tail(1).await.unwrap().len(), 1);
    }
    let again = Store::connect(&at(&url, "ada"), Options::default()).await;
    assert_eq!(again.unwrap_err(), StoreError::NodeTaken);
    assert_eq!(store.audit_verify().await.unwrap().checked, 3);
}

#[tokio::test]
async fn nodes_that_come_at_once_set_an_empty_database_up_once() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    assert_eq!(at(&url, "x").schema_state().await, Ok(SchemaState::Empty));
    let (a, b, c) = tokio::join!(node(&url, "a"), node(&url, "b"), node(&url, "c"));
    assert_eq!(at(&url, "x").schema_state().await, Ok(SchemaState::Current));
    assert_eq!(at(&url, "x").migrate().await, Ok(SchemaState::Current), "nothing is left to do");
    for store in [a, b, c] {
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_of_another_version_or_of_somebody_else_is_left_alone() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let place = at(&url, "ada");
    place.migrate().await.unwrap();
    statement(
        &url,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', true, '', 0)",
    )
    .await;
    assert_eq!(place.schema_state().await, Ok(SchemaState::Newer));
    assert_eq!(open(&place).await, StoreError::Newer);
    assert_eq!(place.migrate().await, Err(StoreError::Newer));

    statement(&url, "DELETE FROM _sqlx_migrations").await;
    assert!(
        matches!(place.schema_state().await, Ok(SchemaState::Older(steps)) if !steps.is_empty())
    );
    assert_eq!(open(&place).await, StoreError::Older);

    let foreign = postgres::shared_database();
    statement(&foreign, "CREATE TABLE somebody_elses (x INTEGER)").await;
    assert_eq!(open(&at(&foreign, "ada")).await, StoreError::Schema);
    assert_eq!(at(&foreign, "ada").migrate().await, Err(StoreError::Schema));
}

// requirement: 18
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_at_five_nodes_at_once_has_one_successor() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let mut nodes = Vec::new();
    for n in 0..5 {
        nodes.push(node(&url, &format!("node{n}")).await);
    }
    let ada = account("ada");
    nodes[0].insert_account(&ada, &[event("ACCOUNT_CREATED")]).await.unwrap();
    for round in 0..20 {
        let family = format!("f{round}");
        nodes[0].open_session(&login(&family, &ada), &[event("LOGIN_SUCCESS")]).await.unwrap();
        let tries = nodes.iter().cloned().map(|store| {
            let rotate = rotation(&family, 0);
            tokio::spawn(async move { store.rotate(&rotate, &[event("TOKEN_REFRESH")]).await })
        });
        let mut won = 0;
        for tried in tries.collect::<Vec<_>>() {
            match tried.await.unwrap().unwrap() {
                Rotation::Won => won += 1,
                Rotation::Lost(state) => assert_eq!(state.unwrap().family.generation, 1),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    let refreshed: usize =
        events(&nodes[0]).await.iter().filter(|event| *event == "TOKEN_REFRESH").count();
    assert_eq!(refreshed, 20, "an event for each that won, and no more");
    for store in &nodes {
        assert_eq!(store.audit_verify().await.unwrap().fault, None);
    }
}

#[tokio::test]
async fn work_for_all_is_one_nodes_until_its_lease_runs_out() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let (ada, bob) = (node(&url, "ada").await, node(&url, "bob").await);
    let minute = Duration::from_secs(60);
    assert!(ada.lease("sweep", NOW, minute).await.unwrap());
    assert!(!bob.lease("sweep", NOW, minute).await.unwrap());
    assert!(bob.lease("rotate", NOW, minute).await.unwrap(), "another work");
    assert!(ada.lease("sweep", NOW + minute / 2, minute).await.unwrap(), "it goes on");
    assert!(!bob.lease("sweep", NOW + minute, minute).await.unwrap());
    assert!(bob.lease("sweep", NOW + minute * 2, minute).await.unwrap(), "ada went away");
    assert!(!ada.lease("sweep", NOW + minute * 2, minute).await.unwrap());
    bob.give_up_leases().await.unwrap();
    assert!(ada.lease("sweep", NOW + minute * 2, minute).await.unwrap(), "bob ended in order");
}

#[tokio::test]
async fn a_subscription_is_told_of_every_nodes_events_once() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let (ada, bob) = (node(&url, "ada").await, node(&url, "bob").await);
    bob.audit_append(&[event("BEFORE")]).await.unwrap();
    ada.insert_webhook(&webhook("w"), 10, &[]).await.unwrap();
    for store in [&ada, &bob] {
        store.audit_append(&[event("ONE"), event("TWO")]).await.unwrap();
    }
    let mut told = Vec::new();
    loop {
        // Both look at the same moment, and each tries to tell.
        let Some((chain, behind)) = ada.webhooks_behind().await.unwrap().into_iter().next() else {
            break;
        };
        let page = bob.happened_after(&chain, behind.read_to, 10).await.unwrap();
        let last = page.last().unwrap().chained.seq;
        let new = [NewDelivery {
            id: format!("{chain}-{last}"),
            event_id: "e".into(),
            event_type: "t".into(),
            body: "{}".into(),
            created_at: NOW,
            expires_at: NOW + HOUR,
        }];
        let place = (behind.read_to, last);
        let (one, two) = tokio::join!(
            ada.tell_webhook("w", &chain, place, &new),
            bob.tell_webhook("w", &chain, place, &new)
        );
        assert_eq!(u8::from(one.unwrap()) + u8::from(two.unwrap()), 1, "{chain}");
        told.extend(page.into_iter().map(|one| (chain.clone(), one.chained.record.event)));
    }
    let told: Vec<String> =
        told.into_iter().map(|(chain, event)| format!("{chain} {event}")).collect();
    assert_eq!(told, ["ada ONE", "ada TWO", "bob ONE", "bob TWO"]);
    assert_eq!(ada.due_deliveries(NOW, 10).await.unwrap().len(), 1, "in order");

    // One that slept is told what happens from now on, at every node.
    let asleep = WebhookRecord { active: false, ..webhook("w") };
    ada.update_webhook(&asleep, &[]).await.unwrap();
    bob.audit_append(&[event("ASLEEP")]).await.unwrap();
    bob.update_webhook(&webhook("w"), &[]).await.unwrap();
    assert!(ada.webhooks_behind().await.unwrap().is_empty());
    bob.audit_append(&[event("AWAKE")]).await.unwrap();
    let behind = ada.webhooks_behind().await.unwrap();
    assert_eq!(behind.len(), 1);
    let page = ada.happened_after(&behind[0].0, behind[0].1.read_to, 10).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].chained.record.event, "AWAKE");
}

fn webhook(id: &str) -> WebhookRecord {
    WebhookRecord {
        id: id.to_owned(),
        realm: realm(),
        mount: mount(),
        url: "https://receiver.example/".into(),
        events: vec!["*".into()],
        secret: Ciphertext(vec![1]),
        headers: Ciphertext(vec![2]),
        active: true,
        description: None,
        retry: serde_json::json!({}),
        filters: serde_json::json!({}),
        read_to: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

#[tokio::test]
async fn a_write_that_hangs_on_another_nodes_gives_up_in_time() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let store = prompt(&url, "ada").await;
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    // "portcull" in ASCII: the lock of every write.
    sqlx::query("SELECT pg_advisory_xact_lock(8101820098873224300)")
        .execute(&mut *held)
        .await
        .unwrap();
    let started = Instant::now();
    assert_eq!(store.insert_account(&account("ada"), &[]).await, Err(StoreError::Unavailable));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(store.account(&"ada".into()).await.unwrap().is_none(), "reading goes on");
    held.rollback().await.unwrap();
    recovers(&store).await;
    store.insert_account(&account("ada"), &[]).await.unwrap();
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_or_killed_is_unavailable_in_time_and_back_by_itself() {
    if !postgres::is_there() {
        return;
    }
    let mut server = Server::start();
    let url = server.database();
    let store = prompt(&url, "ada").await;
    store.insert_account(&account("ada"), &[event("ACCOUNT_CREATED")]).await.unwrap();

    server.freeze(true);
    refuses(&store).await;
    server.freeze(false);
    recovers(&store).await;

    server.kill();
    refuses(&store).await;
    server.restart();
    recovers(&store).await;

    assert!(store.account(&"ada".into()).await.unwrap().is_some());
    let again = Store::connect(&at(&url, "ada"), Options::default()).await;
    assert_eq!(again.unwrap_err(), StoreError::NodeTaken, "the name is held anew");
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_the_server_whatever_the_database_is_set_to() {
    if !postgres::is_there() {
        return;
    }
    let mut server = Server::durable();
    let url = server.database();
    let name = url.rsplit('/').next().unwrap();
    postgres::ask(&url, &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    postgres::ask(
        &url,
        &format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"),
    );
    let store = prompt(&url, "ada").await;
    let stop = AtomicBool::new(false);
    let writes = async {
        let mut acknowledged = Vec::new();
        for n in 0.. {
            let name = format!("a{n}");
            if store.insert_account(&account(&name), &[event("ACCOUNT_CREATED")]).await.is_err() {
                break;
            }
            acknowledged.push(name);
            if acknowledged.len() == 40 {
                stop.store(true, Ordering::Release);
            }
        }
        acknowledged
    };
    let breaks = async {
        while !stop.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::task::block_in_place(|| server.kill());
    };
    let (acknowledged, ()) = tokio::join!(writes, breaks);
    server.restart();
    recovers(&store).await;
    for name in &acknowledged {
        assert!(store.account(&name.as_str().into()).await.unwrap().is_some(), "{name}");
    }
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
}

#[test]
fn a_password_is_shown_nowhere() {
    let mut place = at("postgres://gate@db.example:5433/gate?sslmode=verify-full", "ada");
    place.password = Some("hunter2-hunter2".into());
    let shown = format!("{place:?} {}", place.place());
    assert!(!shown.contains("hunter2") && shown.contains("db.example:5433/gate"), "{shown}");
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_told_without_the_secret() {
    if !postgres::is_there() {
        return;
    }
    let url = postgres::shared_database();
    let mut place = at(&format!("{url}_is_not_there"), "ada");
    place.password = Some("hunter2-hunter2".into());
    let error = open(&place).await;
    assert_eq!(error, StoreError::Unavailable);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

async fn open(place: &Postgres) -> StoreError {
    Store::connect(place, Options::default()).await.unwrap_err()
}

/// Reads and writes are refused as unavailable, each within a second.
async fn refuses(store: &Store) {
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(store.account(&"ada".into()).await.unwrap_err(), StoreError::Unavailable);
        assert_eq!(store.audit_append(&[event("X")]).await, Err(StoreError::Unavailable));
        // Two calls, and a machine that is busy with others.
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

/// Reads and writes work again by themselves.
async fn recovers(store: &Store) {
    let recovered = async {
        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recovered).await.unwrap();
}

async fn terminate(url: &str) {
    statement(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
}

async fn statement(url: &str, sql: &'static str) {
    sqlx::any::install_default_drivers();
    let mut raw = sqlx::AnyConnection::connect(url).await.unwrap();
    sqlx::query(sql).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}
