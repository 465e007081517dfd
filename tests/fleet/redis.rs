//! The connection to Redis by itself: every way in which it is run, and every way in which it is lost.

use std::time::Duration;

use portcullis::{
    fleet::{Address, Client, Login, News, Script, Settings, Subscription, Tls, Topology, Value},
    model::{SecretString, SystemRandom},
    telemetry::Metrics,
};

use crate::support::{
    link::{Link, State},
    redis::{self, Cluster, Redis, Watched},
    tls::Authority,
    wait::{until, within},
};

/// Patient enough for a debug build on a busy machine; the budget itself has a test of its own.
const BUDGET: Duration = Duration::from_millis(500);

fn settings(topology: Topology) -> Settings {
    Settings {
        topology,
        tls: None,
        login: None,
        sentinel_login: None,
        database: 0,
        prefix: "p:".into(),
        timeout: BUDGET,
        nodes: 1,
    }
}

fn at(redis: &Redis) -> Topology {
    Topology::Single(place(&redis.address.to_string()))
}

fn place(text: &str) -> Address {
    Address::parse(text, 0).unwrap()
}

fn places(texts: &[String]) -> Vec<Address> {
    texts.iter().map(|text| place(text)).collect()
}

async fn found(settings: Settings) -> (Client, Metrics) {
    portcullis::edge::tls::install_provider();
    let metrics = Metrics::new().unwrap();
    let client = Client::new(settings, metrics.clone());
    client.start();
    until_up(&client).await;
    (client, metrics)
}

async fn until_up(client: &Client) {
    until("redis is found", || async { client.is_up().then_some(()) }).await;
}

async fn until_down(client: &Client) {
    until("redis is lost", || async { (!client.is_up()).then_some(()) }).await;
}

async fn counts(client: &Client, key: &str) -> Option<i64> {
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    match client.run(&script, &[key], &[]).await {
        Ok(Value::Int(count)) => Some(count),
        _ => None,
    }
}

async fn hears(listener: &mut Subscription, wanted: &News) {
    let listening = async {
        while let Some(news) = listener.next().await {
            if news == *wanted {
                return;
            }
        }
        panic!("the subscription ended");
    };
    within("news", Duration::from_secs(20), listening).await;
}

#[tokio::test]
async fn a_call_is_answered_and_a_script_runs_after_the_server_forgot_it() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let (client, metrics) = found(settings(at(&redis))).await;
    assert_eq!(counts(&client, "p:n").await, Some(1));
    redis.ask("SCRIPT FLUSH");
    assert_eq!(counts(&client, "p:n").await, Some(2));
    assert!(metrics.render().contains("portcullis_redis_up 1"));
}

#[tokio::test]
async fn a_server_that_stands_still_costs_a_few_budgets_and_then_nothing() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let timeout = Duration::from_millis(20);
    let (client, metrics) = found(Settings { timeout, ..settings(at(&redis)) }).await;
    redis.pause();
    let mut asked = 0;
    while client.is_up() {
        let began = std::time::Instant::now();
        assert_eq!(counts(&client, "p:n").await, None);
        // Half of a debug build's slowness on a busy machine is not ours.
        assert!(began.elapsed() < timeout * 10, "{:?}", began.elapsed());
        asked += 1;
        assert!(asked <= 3, "the circuit stays closed");
    }
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        assert_eq!(counts(&client, "p:n").await, None);
    }
    assert!(began.elapsed() < timeout * 10, "an open circuit costs nothing");
    assert!(metrics.render().contains("portcullis_redis_up 0"));
    redis.go_on();
    let began = std::time::Instant::now();
    until_up(&client).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// It is there, and slower than a call may be: found again and again it would cost requests their budget each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_slow_stays_lost_until_it_is_not() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let link = Link::to(redis.address);
    let timeout = Duration::from_millis(50);
    let near = Topology::Single(place(&link.address.to_string()));
    let (client, metrics) = found(Settings { timeout, ..settings(near) }).await;
    // A look takes twice the budget, and a connection is made well within its own.
    link.is(State::Slow(timeout));
    until_down(&client).await;
    let lost = std::time::Instant::now();
    while lost.elapsed() < Duration::from_millis(1500) {
        assert!(!client.is_up(), "found, and as slow as before");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    link.is(State::Well);
    let back = std::time::Instant::now();
    until_up(&client).await;
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    assert_eq!(counts(&client, "p:n").await, Some(1));
    assert!(metrics.render().contains("portcullis_redis_up 1"));
}

