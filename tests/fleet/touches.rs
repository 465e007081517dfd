//! Uses of sessions that several nodes see: how often they are written. `PORTCULLIS_FLEET_TOUCHES` is for how many seconds
//! everybody is busy; without it long enough for the first write of each.

use std::time::{Duration, Instant};

use super::bench::{Fleet, GUARDED};
use crate::support::{
    client::Client,
    postgres,
    redis::{self, Redis},
    wait::until,
};

const NODES: usize = 5;
const SESSIONS: usize = 8;

/// Counts what is done to the last use of sessions: statements, and rows that changed.
const COUNT: &str = "
CREATE TABLE counted (what TEXT);
CREATE FUNCTION count_statement() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO counted VALUES ('statement'); RETURN NULL; END $$;
CREATE FUNCTION count_row() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO counted VALUES ('row'); RETURN NULL; END $$;
CREATE TRIGGER counted_statement AFTER UPDATE OF last_seen_at ON session
    FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
CREATE TRIGGER counted_row AFTER UPDATE OF last_seen_at ON session
    FOR EACH ROW WHEN (OLD.last_seen_at <> NEW.last_seen_at) EXECUTE FUNCTION count_row();";

fn counted(fleet: &Fleet, what: &str) -> usize {
    let count = format!("SELECT count(*) FROM counted WHERE what = '{what}'");
    postgres::ask(&fleet.database, &count).trim().parse().unwrap()
}

/// Everybody comes to every node again and again; gives statements and rows.
async fn busy(fleet: &Fleet, clients: &[Client], lasts: Duration) -> (usize, usize) {
    let (statements, rows) = (counted(fleet, "statement"), counted(fleet, "row"));
    let began = Instant::now();
    while began.elapsed() < lasts {
        for client in clients {
            assert_eq!(client.get(GUARDED).await.status, 200);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    (counted(fleet, "statement") - statements, counted(fleet, "row") - rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_all_nodes_see_is_written_by_one_and_without_redis_by_each() {
    if !redis::is_there() {
        return;
    }
    let seconds = std::env::var("PORTCULLIS_FLEET_TOUCHES").ok().and_then(|text| text.parse().ok());
    // The timer comes round every 3 s.
    let lasts = Duration::from_secs(seconds.unwrap_or(7));
    let mut redis = Redis::start();
    let section = format!("[redis]\nurl = \"{}\"\ntimeout = \"500ms\"", redis.url());
    let Some(fleet) = Fleet::of(NODES, "", |conf| conf.section(&section)) else { return };
    postgres::ask(&fleet.database, COUNT);
    let mut clients = Vec::new();
    for number in 0..SESSIONS {
        let who = fleet.person(number % NODES).await;
        clients.extend((0..NODES).map(|node| who.token().client(&fleet, node)));
    }
    let (statements, rows) = busy(&fleet, &clients, lasts).await;
    println!(
        "{SESSIONS} sessions, {NODES} nodes, {lasts:?}, with Redis: {statements} statements, {rows} rows"
    );
    if seconds.is_none() {
        // Two nodes whose timers come round in the same moment both write.
        assert!((1..=2 * SESSIONS).contains(&rows), "{rows}");
        assert!(statements <= 2 * SESSIONS, "{statements}");
    }

    // An emptied Redis costs each session one write more at most, and a lost one has every node write for itself.
    redis.ask("FLUSHALL");
    redis.kill();
    for number in 0..NODES {
        until("redis is lost", || async {
            (fleet.figure(number, "portcullis_redis_up ").await == 0.0).then_some(())
        })
        .await;
    }
    let mut clients = Vec::new();
    for number in 0..SESSIONS {
        let who = fleet.person(number % NODES).await;
        clients.extend((0..NODES).map(|node| who.token().client(&fleet, node)));
    }
    let (statements, rows) = busy(&fleet, &clients, lasts).await;
    println!("without Redis: {statements} statements, {rows} rows");
    if seconds.is_none() {
        // All of a node with one statement. Where it was opened nothing has to be written for a while.
        assert!(statements >= NODES - 1, "{statements}");
        assert!((SESSIONS..=SESSIONS * NODES).contains(&rows), "{rows}");
    }
}
