//! One limit over five nodes: real processes, a real Redis, broken on purpose.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::support::{
    conf::{self, Conf, Table},
    gateway::Gateway,
    redis::{self, Cluster, Redis},
    upstream::Upstream,
    wait::until,
    wire,
};

/// A debug build on a busy machine must not lose Redis for that alone.
const PATIENT: &str = "timeout = \"500ms\"";
/// How the load is spread over the nodes, of a hundred.
const SKEWED: [usize; 5] = [50, 25, 13, 8, 4];

/// A limit: name, windows, further keys.
type Rule = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

struct Fleet {
    nodes: Vec<Gateway>,
    _upstream: Upstream,
}

/// Nodes that share what `redis` names, with limits that count a route each.
fn fleet(nodes: usize, redis: &str, limits: &[Rule]) -> Fleet {
    let upstream = Upstream::start();
    let address = upstream.address;
    let start = |_| {
        Gateway::start(|places| {
            let mut conf = Conf::new(places)
                .section(&format!("[redis]\n{redis}\n"))
                .mount("rate_headers", "{ always = true, ietf = true }")
                .upstream("main", &[address]);
            for (name, windows, more) in limits {
                let mut limit =
                    Table::new("limit", name).with("per", r#"["route"]"#).with("windows", *windows);
                for (key, value) in *more {
                    limit = limit.with(key, format!("\"{value}\""));
                }
                let path = format!("/{name}/**");
                let route = conf::open(name, &path, "main").with("limits", format!("[\"{name}\"]"));
                conf = conf.table(limit).route(route);
            }
            conf.text()
        })
    };
    Fleet { nodes: (0..nodes).map(start).collect(), _upstream: upstream }
}

impl Fleet {
    /// Waits until every node shows this line among its metrics.
    async fn until_all_show(&self, line: &str) {
        for node in &self.nodes {
            let operator = node.operator();
            until(line, || async {
                let text = operator.get("/metrics").await.text();
                text.lines().any(|own| own == line).then_some(())
            })
            .await;
        }
    }

    async fn ask(&self, node: usize, path: &str) -> wire::Reply {
        wire::exchange(self.nodes[node].address(), request(path)).await
    }
}

fn request(path: &str) -> String {
    format!("GET /{path}/x HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

/// One request: when it was sent, when it was answered, and with what.
#[derive(Clone, Copy, Debug)]
struct Shot {
    sent: Instant,
    answered: Instant,
    status: u16,
}

/// Loads all nodes for a while; the busier ones over more connections. Every request is answered, or it is a failure.
async fn load(fleet: &Fleet, path: &'static str, lasts: Duration, busy: &[usize]) -> Vec<Shot> {
    let end = Instant::now() + lasts;
    let mut running = Vec::new();
    for (node, weight) in fleet.nodes.iter().zip(busy) {
        for number in 0..weight.div_ceil(25) {
            let (to, pause) = (node.address(), Duration::from_millis(100 / *weight as u64));
            running.push(tokio::spawn(async move {
                let mut shots = Vec::new();
                tokio::time::sleep(Duration::from_millis(number as u64)).await;
                let mut wire = wire::connect(to).await;
                while Instant::now() < end {
                    let sent = Instant::now();
                    wire.send(request(path)).await;
                    let reply = wire.reply().await;
                    let answered = Instant::now();
                    shots.push(Shot { sent, answered, status: reply.status });
                    tokio::time::sleep(pause).await;
                }
                shots
            }));
        }
    }
    let mut shots = Vec::new();
    for one in running {
        shots.extend(one.await.expect("a driver ends"));
    }
    shots.sort_by_key(|shot| shot.answered);
    shots
}

fn admitted(shots: &[Shot]) -> Vec<Shot> {
    shots.iter().copied().filter(|shot| shot.status == 200).collect()
}

/// How many more than N + N·t/W were admitted in the worst span. A request was decided between its two times, so only those
/// count that were surely within.
fn worst(admitted: &[Shot], limit: f64, per: f64) -> f64 {
    let mut worst = f64::MIN;
    for (at, first) in admitted.iter().enumerate() {
        let begin = admitted[at..].iter().map(|shot| shot.sent).min().unwrap_or(first.sent);
        for (count, last) in admitted[at..].iter().enumerate() {
            let span = last.answered.duration_since(begin).as_secs_f64();
            worst = worst.max((count + 1) as f64 - (limit + limit * span / per));
        }
    }
    worst
}

/// Refusals that no order of decisions explains. Every request was decided between its two times; one is rightly refused if
/// from some moment on all of the limit but less than one request was taken. Counted are all that may have been taken by
/// then, and the shortest time that may have passed.
fn wrongly_refused(shots: &[Shot], limit: f64, per: f64) -> usize {
    let passed = admitted(shots);
    let rightly = |refused: &Shot| {
        let before: Vec<&Shot> = passed.iter().filter(|one| one.sent <= refused.answered).collect();
        before.iter().any(|first| {
            let taken = before.iter().filter(|one| one.answered >= first.sent).count() as f64;
            let span = refused.sent.saturating_duration_since(first.answered).as_secs_f64();
            taken - limit * span / per > limit - 1.0
        })
    };
    shots.iter().filter(|shot| shot.status == 429).filter(|shot| !rightly(shot)).count()
}

fn most(shots: &[Shot], limit: f64, per: f64) -> f64 {
    let first = shots.iter().map(|shot| shot.sent).min().expect("some");
    let last = shots.iter().map(|shot| shot.answered).max().expect("some");
    limit + limit * last.duration_since(first).as_secs_f64() / per
}

fn statuses(shots: &[Shot]) -> std::collections::BTreeMap<u16, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for shot in shots {
        *counts.entry(shot.status).or_default() += 1;
    }
    counts
}

/// The measure itself: what it must let pass, and what it must find.
#[test]
fn a_refusal_is_held_against_all_that_may_have_been_taken() {
    let start = Instant::now();
    let shot = |sent: u64, answered: u64, status| {
        let at = |millis| start + Duration::from_millis(millis);
        Shot { sent: at(sent), answered: at(answered), status }
    };
    let both = [shot(0, 1, 200), shot(2, 3, 200)];
    let with = |last: Shot| [both[0], both[1], last];
    // Two in ten seconds: the third is too many until five seconds have passed.
    assert_eq!(wrongly_refused(&with(shot(4, 5, 429)), 2.0, 10.0), 0);
    assert_eq!(wrongly_refused(&with(shot(4_990, 4_995, 429)), 2.0, 10.0), 0);
    assert_eq!(wrongly_refused(&with(shot(5_010, 5_015, 429)), 2.0, 10.0), 1);
    assert_eq!(wrongly_refused(&[both[0], shot(4, 5, 429)], 2.0, 10.0), 1);
    // It may have been decided before the slow one, or after.
    assert_eq!(wrongly_refused(&[both[0], shot(2, 9, 200), shot(4, 5, 429)], 2.0, 10.0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_hold_one_limit_exactly_and_as_shares() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let section = format!("url = \"{}\"\n{PATIENT}", redis.url());
    let limits: [Rule; 2] = [
        ("exact", r#"["60/10s", "1000/h"]"#, &[("across", "exact")]),
        ("leased", r#"["200/10s"]"#, &[]),
    ];
    let fleet = fleet(5, &section, &limits);
    fleet.until_all_show("portcullis_fleet_nodes 5").await;

    let shots = load(&fleet, "exact", Duration::from_secs(5), &SKEWED).await;
    let (passed, most_of) = (admitted(&shots), most(&shots, 60.0, 10.0));
    assert!(worst(&passed, 60.0, 10.0) <= 1e-9, "{} of {most_of}", passed.len());
    // And all that fits: whoever was refused would have been over it.
    assert_eq!(wrongly_refused(&shots, 60.0, 10.0), 0, "{} of {most_of}", passed.len());
    assert_eq!(statuses(&shots).keys().copied().collect::<Vec<_>>(), [200, 429]);

    let shots = load(&fleet, "leased", Duration::from_secs(6), &SKEWED).await;
    let (passed, most_of) = (admitted(&shots), most(&shots, 200.0, 10.0));
    assert!(shots.len() as f64 > most_of * 1.1, "too little load: {}", shots.len());
    assert!(worst(&passed, 200.0, 10.0) <= 0.01 * 200.0, "{} of {most_of}", passed.len());
    assert!(passed.len() as f64 <= 1.01 * most_of, "{} of {most_of}", passed.len());
    assert!(passed.len() as f64 >= 0.97 * most_of, "{} of {most_of}", passed.len());
    assert_eq!(statuses(&shots).keys().copied().collect::<Vec<_>>(), [200, 429]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_node_lets_in_its_part_or_nobody_or_everybody_as_the_limit_says() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let section = format!("url = \"{}\"\n{PATIENT}", redis.url());
    let limits: [Rule; 4] = [
        ("parted", r#"["50/h"]"#, &[("across", "exact")]),
        ("shared", r#"["50/h"]"#, &[("across", "leased"), ("on_error", "local")]),
        ("closed", r#"["50/h"]"#, &[("on_error", "closed")]),
        ("open", r#"["1/h"]"#, &[("on_error", "open")]),
    ];
    let fleet = fleet(5, &section, &limits);
    fleet.until_all_show("portcullis_fleet_nodes 5").await;
    redis.kill();
    fleet.until_all_show("portcullis_redis_up 0").await;

    for path in ["parted", "shared"] {
        let mut passed = [0; 5];
        for (node, passed) in passed.iter_mut().enumerate() {
            for _ in 0..20 {
                let status = fleet.ask(node, path).await.status;
                assert!([200, 429].contains(&status), "{status}");
                *passed += usize::from(status == 200);
            }
        }
        assert_eq!(passed, [10; 5], "{path}");
    }
    for node in 0..5 {
        let refused = fleet.ask(node, "closed").await;
        assert_eq!(refused.status, 503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        for _ in 0..3 {
            assert_eq!(fleet.ask(node, "open").await.status, 200);
        }
    }
    // Found again: one line for the loss, one for the return, however many requests came meanwhile.
    redis.again();
    let back = Instant::now();
    fleet.until_all_show("portcullis_redis_up 1").await;
    assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
    assert_eq!(fleet.ask(0, "closed").await.status, 200);
    for node in &fleet.nodes {
        let told = |event: &str| {
            node.log().iter().filter(|line| line["event"].as_str() == Some(event)).count()
        };
        assert_eq!((told("redis_lost"), told("redis_found")), (1, 2), "{}", node.output());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_redis_every_request_is_decided_in_time() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let section = format!("url = \"{}\"\ntimeout = \"20ms\"", redis.url());
    let limits: [Rule; 1] = [("exact", r#"["100000/s"]"#, &[("across", "exact")])];
    let fleet = Arc::new(fleet(2, &section, &limits));
    fleet.until_all_show("portcullis_redis_up 1").await;
    let own = Arc::clone(&fleet);
    let running =
        tokio::spawn(async move { load(&own, "exact", Duration::from_secs(6), &[20, 20]).await });
    let pause = || tokio::time::sleep(Duration::from_millis(700));
    pause().await;
    redis.ask("FLUSHALL");
    pause().await;
    redis.pause();
    pause().await;
    redis.go_on();
    fleet.until_all_show("portcullis_redis_up 1").await;
    pause().await;
    redis.kill();
    pause().await;
    redis.again();
    fleet.until_all_show("portcullis_redis_up 1").await;
    let shots = running.await.expect("the load ends");
    assert_eq!(statuses(&shots).keys().copied().collect::<Vec<_>>(), [200], "none lost");
    let slowest = shots.iter().map(|shot| shot.answered - shot.sent).max().expect("some");
    // The budget of one call, and what a debug build on a busy machine takes anyway.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_over_a_cluster_and_several_are_charged_all_or_none() {
    if !redis::is_there() {
        return;
    }
    let cluster = Cluster::start();
    let section = format!("cluster = {:?}\n{PATIENT}", cluster.addresses());
    let limits: [Rule; 2] =
        [("exact", r#"["7/h"]"#, &[("across", "exact")]), ("leased", r#"["7/h"]"#, &[])];
    let fleet = fleet(2, &section, &limits);
    fleet.until_all_show("portcullis_fleet_nodes 2").await;
    for path in ["exact", "leased"] {
        let mut passed = 0;
        for number in 0..20 {
            let reply = fleet.ask(number % 2, path).await;
            if reply.status == 200 {
                passed += 1;
                let left = (7 - passed).to_string();
                assert_eq!(reply.header("x-ratelimit-remaining"), Some(&*left), "{path}");
            } else {
                assert_eq!(reply.status, 429);
                assert!(reply.header("retry-after").is_some());
            }
        }
        assert_eq!(passed, 7, "{path}");
    }
}
