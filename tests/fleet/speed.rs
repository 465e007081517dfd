//! How soon an end at one of five nodes is known at the others: a few of every kind, and `PORTCULLIS_FLEET_REVOCATIONS=1000`
//! for as many as are stated. `PORTCULLIS_BINARY` names a release build for that.

use std::time::Duration;

use super::{
    bench::{Fleet, all_refuse},
    ends::{self, End, Robot},
};
use crate::support::redis::{self, Redis};

const NODES: usize = 5;
const P99: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_millis(250);
/// With only one of the two ways left, or none.
const WITHOUT: Duration = Duration::from_secs(2);

/// How many ends the full run has; `None`: a few of each kind.
fn full() -> Option<usize> {
    std::env::var("PORTCULLIS_FLEET_REVOCATIONS").ok().and_then(|text| text.parse().ok())
}

fn fleet(redis: Option<&Redis>) -> Option<Fleet> {
    // A debug build on a busy machine must not lose Redis for that alone; a release build has the budget of the default.
    let patient = if full().is_some() { "" } else { "timeout = \"500ms\"\n" };
    let section = redis.map(|redis| format!("[redis]\nurl = \"{}\"\n{patient}", redis.url()));
    Fleet::of(NODES, "", |conf| {
        let conf = conf.mount("authorization_server", r#"{ issuer = "https://auth.example" }"#);
        match &section {
            Some(section) => conf.section(section),
            None => conf,
        }
    })
}

/// What has to hold.
struct Bound {
    p99: Duration,
    most: Duration,
}

/// Ends things of every kind at every node in turn, and prints and checks how long the other nodes took.
async fn hold(fleet: &Fleet, robot: &Robot, what: &str, rounds: usize, bound: &Bound) {
    let mut took = Vec::new();
    for round in 0..rounds {
        let (at, end) = (round % NODES, End::ALL[round % End::ALL.len()]);
        let ready = ends::prepare(fleet, robot, end, at).await;
        let clients = fleet.taken_everywhere(&ready.credential).await;
        let acknowledged = ready.make().await;
        took.extend(all_refuse(at, clients, acknowledged).await);
    }
    took.sort();
    let part = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)];
    let (half, p99, most) = (part(500), part(990), part(1000));
    println!(
        "{what}: {rounds} ends, known at the other {} nodes after: half {half:?}, p99 {p99:?}, most {most:?}",
        NODES - 1
    );
    assert!(most <= bound.most, "{what}: {most:?}");
    // Of a few the 99th percentile is the longest.
    assert!(full().is_none() || p99 <= bound.p99, "{what}: p99 {p99:?}");
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_known_everywhere_within_moments_by_the_database_alone() {
    let Some(fleet) = fleet(None) else { return };
    let robot = Robot::new(&fleet);
    let soon = Bound { p99: P99, most: MOST };
    hold(&fleet, &robot, "PostgreSQL", full().unwrap_or(End::ALL.len()), &soon).await;
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_is_known_everywhere_within_moments_whichever_way_of_telling_is_lost() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let Some(fleet) = fleet(Some(&redis)) else { return };
    let robot = Robot::new(&fleet);
    let soon = Bound { p99: P99, most: MOST };
    let later = Bound { p99: WITHOUT, most: WITHOUT };
    let all = full().unwrap_or(End::ALL.len());
    let some = full().map_or(End::ALL.len(), |full| full / 5);
    hold(&fleet, &robot, "PostgreSQL and Redis", all, &soon).await;

    for turn in 0..some.div_ceil(End::ALL.len()) {
        // In the long run they listen again between two turns, and are cut again.
        fleet.cut_listeners();
        let what = format!("Redis, listeners of PostgreSQL cut for the {}. time", turn + 1);
        hold(&fleet, &robot, &what, End::ALL.len(), &soon).await;
    }
    fleet.mute(true);
    hold(&fleet, &robot, "Redis alone", some, &soon).await;
    redis.ask("FLUSHALL");
    redis.ask("SCRIPT FLUSH");
    hold(&fleet, &robot, "Redis alone, flushed", End::ALL.len(), &soon).await;
    fleet.mute(false);

    redis.pause();
    hold(&fleet, &robot, "PostgreSQL, Redis stands still", some, &later).await;
    redis.go_on();
    redis.kill();
    hold(&fleet, &robot, "PostgreSQL, Redis killed", some, &later).await;
    fleet.mute(true);
    hold(&fleet, &robot, "nobody tells", End::ALL.len(), &later).await;
    for number in 0..NODES {
        assert_eq!(fleet.figure(number, "portcullis_changes_read_anew_total").await, 0.0);
    }
}
