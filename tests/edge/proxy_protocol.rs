//! A listener of the PROXY protocol: who is behind the proxy counts everywhere, and nothing else is let in.

use std::{
    net::IpAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::support::{
    conf::{self, Conf, quoted},
    gateway::Gateway,
    http2::Client,
    operate,
    tls::Authority,
    upstream::Upstream,
    wait::until,
    wire::{self, Reply, Wire},
};

const PROXY: &str = "127.88.0.1";
const STRANGER: &str = "127.89.0.1";

struct World {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Upstream::start();
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            Conf::new(places)
                .listener("proxy_protocol", quoted("required"))
                .section("[trust]\nproxies = [\"127.88.0.0/16\"]")
                .server("limits = { head_timeout = \"400ms\", connections_per_address = 4 }")
                .upstream("main", &[address])
                .limit("narrow", r#"["client"]"#, r#"["2/h"]"#)
                .route(conf::open("open", "/open/**", "main"))
                .route(conf::closed("closed", "/closed/**", "main"))
                .route(conf::open("narrow", "/narrow/**", "main").with("limits", r#"["narrow"]"#))
                .text()
        });
        operate::add_admin(&gateway);
        let bound = serde_json::json!({"allowed_ips": ["203.0.113.7"]});
        let key = operate::add_key(&gateway, operate::ADMIN, &["FULL"], bound);
        World { gateway, upstream, key }
    })
}

fn version_1(client: &str) -> Vec<u8> {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') { "::1" } else { "10.0.0.1" };
    format!("PROXY {family} {client} {own} 40000 80\r\n").into_bytes()
}

fn version_2(client: [u8; 4]) -> Vec<u8> {
    let start = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&start[..], &client, &[10, 0, 0, 1, 0x9c, 0x40, 0, 80]].concat()
}

async fn try_ask(from: &str, header: &[u8], target: &str, fields: &str) -> Option<Reply> {
    let address = world().gateway.address();
    let from: IpAddr = from.parse().unwrap();
    let mut wire = wire::connect_from(address, Some(from)).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    let _ = wire.try_send([header, request.as_bytes()].concat()).await;
    wire.try_reply(false).await
}

async fn ask(header: &[u8], target: &str, fields: &str) -> Reply {
    try_ask(PROXY, header, target, fields).await.expect("an answer")
}

async fn turned_away(reason: &str) -> u64 {
    let page = world().gateway.operator().get("/metrics").await.expect(200).text();
    let line = format!("portcullis_connections_refused_total{{reason=\"{reason}\"}} ");
    page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).expect("a figure")
}

// requirement: 19, 25
#[tokio::test]
async fn who_is_behind_the_proxy_counts_for_lists_limits_headers_and_log() {
    let World { gateway, upstream, key } = world();
    let field = format!("X-API-Key: {key}\r\n");
    for header in [version_1("203.0.113.7"), version_2([203, 0, 113, 7])] {
        assert_eq!(ask(&header, "/closed/proxied", &field).await.status, 200);
    }
    assert_eq!(ask(&version_1("203.0.113.8"), "/closed/x", &field).await.status, 403);
    let seen = upstream.seen();
    let seen: Vec<_> = seen.iter().filter(|seen| seen.target().contains("proxied")).collect();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|one| one.field("x-forwarded-for").as_deref() == Some("203.0.113.7")));

    for (client, status) in [
        ("198.51.100.1", 200),
        ("198.51.100.1", 200),
        ("198.51.100.1", 429),
        ("198.51.100.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
    ] {
        assert_eq!(ask(&version_1(client), "/narrow/x", "").await.status, status, "{client}");
    }
    let client = |line: &serde_json::Value| {
        line["path"] == "/closed/proxied" && line["client"] == "203.0.113.7"
    };
    until("the access line tells the same", || async {
        gateway.log().iter().any(client).then_some(())
    })
    .await;
}

