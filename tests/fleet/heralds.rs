//! Changes announced over Redis: what is heard there makes a node look sooner, and does nothing else.

use std::time::{Duration, Instant};

use super::{
    bench::{Fleet, refused},
    ends::{self, End, Robot},
};
use crate::support::{
    client::Client,
    redis::{self, Cluster, Redis, Watched},
    wait::until,
};

fn fleet(redis: &str) -> Option<Fleet> {
    let section = format!("[redis]\n{redis}\ntimeout = \"500ms\"");
    Fleet::of(2, "", |conf| {
        conf.mount("authorization_server", r#"{ issuer = "https://auth.example" }"#)
            .section(&section)
    })
}

async fn until_up(fleet: &Fleet, up: bool) {
    for number in 0..fleet.nodes.len() {
        until("redis is found or lost", || async {
            let figure = fleet.figure(number, "portcullis_redis_up ").await;
            (figure == f64::from(u8::from(up))).then_some(())
        })
        .await;
    }
}

/// Something that node 0 ends, and how soon node 1 knows.
async fn known_after(fleet: &Fleet, robot: &Robot, end: End) -> Duration {
    let ready = ends::prepare(fleet, robot, end, 0).await;
    let clients = fleet.taken_everywhere(&ready.credential).await;
    let other: &Client = &clients[1];
    let acknowledged = ready.make().await;
    refused(other, acknowledged).await
}

/// The shortest of some: a poll may be about to come by itself, but not every time.
async fn soonest(fleet: &Fleet, robot: &Robot) -> Duration {
    let mut soonest = Duration::MAX;
    for _ in 0..5 {
        soonest = soonest.min(known_after(fleet, robot, End::KeyRevoked).await);
    }
    soonest
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_in_redis_can_neither_end_nor_hide_anything_nor_make_nodes_ask_all_the_time() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let Some(fleet) = fleet(&format!("url = \"{}\"", redis.url())) else { return };
    until_up(&fleet, true).await;
    let robot = Robot::new(&fleet);
    let kept = ends::prepare(&fleet, &robot, End::SessionEnded, 0).await.credential;
    fleet.taken_everywhere(&kept).await;
    let applied = fleet.figure(1, "portcullis_changes_sequence{of=\"applied\"}").await;
    let next = applied as u64 + 1;
    let lies = [
        "18446744073709551615".to_owned(),
        next.to_string(),
        format!("'{next} 1 - session x'"),
        "'-1'".to_owned(),
        "''".to_owned(),
        format!("'{}'", "9".repeat(10_000)),
    ];
    let calls = "portcullis_store_call_duration_seconds_count{op=\"changes_since\"";
    let (asked, began) = (fleet.figure(1, calls).await, Instant::now());
    for _ in 0..300 {
        for lie in &lies {
            let said = redis.ask(&format!("PUBLISH portcullis:changes {lie}"));
            assert!(said.starts_with(":2"), "both listen: {said}");
        }
    }
    let (asked, took) = (fleet.figure(1, calls).await - asked, began.elapsed().as_secs_f64());
    // The poll, and one question for each time that a lie is believed.
    assert!(asked >= 1.0 && asked <= 3.0 + took * 6.0, "{asked} questions in {took} s");
    // Nothing was ended, nothing taken for known, and what really ends next is known.
    fleet.taken_everywhere(&kept).await;
    assert!(fleet.figure(1, "portcullis_changes_sequence{of=\"applied\"}").await >= applied);
    for end in End::ALL {
        known_after(&fleet, &robot, end).await;
    }
    fleet.mute(true);
    let soonest = soonest(&fleet, &robot).await;
    assert!(soonest < Duration::from_millis(250), "{soonest:?}");
    assert_eq!(fleet.figure(1, "portcullis_changes_read_anew_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcer_that_has_fallen_silent_shows_how_long_it_owes_word_and_is_given_up() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let Some(fleet) = fleet(&format!("url = \"{}\"", redis.url())) else { return };
    until_up(&fleet, true).await;
    let robot = Robot::new(&fleet);
    let owed =
        |name: &str| format!("portcullis_changes_announcer_lag_seconds{{announcer=\"{name}\"}}");
    let (database, second) = (owed("database"), owed("redis"));
    known_after(&fleet, &robot, End::KeyRevoked).await;
    until("nobody owes anything", || async {
        let all = [fleet.figure(1, &database).await, fleet.figure(1, &second).await];
        (all == [0.0, 0.0]).then_some(())
    })
    .await;
    // The database is mute: its connection is doubted, and given up.
    fleet.mute(true);
    known_after(&fleet, &robot, End::KeyRevoked).await;
    until("it owes", || async { (fleet.figure(1, &database).await > 0.0).then_some(()) }).await;
    until("it is given up", || async {
        let told = |line: &str| line.contains("change_listener_lost") && line.contains("silent");
        fleet.nodes[1].output().lines().any(told).then_some(())
    })
    .await;
    fleet.mute(false);
    // Without Redis the database is enough, and Redis owes until it is back.
    redis.kill();
    until_up(&fleet, false).await;
    known_after(&fleet, &robot, End::Logout).await;
    until("it owes", || async { (fleet.figure(1, &second).await > 0.0).then_some(()) }).await;
    redis.again();
    until("it listens again", || async { (fleet.figure(1, &second).await == 0.0).then_some(()) })
        .await;
    fleet.mute(true);
    let soonest = soonest(&fleet, &robot).await;
    assert!(soonest < Duration::from_millis(250), "{soonest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_follow_a_failover_and_go_through_a_cluster() {
    if !redis::is_there() {
        return;
    }
    let mut watched = Watched::start();
    let places = format!("sentinels = {:?}\nmaster = \"main\"", watched.addresses());
    let Some(own) = fleet(&places) else { return };
    until_up(&own, true).await;
    own.mute(true);
    let robot = Robot::new(&own);
    let before = soonest(&own, &robot).await;
    watched.primary.kill();
    watched.until_failed_over();
    until_up(&own, true).await;
    // The connection that listens is made anew within moments.
    until("news travel again", || async {
        (known_after(&own, &robot, End::KeyRevoked).await < Duration::from_millis(100))
            .then_some(())
    })
    .await;
    let after = soonest(&own, &robot).await;
    assert!(before.max(after) < Duration::from_millis(250), "{before:?} {after:?}");
    drop(own);

    let cluster = Cluster::start();
    let Some(own) = fleet(&format!("cluster = {:?}", cluster.addresses())) else { return };
    until_up(&own, true).await;
    own.mute(true);
    let robot = Robot::new(&own);
    let soonest = soonest(&own, &robot).await;
    assert!(soonest < Duration::from_millis(250), "{soonest:?}");
}
