//! Real gateways on one PostgreSQL: what holds between them, what its troubles do to them, and how they start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use support::{
    client::Client,
    conf::{Conf, closed, quoted},
    fleet,
    gateway::{Gateway, Places, fresh_places, run, said},
    postgres::{self, Server},
    tmws::{GOOD_PASSWORD, Tokens, fresh_address, login, refresh, try_login},
    upstream::Upstream,
    wait::until,
};

/// A node's file: `more` stands in `[store]`.
fn node(places: &Places, name: &str, database: &str, upstream: &Upstream, more: &str) -> String {
    let key = format!("file:{}", fleet::master_key(&places.dir).display());
    Conf::new(places)
        .section(&format!("[store]\nurl = {}\n{more}", quoted(database)))
        .section(&format!("[fleet]\nnode = {}", quoted(name)))
        .section(&format!("[secrets]\nmaster_keys = [{}]", quoted(&key)))
        .upstream("app", &[upstream.address])
        .route(closed("app", "/app/**", "app"))
        .text()
}

fn start(name: &str, database: &str, upstream: &Upstream, more: &str) -> Gateway {
    Gateway::start(|places| node(places, name, database, upstream, more))
}

fn caller(gateway: &Gateway) -> Client {
    Client::from(&gateway.url(), fresh_address())
}

fn add(gateway: &Gateway, name: &str) {
    let added = gateway.cli_with(
        &format!("{GOOD_PASSWORD}\n"),
        &["user", "add", name, "--role", "USER", "--password-stdin"],
    );
    assert!(added.status.success(), "{}", said(&added));
}

