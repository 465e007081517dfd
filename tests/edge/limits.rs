//! Limits from outside: whom they count, what they charge, what they say.

use std::sync::OnceLock;

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    tmws::fresh_address,
    upstream::{Answer, Upstream},
    wire::{self, Reply},
};

struct Limited {
    gateway: Gateway,
    _upstream: Upstream,
}

fn limited() -> &'static Limited {
    static LIMITED: OnceLock<Limited> = OnceLock::new();
    LIMITED.get_or_init(|| {
        let upstream = Upstream::counting(|_| {
            Answer::new(
                200,
                &[
                    ("X-RateLimit-Limit", "7"),
                    ("X-RateLimit-Remaining", "7"),
                    ("X-Request-ID", "up"),
                ],
                "{}",
            )
        });
        let address = upstream.address;
        let limits = |names: &str| names.to_owned();
        let gateway = Gateway::start(|places| {
            Conf::new(places)
                .mount("rate_headers", "{ always = true, ietf = true }")
                .upstream("main", &[address])
                .limit("wide", r#"["client"]"#, r#"["100/h"]"#)
                .limit("narrow", r#"["client"]"#, r#"["2/h"]"#)
                .limit("two", r#"["client"]"#, r#"["5/h", "3/min"]"#)
                .limit("shared", r#"["route"]"#, r#"["4/h"]"#)
                .limit("people", r#"["user"]"#, r#"["3/h"]"#)
                .limit("each", r#"["client", "route"]"#, r#"["2/h"]"#)
                .route(conf::open("wide", "/wide/**", "main").with("limits", limits(r#"["wide"]"#)))
                .route(
                    conf::open("both", "/both/**", "main")
                        .with("limits", limits(r#"["wide", "narrow"]"#)),
                )
                .route(conf::open("two", "/two/**", "main").with("limits", limits(r#"["two"]"#)))
                .route(conf::open("all", "/all/**", "main").with("limits", limits(r#"["shared"]"#)))
                .route(
                    conf::closed("people", "/people/**", "main")
                        .with("limits", limits(r#"["people"]"#)),
                )
                .route(conf::open("a", "/a/**", "main").with("limits", limits(r#"["each"]"#)))
                .route(conf::open("b", "/b/**", "main").with("limits", limits(r#"["each"]"#)))
                .text()
        });
        operate::add_admin(&gateway);
        Limited { gateway, _upstream: upstream }
    })
}

async fn ask_from(local: std::net::IpAddr, path: &str, fields: &str) -> Reply {
    let address = limited().gateway.address();
    let mut wire = wire::connect_from(address, Some(local)).await.unwrap();
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n")).await;
    wire.reply().await
}

#[track_caller]
fn number(reply: &Reply, name: &str) -> i64 {
    let all = reply.all(name);
    assert_eq!(all.len(), 1, "{name} once: {all:?}");
    all[0].parse().unwrap_or_else(|e| panic!("{name}: {}: {e}", all[0]))
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test]
async fn every_reply_tells_the_state_and_ours_replaces_the_upstreams() {
    let me = fresh_address();
    for used in 1..=5 {
        let reply = ask_from(me, "/wide/x", "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(number(&reply, "x-ratelimit-limit"), 100);
        assert_eq!(number(&reply, "x-ratelimit-remaining"), 100 - used);
        let ahead = number(&reply, "x-ratelimit-reset") - now();
        assert!((0..=36 * used + 2).contains(&ahead), "full again after {used} * 36 s: {ahead}");
        assert_eq!(reply.all("x-request-id").len(), 1);
        assert_ne!(reply.header("x-request-id"), Some("up"));
        assert!(reply.header("retry-after").is_none());
        let policy = reply.header("ratelimit-policy").expect("the IETF field, asked for");
        assert!(policy.contains("q=100") && policy.contains("w=3600"), "{policy}");
        let state = reply.header("ratelimit").expect("the IETF field, asked for");
        assert!(state.contains(&format!("r={}", 100 - used)), "{state}");
    }
}

#[tokio::test]
async fn a_refusal_agrees_with_itself() {
    let me = fresh_address();
    for _ in 0..2 {
        assert_eq!(ask_from(me, "/both/x", "").await.status, 200);
    }
    let reply = ask_from(me, "/both/x", "").await;
    crate::support::tmws::assert_error(&reply, 429, "Rate limit exceeded");
    assert_eq!(number(&reply, "x-ratelimit-limit"), 2, "the limit that refused");
    assert_eq!(number(&reply, "x-ratelimit-remaining"), 0);
    let retry = number(&reply, "retry-after");
    assert!((1_700..=1_800).contains(&retry), "half an hour for one of two: {retry}");
    assert_eq!(reply.int("retry_after"), retry);
    let ahead = number(&reply, "x-ratelimit-reset") - now();
    assert!(ahead >= retry - 1 && ahead <= 3_601, "reset {ahead} after retry {retry}");
}

#[tokio::test]
async fn a_refused_request_charges_nothing() {
    let me = fresh_address();
    for _ in 0..10 {
        ask_from(me, "/both/x", "").await;
    }
    // Two were admitted, eight refused: the wide limit has seen two.
    let reply = ask_from(me, "/wide/x", "").await;
    assert_eq!(number(&reply, "x-ratelimit-remaining"), 97);
}

#[tokio::test]
async fn two_windows_hold_together() {
    let me = fresh_address();
    let mut admitted = 0;
    for _ in 0..8 {
        let reply = ask_from(me, "/two/x", "").await;
        if reply.status == 200 {
            admitted += 1;
            continue;
        }
        assert_eq!(reply.status, 429);
        assert_eq!(number(&reply, "x-ratelimit-limit"), 3, "the minute's window refused");
        assert!(number(&reply, "retry-after") <= 20);
    }
    assert_eq!(admitted, 3);
}

#[tokio::test]
async fn a_limit_per_route_is_shared_by_all_callers() {
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask_from(fresh_address(), "/all/x", "").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
}

#[tokio::test]
async fn a_limit_per_client_and_route_counts_each_pair() {
    let (me, you) = (fresh_address(), fresh_address());
    for (who, path, status) in [
        (me, "/a/x", 200),
        (me, "/a/x", 200),
        (me, "/a/x", 429),
        (me, "/b/x", 200),
        (you, "/a/x", 200),
    ] {
        assert_eq!(ask_from(who, path, "").await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_limit_per_user_counts_all_of_the_users_keys() {
    let gateway = &limited().gateway;
    let (one, two) =
        (operate::admin_key(gateway, &["FULL"]), operate::admin_key(gateway, &["READ"]));
    let other = operate::someone(gateway, "USER");
    let theirs = operate::add_key(gateway, &other, &["READ"], serde_json::Value::Null);
    let mut statuses = Vec::new();
    for key in [&one, &two, &one, &two, &theirs] {
        let fields = format!("X-API-Key: {key}\r\n");
        statuses.push(ask_from(fresh_address(), "/people/x", &fields).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn many_at_once_get_exactly_what_the_limit_allows() {
    let me = fresh_address();
    let tasks: Vec<_> =
        (0..150).map(|_| tokio::spawn(async move { ask_from(me, "/wide/x", "").await })).collect();
    let (mut admitted, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap().status {
            200 => admitted += 1,
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    // One comes back every 36 seconds.
    assert!((100..=101).contains(&admitted), "{admitted} of 150");
    assert_eq!(admitted + refused, 150);
}
