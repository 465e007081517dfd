//! Failed authentication is counted by address and held back before anything dear is done, and good callers go on.

use std::{net::IpAddr, sync::OnceLock};

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    tmws::{GOOD_PASSWORD, caller, fresh_address, login},
    upstream::Upstream,
    wire::{self, Reply},
};

struct World {
    gateway: Gateway,
    _upstream: Upstream,
    key: String,
}

/// Five failures an hour.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Upstream::start();
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            Conf::new(places)
                .section("[limiter]\nfailures_per_address = [\"5/h\"]")
                .upstream("main", &[address])
                .route(conf::open("open", "/open/**", "main"))
                .route(conf::closed("closed", "/closed/**", "main"))
                .text()
        });
        operate::add_admin(&gateway);
        let key = operate::admin_key(&gateway, &["FULL"]);
        World { gateway, _upstream: upstream, key }
    })
}

async fn ask(from: IpAddr, path: &str, field: &str) -> Reply {
    let address = world().gateway.address();
    let mut wire = wire::connect_from(address, Some(from)).await.unwrap();
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{field}\r\n\r\n")).await;
    wire.reply().await
}

async fn token() -> String {
    login(&caller(&world().gateway), operate::ADMIN, GOOD_PASSWORD).await.access
}

/// A token of the right form that nobody signed; each number another one.
fn forged(good: &str, number: usize) -> String {
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let tail: String = signature.chars().skip(4).collect();
    format!("Authorization: Bearer {signed}.{number:04}{tail}")
}

async fn cache(kind: &str, result: &str) -> u64 {
    let page = world().gateway.operator().get("/metrics").await.expect(200).text();
    let line = format!(
        "portcullis_credential_cache_lookups_total{{kind=\"{kind}\",result=\"{result}\"}} "
    );
    page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
}

// requirement: 25
#[tokio::test]
async fn a_guesser_is_held_back_before_a_signature_and_known_callers_go_on() {
    let (me, token) = (fresh_address(), token().await);
    let good = format!("Authorization: Bearer {token}");
    let key = format!("X-API-Key: {}", world().key);
    assert_eq!(ask(me, "/closed/x", &good).await.status, 200);
    assert_eq!(ask(me, "/closed/x", &key).await.status, 200);

    for number in 0..5 {
        let reply = ask(me, "/closed/x", &forged(&token, number)).await;
        assert_eq!(reply.status, 401);
        assert_ne!(reply.header("x-ratelimit-limit"), Some("5"), "it shows when it refuses");
    }
    let judged = cache("refused_token", "miss").await;
    for number in 5..9 {
        let reply = ask(me, "/closed/x", &forged(&token, number)).await;
        crate::support::tmws::assert_error(&reply, 429, "Rate limit exceeded");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=720).contains(&wait), "{wait}");
    }
    assert_eq!(cache("refused_token", "miss").await, judged, "no signature was looked at");
    let unknown = "X-API-Key: tmws_key_00000000000000000000.nothing";
    assert_eq!(ask(me, "/closed/x", unknown).await.status, 429);

    assert_eq!(ask(me, "/closed/x", &good).await.status, 200, "known before");
    assert_eq!(ask(me, "/closed/x", &key).await.status, 200, "known before");
    assert_eq!(ask(me, "/open/x", "X: 1").await.status, 200, "no credential is read");
    assert_eq!(ask(me, "/closed/x", "X: 1").await.status, 401, "none is no guess");
    assert_eq!(ask(fresh_address(), "/closed/x", &forged(&token, 9)).await.status, 401);

    let page = world().gateway.operator().get("/metrics").await.expect(200).text();
    assert!(page.contains("portcullis_refusals_total{mount=\"api\",reason=\"auth_failures\"}"));
}

#[tokio::test]
async fn a_genuine_token_that_ended_is_no_guess() {
    let (me, client) = (fresh_address(), caller(&world().gateway));
    let token = login(&client, operate::ADMIN, GOOD_PASSWORD).await.access;
    client.bearer(&token).post("/api/v1/auth/logout", serde_json::json!({})).await;
    let field = format!("Authorization: Bearer {token}");
    for _ in 0..8 {
        assert_eq!(ask(me, "/closed/x", &field).await.status, 401);
    }
}

// requirement: 25
#[tokio::test]
async fn the_same_wrong_token_costs_one_signature() {
    let (me, token) = (fresh_address(), token().await);
    let field = forged(&token, 777);
    let before = cache("refused_token", "hit").await;
    for _ in 0..4 {
        assert_eq!(ask(me, "/closed/x", &field).await.status, 401);
    }
    assert!(cache("refused_token", "hit").await >= before + 3);
    let good = format!("Authorization: Bearer {token}");
    assert_eq!(ask(me, "/closed/x", &good).await.status, 200, "its neighbour is not touched");
}