/// After a first failure the client asks by itself: the circuit opens though nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_that_waited_is_enough_to_know_that_a_server_stands_still() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::start();
    let timeout = Duration::from_millis(20);
    let (client, _) = found(Settings { timeout, ..settings(at(&redis)) }).await;
    redis.pause();
    let began = std::time::Instant::now();
    assert_eq!(counts(&client, "p:n").await, None);
    until_down(&client).await;
    // Three budgets; without it three looks, half a second apart.
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    redis.go_on();
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again_and_news_say_what_was_missed() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let (client, _) = found(settings(at(&redis))).await;
    let mut listener = client.subscribe("news");
    hears(&mut listener, &News::Listening).await;
    client.publish("news", b"one").await.unwrap();
    hears(&mut listener, &News::Message(b"one".to_vec())).await;
    redis.kill();
    hears(&mut listener, &News::Lost).await;
    until_down(&client).await;
    assert!(client.publish("news", b"two").await.is_err());
    redis.again();
    let back = std::time::Instant::now();
    until_up(&client).await;
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    hears(&mut listener, &News::Listening).await;
    client.publish("news", b"three").await.unwrap();
    hears(&mut listener, &News::Message(b"three".to_vec())).await;
}

#[tokio::test]
async fn a_failover_is_followed() {
    if !redis::is_there() {
        return;
    }
    let mut watched = Watched::start();
    let (sentinels, master) = (places(&watched.addresses()), "main".to_owned());
    let (client, _) = found(settings(Topology::Sentinels { sentinels, master })).await;
    let mut listener = client.subscribe("news");
    hears(&mut listener, &News::Listening).await;
    assert_eq!(counts(&client, "p:n").await, Some(1));
    watched.primary.kill();
    watched.until_failed_over();
    until("the new primary is asked", || async { counts(&client, "p:m").await }).await;
    hears(&mut listener, &News::Listening).await;
    client.publish("news", b"still").await.unwrap();
    hears(&mut listener, &News::Message(b"still".to_vec())).await;
}

#[tokio::test]
async fn a_cluster_is_asked_where_the_key_lies_and_news_reach_all_of_it() {
    if !redis::is_there() {
        return;
    }
    let cluster = Cluster::start();
    let (client, _) = found(settings(Topology::Cluster(places(&cluster.addresses())))).await;
    for key in 0..20 {
        assert_eq!(counts(&client, &format!("p:{key}")).await, Some(1));
    }
    let mut listener = client.subscribe("news");
    hears(&mut listener, &News::Listening).await;
    client.publish("news", b"all").await.unwrap();
    hears(&mut listener, &News::Message(b"all".to_vec())).await;
}

#[tokio::test]
async fn a_user_logs_in_and_no_message_or_debug_tells_the_password() {
    if !redis::is_there() {
        return;
    }
    let redis = Redis::with_user("gate", "hunter2-secret");
    let login = |password: &str| {
        let (username, password) = (Some("gate".to_owned()), SecretString::from(password));
        Some(Login { username, password })
    };
    let good = Settings { login: login("hunter2-secret"), ..settings(at(&redis)) };
    assert!(!format!("{good:?}").contains("hunter2"));
    let (client, _) = found(good).await;
    assert!(!format!("{client:?}").contains("hunter2"));
    assert_eq!(counts(&client, "p:n").await, Some(1));
    let wrong = Settings { login: login("wrong"), ..settings(at(&redis)) };
    let other = Client::new(wrong, Metrics::new().unwrap());
    other.start();
    assert_eq!(counts(&other, "p:n").await, None);
    assert!(!other.is_up());
}

#[tokio::test]
async fn tls_takes_only_a_server_that_its_authorities_vouch_for() {
    if !redis::is_there() {
        return;
    }
    let (ours, others) = (Authority::new(), Authority::new());
    let pair = ours.server(&["127.0.0.1"]);
    let redis = Redis::with_tls(&pair.chain, &pair.key, &ours.pem());
    let tls = |authority: &Authority| Some(Tls { authorities: Some(authority.pem().into()) });
    let (client, _) = found(Settings { tls: tls(&ours), ..settings(at(&redis)) }).await;
    assert_eq!(counts(&client, "p:n").await, Some(1));
    let mut turned_away = Client::new(
        Settings { tls: tls(&others), ..settings(at(&redis)) },
        Metrics::new().unwrap(),
    );
    turned_away.start();
    assert_eq!(counts(&turned_away, "p:n").await, None);
    turned_away = Client::new(settings(at(&redis)), Metrics::new().unwrap());
    turned_away.start();
    assert_eq!(counts(&turned_away, "p:n").await, None);
}

#[tokio::test]
async fn every_node_counts_the_others_and_remembers_them_when_redis_is_lost() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let mut members = Vec::new();
    for _ in 0..5 {
        let (client, metrics) = found(settings(at(&redis))).await;
        let one = portcullis::fleet::Members::new(client, metrics, &SystemRandom);
        one.start();
        members.push(one);
    }
    until("all know of five", || async {
        members.iter().all(|one| one.known() == 5).then_some(())
    })
    .await;
    // Emptied, it has to be told of all of them again; nobody divides by fewer meanwhile.
    redis.ask("FLUSHALL");
    until("all are there again", || async {
        assert!(members.iter().all(|one| one.known() == 5), "some are forgotten");
        redis.ask("ZCARD p:nodes").contains(":5").then_some(())
    })
    .await;
    redis.kill();
    assert!(members.iter().all(|one| one.known() == 5));
    let names: std::collections::BTreeSet<_> = members.iter().map(|one| one.name()).collect();
    assert_eq!(names.len(), 5);
}
