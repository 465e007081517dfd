//! Facts about the client are believed from listed proxies only.

use std::{net::IpAddr, sync::OnceLock};

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    upstream::{Recorded, Upstream},
    wire::{self, Reply},
};

const PROXY: &str = "127.88.0.1";

struct Behind {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

/// A gateway that believes 127.88.0.0/16; the key is bound to an address only a header can give.
fn behind() -> &'static Behind {
    static BEHIND: OnceLock<Behind> = OnceLock::new();
    BEHIND.get_or_init(|| {
        let upstream = Upstream::start();
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            Conf::new(places)
                .section("[trust]\nproxies = [\"127.88.0.0/16\", \"10.9.9.9\"]")
                .upstream("main", &[address])
                .limit("narrow", r#"["client"]"#, r#"["3/h"]"#)
                .route(conf::open("open", "/open/**", "main"))
                .route(conf::closed("closed", "/closed/**", "main"))
                .route(conf::open("narrow", "/narrow/**", "main").with("limits", r#"["narrow"]"#))
                .text()
        });
        operate::add_admin(&gateway);
        let bound = serde_json::json!({"allowed_ips": ["203.0.113.7"]});
        let key = operate::add_key(&gateway, operate::ADMIN, &["FULL"], bound);
        Behind { gateway, upstream, key }
    })
}

async fn from(local: &str, target: &str, fields: &str) -> Reply {
    let address = behind().gateway.address();
    let local: IpAddr = local.parse().unwrap();
    let mut wire = wire::connect_from(address, Some(local)).await.unwrap();
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: public.example\r\n{fields}\r\n")).await;
    wire.reply().await
}

fn seen(mark: &str) -> Recorded {
    let all = behind().upstream.seen();
    all.into_iter().find(|request| request.target().contains(mark)).expect("it arrived")
}

// requirement: 19
#[tokio::test]
async fn the_rightmost_address_that_is_no_proxy_is_the_client() {
    let key = &behind().key;
    for (chain, allowed) in [
        ("X-Forwarded-For: 203.0.113.7\r\n", true),
        ("X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n", true),
        ("X-Forwarded-For: 203.0.113.7, 127.88.0.9\r\n", true),
        ("X-Forwarded-For: 203.0.113.7, 10.9.9.9, 127.88.0.9\r\n", true),
        ("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 127.88.0.9\r\n", true),
        ("X-Forwarded-For: 203.0.113.7, 198.51.100.1\r\n", false),
        ("X-Forwarded-For: 203.0.113.7, nonsense\r\n", false),
        ("X-Forwarded-For: nonsense\r\n", false),
        ("", false),
    ] {
        let fields = format!("X-API-Key: {key}\r\n{chain}");
        let reply = from(PROXY, "/closed/x", &fields).await;
        let expected: &[u16] = if allowed { &[200] } else { &[403, 400] };
        assert!(expected.contains(&reply.status), "{chain}: {} {}", reply.status, reply.text());
    }
}

// requirement: 19
#[tokio::test]
async fn a_stranger_is_its_socket_address_whatever_it_says() {
    let key = &behind().key;
    for name in ["X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP"] {
        let fields = format!("X-API-Key: {key}\r\n{name}: 203.0.113.7\r\n");
        assert_eq!(from("127.89.0.1", "/closed/x", &fields).await.status, 403, "{name}");
    }
    let fields = format!("X-API-Key: {key}\r\nForwarded: for=203.0.113.7\r\n");
    assert_eq!(from("127.89.0.1", "/closed/x", &fields).await.status, 403);
}

// requirement: 19
#[tokio::test]
async fn the_chain_that_goes_on_is_rebuilt() {
    let fields = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
                  X-Forwarded-Host: outside.example\r\nX-Forwarded-Port: 443\r\n";
    assert_eq!(from(PROXY, "/open/trusted-1", fields).await.status, 200);
    let request = seen("trusted-1");
    let chain = request.field("x-forwarded-for").unwrap();
    assert!(chain.starts_with("203.0.113.9"), "{chain}");
    assert_eq!(request.field("x-forwarded-proto").as_deref(), Some("https"));

    assert_eq!(from("127.89.0.1", "/open/stranger-1", fields).await.status, 200);
    let request = seen("stranger-1");
    assert_eq!(request.field("x-forwarded-for").as_deref(), Some("127.89.0.1"));
    assert_eq!(request.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(request.field("x-forwarded-host").as_deref(), Some("public.example"));
    assert_eq!(request.field("x-forwarded-port"), None);
}

// requirement: 19
#[tokio::test]
async fn a_sane_request_id_is_kept_from_a_proxy_only() {
    let reply = from(PROXY, "/open/id-1", "X-Request-ID: trace-42.a_B\r\n").await;
    assert_eq!(reply.header("x-request-id"), Some("trace-42.a_B"));
    assert_eq!(seen("id-1").field("x-request-id").as_deref(), Some("trace-42.a_B"));

    let reply = from("127.89.0.1", "/open/id-2", "X-Request-ID: trace-42\r\n").await;
    assert_ne!(reply.header("x-request-id"), Some("trace-42"));

    let long = format!("X-Request-ID: {}\r\n", "x".repeat(500));
    for (n, odd) in ["X-Request-ID: a b\r\n", "X-Request-ID: \r\n", "X-Request-ID: a\"}\r\n", &long]
        .into_iter()
        .enumerate()
    {
        let reply = from(PROXY, &format!("/open/odd-{n}"), odd).await;
        let id = reply.header("x-request-id").expect("an id of ours");
        assert!(id.starts_with("req_"), "{odd:?} became {id:?}");
    }
}

// requirement: 25
#[tokio::test]
async fn clients_behind_a_proxy_are_counted_apart_and_ipv6_by_64() {
    let ask = |address: &'static str| async move {
        from(PROXY, "/narrow/x", &format!("X-Forwarded-For: {address}\r\n")).await.status
    };
    for (address, status) in [
        ("198.51.100.20", 200),
        ("198.51.100.20", 200),
        ("198.51.100.20", 200),
        ("198.51.100.20", 429),
        ("198.51.100.21", 200),
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1::2", 200),
        ("2001:db8:0:1:ffff::3", 200),
        ("2001:db8:0:1::4", 429),
        ("2001:db8:0:2::1", 200),
        ("::ffff:198.51.100.20", 429),
    ] {
        assert_eq!(ask(address).await, status, "{address}");
    }
}

/// A gateway behind two proxies, of which the inner one connects.
fn behind_two() -> &'static (Gateway, Upstream) {
    static TWO: OnceLock<(Gateway, Upstream)> = OnceLock::new();
    TWO.get_or_init(|| {
        let upstream = Upstream::start();
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            Conf::new(places)
                .section("[trust]\nproxies = [\"127.88.0.0/16\"]\nhops = 2")
                .upstream("main", &[address])
                .route(conf::open("open", "/open/**", "main"))
                .text()
        });
        (gateway, upstream)
    })
}

// requirement: 19
#[tokio::test]
async fn by_hops_the_client_is_what_the_outermost_proxy_saw() {
    let (gateway, upstream) = behind_two();
    for (n, (local, chain, client)) in [
        (PROXY, "203.0.113.7, 198.51.100.1", "203.0.113.7"),
        (PROXY, "192.0.2.99, 203.0.113.7, 198.51.100.1", "203.0.113.7"),
        // The outer proxy was not passed: what the inner one saw.
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "nonsense, 198.51.100.1", "198.51.100.1"),
        (PROXY, "203.0.113.7, nonsense", PROXY),
        // Nobody listed: no hop is believed.
        ("127.89.0.1", "203.0.113.7, 198.51.100.1", "127.89.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let local: IpAddr = local.parse().unwrap();
        let mut wire = wire::connect_from(gateway.address(), Some(local)).await.unwrap();
        let fields = format!("X-Forwarded-For: {chain}\r\n");
        wire.send(format!("GET /open/hops-{n} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(wire.reply().await.status, 200);
        let seen = upstream.seen();
        let seen = seen.iter().find(|seen| seen.target().contains(&format!("hops-{n}"))).unwrap();
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some(client), "{chain}");
    }
}
