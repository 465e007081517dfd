//! `kill -9` at any moment during writes: what was acknowledged is there after the next start, which needs no help.
//! `PORTCULLIS_CRASH_ROUNDS=200` for the full run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    client::Client,
    conf::{self, Conf},
    gateway::{Gateway, Places},
    operate,
    plain::ask_json,
    ports,
    tmws::{GOOD_PASSWORD, Tokens, caller, fresh_name, login, refresh},
    upstream::{Answer, Upstream},
};

const CHAINS: usize = 4;

/// What clients were told.
#[derive(Default)]
struct Told {
    users: BTreeSet<String>,
    /// Key id to text.
    keys: BTreeMap<String, String>,
    revoked: BTreeSet<String>,
    /// Asked for but not answered: may have happened or not.
    doubtful: BTreeSet<String>,
    /// The newest refresh token of each chain.
    refresh: Vec<String>,
    /// Access tokens that were logged out.
    dead: Vec<String>,
}

type Shared = Arc<Mutex<Told>>;

fn rounds() -> u64 {
    std::env::var("PORTCULLIS_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places {
        public: ports::free_address(),
        operator: ports::free_address(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let upstream = Upstream::counting(|_| Answer::ok());
    let text = Conf::new(&places)
        // Long enough that a refresh whose answer was cut off can be asked again after the restart.
        .mount("refresh_grace", "\"5m\"")
        .upstream("main", &[upstream.address])
        .route(conf::tasks("main"))
        .text();

    let mut gateway = Gateway::start_in(&places, &text);
    operate::add_admin(&gateway);
    let told: Shared = Arc::default();
    for _ in 0..CHAINS {
        let tokens = login(&caller(&gateway), operate::ADMIN, GOOD_PASSWORD).await;
        told.lock().unwrap().refresh.push(tokens.refresh);
    }
    let mut starts = Vec::new();
    for round in 0..rounds() {
        let stop = Arc::new(AtomicBool::new(false));
        let workers = spawn_workers(&gateway, &told, &stop);
        // Spread over the time in which writes are under way; the seed is the round, so a failure can be repeated.
        let delay = 20 + round.wrapping_mul(2_654_435_761) % 700;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        gateway.kill();
        stop.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.await.unwrap();
        }
        let started = Instant::now();
        gateway = Gateway::start_in(&places, &text);
        starts.push(started.elapsed());
        verify(&gateway, &told, round).await;
    }
    let told = told.lock().unwrap();
    println!(
        "{} kills: {} users, {} keys, {} revocations, {} logouts kept; slowest start {:?}",
        rounds(),
        told.users.len(),
        told.keys.len(),
        told.revoked.len(),
        told.dead.len(),
        starts.iter().max()
    );
    assert!(!told.users.is_empty() && !told.keys.is_empty() && !told.revoked.is_empty());
}

fn spawn_workers(
    gateway: &Gateway,
    told: &Shared,
    stop: &Arc<AtomicBool>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut workers = Vec::new();
    let socket = gateway.socket.clone();
    for work in [add_users, add_and_revoke_keys] {
        let (socket, told, stop) = (socket.clone(), Arc::clone(told), Arc::clone(stop));
        workers.push(tokio::task::spawn_blocking(move || work(&socket, &told, &stop)));
    }
    for chain in 0..CHAINS {
        let client = caller(gateway);
        let (told, stop) = (Arc::clone(told), Arc::clone(stop));
        workers.push(tokio::spawn(async move { refresh_on(client, chain, &told, &stop).await }));
    }
    workers
}

fn add_users(socket: &Path, told: &Shared, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let name = fresh_name();
        let body = json!({"username": name, "password": GOOD_PASSWORD});
        let Ok(reply) = ask_json(socket, "POST", "/v1/users", &body) else { return };
        assert_eq!(reply.status, 201, "{}", reply.text());
        told.lock().unwrap().users.insert(name);
    }
}