// requirement: 19
#[tokio::test]
async fn a_client_behind_the_proxy_cannot_name_another() {
    let fields = "X-Forwarded-For: 203.0.113.99\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(ask(&version_1("198.51.100.9"), "/open/claims", fields).await.status, 200);
    let seen = world().upstream.seen();
    let seen = seen.iter().find(|seen| seen.target().contains("claims")).unwrap();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("198.51.100.9"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
}

#[tokio::test]
async fn the_proxy_may_speak_for_itself() {
    assert_eq!(ask(b"PROXY UNKNOWN\r\n", "/open/check", "").await.status, 200);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(ask(local, "/open/check", "").await.status, 200);
}

// requirement: 19
#[tokio::test]
async fn strangers_and_connections_without_a_header_are_closed_and_counted() {
    let before = (turned_away("proxy_unlisted").await, turned_away("proxy_header").await);
    let none = try_ask(STRANGER, &version_1("203.0.113.7"), "/open/stranger", "").await;
    assert!(none.is_none(), "{none:?}");
    assert!(try_ask(PROXY, b"", "/open/stranger", "").await.is_none());
    assert!(try_ask(PROXY, b"PROXY TCP4 nonsense\r\n", "/open/stranger", "").await.is_none());
    assert!(!world().upstream.seen().iter().any(|seen| seen.target().contains("stranger")));
    assert!(turned_away("proxy_unlisted").await > before.0);
    assert!(turned_away("proxy_header").await >= before.1 + 2);
}

// limit: 2
#[tokio::test]
async fn a_header_that_does_not_come_ends_the_connection() {
    let address = world().gateway.address();
    for start in [&b""[..], b"PROXY TCP4 203.0", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb"] {
        let mut wire = wire::connect_from(address, Some(PROXY.parse().unwrap())).await.unwrap();
        wire.send(start).await;
        let began = Instant::now();
        assert!(wire.is_closed().await);
        let took = began.elapsed();
        assert!(took > Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    }
}

// limit: 7
#[tokio::test]
async fn connections_are_counted_for_the_client_behind() {
    let address = world().gateway.address();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut wire = wire::connect_from(address, Some(PROXY.parse().unwrap())).await.unwrap();
        wire.send(
            [&version_1("198.51.100.77")[..], b"GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
        )
        .await;
        assert_eq!(wire.reply().await.status, 200);
        held.push(wire);
    }
    assert!(try_ask(PROXY, &version_1("198.51.100.77"), "/open/x", "").await.is_none());
    assert_eq!(ask(&version_1("198.51.100.78"), "/open/x", "").await.status, 200);
}

#[tokio::test]
async fn the_handshake_and_http2_come_behind_the_header() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let pair = authority.server(&["a.test"]);
    for secured in [true, false] {
        let gateway = Gateway::start(|places| {
            let (cert, key) = pair.write(&places.dir, "a");
            let tls = format!("{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}] }}");
            let conf = Conf::new(places)
                .listener("proxy_protocol", quoted("required"))
                .section("[trust]\nproxies = [\"127.88.0.0/16\"]")
                .upstream("main", &[upstream.address])
                .route(conf::open("open", "/open/**", "main"));
            let (key, value) = if secured { ("tls", tls.as_str()) } else { ("http2", "true") };
            conf.listener(key, value).text()
        });
        let begun = async |client: &str| {
            let from = Some(PROXY.parse().unwrap());
            let mut wire = wire::connect_from(gateway.address(), from).await.unwrap();
            wire.send(version_1(client)).await;
            wire.into_inner()
        };
        let request = "GET /open/x HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let (first, second) = (begun("203.0.113.7").await, begun("203.0.113.8").await);
        if secured {
            let caller = authority.caller();
            let mut old = Wire::over(caller.over(first, "a.test").await.unwrap());
            old.send(request).await;
            assert_eq!(old.reply().await.status, 200);
            let stream = caller.speaking(&["h2"]).over(second, "a.test").await.unwrap();
            let reply = Client::over(stream).await.get("https://a.test/open/x").await;
            assert_eq!(reply.unwrap().status, 200);
        } else {
            let mut old = Wire::over(first);
            old.send(request).await;
            assert_eq!(old.reply().await.status, 200);
            let reply = Client::over(second).await.get("http://a.test/open/x").await;
            assert_eq!(reply.unwrap().status, 200);
        }
        let scheme = if secured { "https" } else { "http" };
        let seen = upstream.seen();
        let told = |name: &str| seen.iter().map(|one| one.field(name)).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told("x-forwarded-for"), [some("203.0.113.7"), some("203.0.113.8")]);
        assert_eq!(told("x-forwarded-proto"), [some(scheme), some(scheme)]);
        upstream.forget();
    }
}
