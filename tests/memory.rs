//! Memory at rest with many accounts and keys. `PORTCULLIS_MEMORY_KEYS=10000` for the full run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use serde_json::json;
use support::{
    conf::{self, Conf},
    gateway::Gateway,
    plain::{ask, ask_json},
    upstream::{Answer, Upstream},
};

const MIB: u64 = 1024;
/// 60 MiB in all, less what the code of a debug build takes, which nobody runs: a release build stays far below.
const LIMIT: u64 = 20 * MIB;
const USERS: usize = 10_000;

/// A well-formed hash that nobody's password has.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                    AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn keys() -> usize {
    std::env::var("PORTCULLIS_MEMORY_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[test]
fn ten_thousand_users_and_keys_fit_into_sixty_mebibytes() {
    let upstream = Upstream::counting(|_| Answer::ok());
    let gateway = Gateway::start(|places| {
        Conf::new(places).upstream("main", &[upstream.address]).route(conf::tasks("main")).text()
    });
    let empty = gateway.data_kib();

    let started = Instant::now();
    let lines: Vec<String> = (0..USERS)
        .map(|n| {
            json!({
                "username": format!("person-{n:05}"),
                "email": format!("person-{n:05}@example.org"),
                "password_hash": HASH,
            })
            .to_string()
        })
        .collect();
    let text = lines.join("\n");
    let kind = "application/x-ndjson";
    let reply = ask(&gateway.socket, "POST", "/v1/users/import", kind, text.as_bytes()).unwrap();
    assert_eq!(reply.expect(200).json()["imported"], USERS);
    println!("import of {USERS} users took {:?}", started.elapsed());

    let started = Instant::now();
    let (count, next) = (keys(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    let body = json!({
                        "owner": format!("person-{:05}", n % USERS),
                        "name": format!("key {n}"), "scopes": ["READ"],
                    });
                    let reply = ask_json(&gateway.socket, "POST", "/v1/keys", &body).unwrap();
                    assert_eq!(reply.status, 201, "{}", reply.text());
                }
            });
        }
    });
    println!("making {count} keys took {:?}", started.elapsed());

    let places = gateway.places.clone();
    let config = std::fs::read_to_string(&gateway.config).unwrap();
    let full = gateway.data_kib();
    gateway.stop();
    let again = Gateway::start_in(&places, &config);
    let restarted = again.data_kib();
    println!(
        "without code: {} MiB empty, {} MiB with {USERS} users and {count} keys just made, {} MiB after a restart",
        empty / MIB,
        full / MIB,
        restarted / MIB
    );
    assert!(restarted <= LIMIT, "{} MiB at rest", restarted / MIB);
}