fn add_and_revoke_keys(socket: &Path, told: &Shared, stop: &AtomicBool) {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let body = json!({"owner": operate::ADMIN, "name": "survivor", "scopes": ["READ"]});
        let Ok(reply) = ask_json(socket, "POST", "/v1/keys", &body) else { return };
        assert_eq!(reply.status, 201, "{}", reply.text());
        let made = reply.json();
        let (id, text) = (made["key"]["id"].as_str().unwrap(), made["api_key"].as_str().unwrap());
        told.lock().unwrap().keys.insert(id.to_owned(), text.to_owned());
        count += 1;
        if count % 2 == 0 {
            told.lock().unwrap().doubtful.insert(id.to_owned());
            let path = format!("/v1/keys/{id}/revoke");
            let Ok(reply) = ask_json(socket, "POST", &path, &Value::Null) else { return };
            assert_eq!(reply.status, 200, "{}", reply.text());
            let mut told = told.lock().unwrap();
            told.doubtful.remove(id);
            told.revoked.insert(id.to_owned());
        }
    }
}

async fn refresh_on(client: Client, chain: usize, told: &Shared, stop: &AtomicBool) {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let token = told.lock().unwrap().refresh[chain].clone();
        let body = Some(("application/json", json!({"refresh_token": token}).to_string().into()));
        let sent = client.try_send(reqwest::Method::POST, "/api/v1/auth/refresh", body).await;
        let Ok(reply) = sent else { return };
        if reply.status >= 500 {
            return; // identity was killed under the edge's hands
        }
        let tokens = Tokens::of(&reply);
        told.lock().unwrap().refresh[chain] = tokens.refresh.clone();
        count += 1;
        // The last chain also logs out and in again now and then.
        if chain == CHAINS - 1 && count % 3 == 0 {
            let leaving = client.bearer(&tokens.access);
            let empty = Some(("application/json", Vec::new()));
            let sent = leaving.try_send(reqwest::Method::POST, "/api/v1/auth/logout", empty).await;
            match sent {
                Ok(reply) if reply.status == 200 => {
                    let mut told = told.lock().unwrap();
                    told.dead.push(tokens.access);
                    told.refresh[chain] = String::new();
                }
                _ => told.lock().unwrap().refresh[chain] = String::new(),
            }
            return;
        }
    }
}

async fn verify(gateway: &Gateway, told: &Shared, round: u64) {
    let (users, keys, revoked, doubtful, chains, dead) = {
        let told = told.lock().unwrap();
        (
            told.users.clone(),
            told.keys.clone(),
            told.revoked.clone(),
            told.doubtful.clone(),
            told.refresh.clone(),
            told.dead.clone(),
        )
    };
    let there = names(gateway);
    for name in &users {
        assert!(there.contains(name), "round {round}: the user {name} is lost");
    }
    let client = caller(gateway);
    for (id, text) in &keys {
        if doubtful.contains(id) {
            continue;
        }
        let wanted = if revoked.contains(id) { 401 } else { 200 };
        let status = client.key(text).get("/api/v1/tasks").await.status;
        assert_eq!(status, wanted, "round {round}: the key {id}");
    }
    for token in &dead {
        let status = client.bearer(token).get("/api/v1/tasks").await.status;
        assert_eq!(status, 401, "round {round}: a logout is lost");
    }
    for (chain, token) in chains.iter().enumerate() {
        let tokens = if token.is_empty() {
            login(&client, operate::ADMIN, GOOD_PASSWORD).await
        } else {
            let reply = refresh(&client, token).await;
            assert_eq!(reply.status, 200, "round {round}: chain {chain}: {}", reply.text());
            Tokens::of(&reply)
        };
        told.lock().unwrap().refresh[chain] = tokens.refresh;
    }
}

/// Every login name there is.
fn names(gateway: &Gateway) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut path = "/v1/users?limit=1000".to_owned();
    loop {
        let part = operate::call(gateway, "GET", &path, Value::Null).expect(200).json();
        let users = part["users"].as_array().unwrap();
        names.extend(users.iter().filter_map(|user| user["username"].as_str().map(str::to_owned)));
        match part["next"].as_str() {
            Some(next) => path = format!("/v1/users?limit=1000&after={next}"),
            None => return names,
        }
    }
}