// requirement: 31
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_at_five_gateways_at_once_has_one_successor() {
    if !postgres::is_there() {
        return;
    }
    let database = postgres::shared_database();
    let upstream = Upstream::start();
    let more = "call_timeout = \"20s\"\nconnections = 2";
    let nodes: Vec<Gateway> =
        (0..5).map(|n| start(&format!("node{n}"), &database, &upstream, more)).collect();
    add(&nodes[0], "ada");
    for round in 0..5 {
        let tokens = login(&caller(&nodes[round]), "ada", GOOD_PASSWORD).await;
        let tries: Vec<_> = nodes
            .iter()
            .map(|gateway| {
                let (client, token) = (caller(gateway), tokens.refresh.clone());
                tokio::spawn(async move { refresh(&client, &token).await })
            })
            .collect();
        let mut successors = BTreeSet::new();
        for tried in tries {
            let reply = tried.await.unwrap();
            // One wins. Who asks again within the grace is told the same; nobody gets another.
            assert_eq!(reply.status, 200, "{}", reply.text());
            successors.insert(Tokens::of(&reply).refresh);
        }
        assert_eq!(successors.len(), 1, "round {round}");
        let next = successors.pop_first().unwrap();
        let again = refresh(&caller(&nodes[(round + 1) % 5]), &next).await;
        assert_eq!(again.status, 200, "the successor is good at any node");
    }
    let told = postgres::ask(
        &database,
        "SELECT COUNT(*), COUNT(DISTINCT family_id) FROM refresh_token WHERE generation = 1",
    );
    assert_eq!(told, "5|5", "one successor of each family");
    for gateway in &nodes {
        let verdict = gateway.cli_ok(&["audit", "verify"]);
        assert!(!verdict.contains("missing"), "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_of_all_nodes_is_exported_chain_by_chain() {
    if !postgres::is_there() {
        return;
    }
    let database = postgres::shared_database();
    let upstream = Upstream::start();
    let nodes = ["ada", "bob"].map(|name| start(name, &database, &upstream, ""));
    add(&nodes[0], "someone");
    add(&nodes[1], "somebody");
    let export = |more: &[&str]| -> Vec<(String, u64)> {
        let text = nodes[1].cli_ok(&[&["audit", "export"], more].concat());
        let events = text.lines().map(serde_json::from_str::<serde_json::Value>);
        let events = events.map(|event| event.unwrap());
        events
            .map(|event| {
                (event["node"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap())
            })
            .collect()
    };
    let all = export(&[]);
    let of = |name: &str| -> Vec<(String, u64)> {
        all.iter().filter(|(node, _)| node == name).cloned().collect()
    };
    for name in ["ada", "bob"] {
        let chain = of(name);
        assert!(!chain.is_empty(), "{all:?}");
        assert!(chain.iter().zip(1..).all(|((_, seq), place)| *seq == place), "{chain:?}");
        assert_eq!(export(&["--node", name]), chain);
        assert_eq!(export(&["--node", name, "--after", "1"]), chain[1..]);
    }
    assert_eq!(all.len(), of("ada").len() + of("bob").len());
    let vague = nodes[1].cli(&["audit", "export", "--after", "1"]);
    assert!(!vague.status.success() && said(&vague).contains("--node"), "{}", said(&vague));
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_trouble_is_503_in_time_never_401_and_costs_no_proxied_request() {
    if !postgres::is_there() {
        return;
    }
    let mut server = Server::start();
    let database = server.database();
    let upstream = Upstream::start();
    let gateway = start("ada", &database, &upstream, "");
    add(&gateway, "ada");
    let client = caller(&gateway);
    let tokens = login(&client, "ada", GOOD_PASSWORD).await;

    server.freeze(true);
    refused(&gateway, &tokens).await;
    server.freeze(false);
    let tokens = works(&gateway, "after a stop").await;

    server.kill();
    refused(&gateway, &tokens).await;
    server.restart();
    let tokens = works(&gateway, "after a restart").await;

    for _ in 0..3 {
        let sessions = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";
        postgres::ask(&database, sessions);
        let reply = refresh(&caller(&gateway), &tokens.refresh).await;
        assert_eq!(reply.status, 200, "a session that was ended is replaced: {}", reply.text());
    }

    // Others have all connections that there may be: what is open goes on.
    let reply = try_login(&caller(&gateway), "ada", GOOD_PASSWORD).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// What needs the store is 503, soon; what is proxied passes all the same.
async fn refused(gateway: &Gateway, tokens: &Tokens) {
    for _ in 0..3 {
        let started = Instant::now();
        let reply = refresh(&caller(gateway), &tokens.refresh).await;
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("retry-after").is_some(), "when to come again");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        let started = Instant::now();
        let proxied = caller(gateway).bearer(&tokens.access).get("/app/x").await;
        assert_eq!(proxied.status, 200, "{}", proxied.text());
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
}

/// A login is good again, by itself; until then it is 503 and nothing else.
async fn works(gateway: &Gateway, when: &str) -> Tokens {
    until(when, || async {
        let reply = try_login(&caller(gateway), "ada", GOOD_PASSWORD).await;
        match reply.status {
            200 => Some(Tokens::of(&reply)),
            503 => None,
            other => panic!("{when}: {other} {}", reply.text()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_change_by_a_command_and_serve_says_which() {
    if !postgres::is_there() {
        return;
    }
    let database = postgres::shared_database();
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let places = fresh_places(folder.path());
    let file = write(&places, &node(&places, "ada", &database, &upstream, "wait = \"0s\""));
    let migrate = |more: &[&str]| {
        let mut all = vec!["migrate", "--config", &file];
        all.extend_from_slice(more);
        let output = run(&all);
        (output.status.code(), said(&output))
    };
    let (code, text) = migrate(&["--check"]);
    assert!(code == Some(1) && text.contains("all tables"), "{code:?} {text}");
    let (code, text) = migrate(&[]);
    assert!(code == Some(0) && text.contains("all tables made"), "{code:?} {text}");
    let (code, text) = migrate(&["--check"]);
    assert!(code == Some(0) && text.contains("nothing to do"), "{code:?} {text}");

    postgres::ask(&database, "DELETE FROM _sqlx_migrations");
    let (code, text) = migrate(&["--check"]);
    assert!(code == Some(1) && text.contains("step 1"), "{code:?} {text}");
    let refused = run(&["serve", "--config", &file]);
    let text = said(&refused);
    assert!(!refused.status.success() && text.contains("portcullis migrate"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_database_and_says_so() {
    if !postgres::is_there() {
        return;
    }
    let mut server = Server::start();
    let database = server.database();
    let upstream = Upstream::start();
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    let places = fresh_places(folder.path());
    let file = write(&places, &node(&places, "ada", &database, &upstream, "wait = \"600ms\""));
    let gone = run(&["serve", "--config", &file]);
    let text = said(&gone);
    assert!(!gone.status.success(), "{text}");
    assert!(text.contains("\"waiting\"") && text.contains("the database"), "{text}");
    assert!(text.contains("unavailable"), "{text}");

    let text = node(&places, "ada", &database, &upstream, "wait = \"60s\"");
    let starting = std::thread::spawn({
        let places = places.clone();
        move || Gateway::start_in(&places, &text)
    });
    server.restart();
    let gateway = tokio::task::block_in_place(|| starting.join().unwrap());
    assert_eq!(gateway.readyz().await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_gateway_of_one_name_and_one_with_another_master_key_do_not_start() {
    if !postgres::is_there() {
        return;
    }
    let database = postgres::shared_database();
    let upstream = Upstream::start();
    let _first = start("ada", &database, &upstream, "");
    let folder = tempfile::tempdir().unwrap();
    let places = fresh_places(folder.path());
    let file = write(&places, &node(&places, "ada", &database, &upstream, "wait = \"0s\""));
    let second = said(&run(&["serve", "--config", &file]));
    assert!(second.contains("has this name") && second.contains("[fleet] node"), "{second}");

    let text = node(&places, "bob", &database, &upstream, "wait = \"0s\"");
    let file = write(&places, &text);
    std::fs::write(folder.path().join("test-master.key"), "another-master-key-0123456789").unwrap();
    let other = said(&run(&["serve", "--config", &file]));
    assert!(other.contains("master key"), "{other}");

    let file = write(&places, &text.replace("master_keys", "# master_keys"));
    let none = said(&run(&["serve", "--config", &file]));
    assert!(none.contains("master_keys"), "{none}");
}

fn write(places: &Places, text: &str) -> String {
    let file = places.dir.join("portcullis.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}
