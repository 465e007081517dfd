//! TLS on a listener: names, versions, client certificates, and certificates that are replaced while it serves.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::task::JoinSet;

use crate::support::{
    conf::{self, Conf, Table, quoted},
    gateway::{self, Gateway, Places},
    tls::{Authority, Caller, Pair, replace, shown},
    upstream::Upstream,
    wait,
    wire::{Reply, Wire},
};

fn certificates(pairs: &[(&Pair, &str)], dir: &Path) -> String {
    let files = pairs.iter().map(|(pair, name)| {
        let (cert, key) = pair.write(dir, name);
        format!("{{ cert = {cert:?}, key = {key:?} }}")
    });
    format!("certificates = [{}]", files.collect::<Vec<_>>().join(", "))
}

/// A listener with TLS and an open route.
fn secured(places: &Places, upstream: &Upstream, tls: &str) -> Conf {
    Conf::new(places)
        .listener("tls", format!("{{ {tls} }}"))
        .upstream("main", &[upstream.address])
        .route(conf::open("open", "/open/**", "main"))
}

async fn ask(caller: &Caller, gateway: &Gateway, name: &str, host: &str, path: &str) -> Reply {
    let stream = caller.connect(gateway.address(), name).await.expect("a handshake");
    let mut wire = Wire::over(stream);
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    wire.reply().await
}

// requirement: 40
#[tokio::test]
async fn a_listener_serves_each_name_with_its_certificate_and_tells_https() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let (a, b) = (authority.server(&["a.test"]), authority.server(&["b.test", "*.b.test"]));
    let gateway = Gateway::start(|places| {
        let tls = certificates(&[(&a, "a"), (&b, "b")], &places.dir);
        secured(places, &upstream, &tls).text()
    });
    let caller = authority.caller().speaking(&["http/1.1"]);
    for (name, pair) in [("a.test", &a), ("b.test", &b), ("x.b.test", &b)] {
        let stream = caller.connect(gateway.address(), name).await.unwrap();
        assert_eq!(shown(&stream), pair.leaf(), "{name}");
        assert_eq!(ask(&caller, &gateway, name, name, "/open/x").await.status, 200);
        let seen = upstream.only();
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("https"));
        upstream.forget();
    }
    let stranger = caller.connect(gateway.address(), "other.test").await.unwrap_err();
    assert!(
        stranger.to_string().contains("NotValidForName")
            || stranger.to_string().contains("not valid for name"),
        "{stranger}"
    );
    let text = gateway.operator().get("/metrics").await.text();
    assert!(text.contains("portcullis_certificate_days_left{"), "{text}");
}

// requirement: 40
#[tokio::test]
async fn an_unknown_name_is_refused_where_the_listener_says_so_and_old_versions_are_never_spoken() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let a = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        let tls = certificates(&[(&a, "a")], &places.dir);
        let tls = format!("{tls}, unknown_name = \"refuse\", min_version = \"1.3\"");
        secured(places, &upstream, &tls).text()
    });
    let caller = authority.caller();
    let refused = caller.connect(gateway.address(), "other.test").await.unwrap_err().to_string();
    assert!(!refused.to_lowercase().contains("name"), "no certificate at all: {refused}");
    assert!(caller.connect(gateway.address(), "a.test").await.is_ok());
    static OLD: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    let old = caller.versions(&OLD);
    assert!(old.connect(gateway.address(), "a.test").await.is_err());
    let text = gateway.operator().get("/metrics").await.text();
    assert!(
        text.contains(
            "portcullis_tls_handshakes_failed_total{listener=\"public\",reason=\"failed\"} 2"
        ),
        "{text}"
    );
}

// requirement: 21
#[tokio::test]
async fn another_host_than_the_name_of_the_connection_is_421_where_its_rules_differ() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let pair = authority.server(&["a.test", "b.test", "c.test"]);
    let plain = |name: &str, hosts: &str| {
        Table::new("route", name)
            .with("listener", quoted("public"))
            .with("hosts", hosts)
            .with("match", r#"{ path = "/plain" }"#)
            .with("authn", r#"["public"]"#)
            .with("upstream", quoted("main"))
    };
    let gateway = Gateway::start(|places| {
        secured(places, &upstream, &certificates(&[(&pair, "a")], &places.dir))
            .route(plain("ab", r#"["a.test", "b.test"]"#))
            .route(plain("c", r#"["c.test"]"#))
            .text()
    });
    let caller = authority.caller();
    for (name, host, status) in [
        ("a.test", "a.test", 200),
        ("a.test", "A.Test:443", 200),
        ("a.test", "b.test", 200),
        ("a.test", "c.test", 421),
        ("c.test", "a.test", 421),
        ("a.test", "other.test", 421),
        ("c.test", "c.test", 200),
    ] {
        let reply = ask(&caller, &gateway, name, host, "/plain").await;
        assert_eq!(reply.status, status, "{name} and {host}: {}", reply.text());
    }
    assert_eq!(upstream.count(), 4);
}

/// Shakes hands without pause and counts those that fail.
fn load(
    gateway: &Gateway,
    caller: &Caller,
    failed: &Arc<AtomicUsize>,
    done: &Arc<AtomicUsize>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (caller, address) = (caller.clone(), gateway.address());
        let (failed, done, stop) = (Arc::clone(failed), Arc::clone(done), Arc::clone(stop));
        tasks.spawn(async move {
            while !stop.load(SeqCst) {
                match caller.connect(address, "a.test").await {
                    Ok(_) => done.fetch_add(1, SeqCst),
                    Err(error) => {
                        eprintln!("handshake failed: {error}");
                        failed.fetch_add(1, SeqCst)
                    }
                };
            }
        });
    }
    tasks
}

/// Pairs refused so far.
async fn refused(gateway: &Gateway) -> usize {
    let name = "portcullis_certificate_reloads_total{listener=\"public\",result=\"error\"} ";
    let text = gateway.operator().get("/metrics").await.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_hundred_swaps_under_load_five_of_them_bad_fail_no_handshake() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let first = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        secured(places, &upstream, &certificates(&[(&first, "a")], &places.dir)).text()
    });
    let dir = gateway.places.dir.clone();
    let caller = authority.caller();
    let [failed, done] = [0, 0].map(|start| Arc::new(AtomicUsize::new(start)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = load(&gateway, &caller, &failed, &done, &stop);
    let mut now = first;
    for swap in 1..=100 {
        let next = authority.server(&["a.test"]);
        if swap % 20 == 0 {
            // A certificate whose key was forgotten.
            let before = refused(&gateway).await;
            replace(&dir.join("a.pem"), &next.chain);
            gateway.hang_up();
            wait::until("the bad pair is refused", async || {
                (refused(&gateway).await > before).then_some(())
            })
            .await;
            let stream = caller.connect(gateway.address(), "a.test").await.unwrap();
            assert_eq!(shown(&stream), now.leaf(), "the old one serves on");
            replace(&dir.join("a.pem"), &now.chain);
            continue;
        }
        // Key first: one of the two is always the first, and then they do not fit for a moment.
        replace(&dir.join("a.key"), &next.key);
        replace(&dir.join("a.pem"), &next.chain);
        gateway.hang_up();
        let leaf = next.leaf();
        wait::until("the new certificate is shown", async || {
            let stream = caller.connect(gateway.address(), "a.test").await.ok()?;
            (shown(&stream) == leaf).then_some(())
        })
        .await;
        now = next;
    }
    stop.store(true, SeqCst);
    while tasks.join_next().await.is_some() {}
    println!("{} handshakes during 100 swaps", done.load(SeqCst));
    assert_eq!(failed.load(SeqCst), 0);
    assert!(done.load(SeqCst) > 100);
}

#[test]
fn a_pair_that_is_none_is_told_with_its_place_and_refuses_the_start() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (pair, other) = (authority.server(&["a.test"]), authority.server(&["a.test"]));
    pair.write(dir, "a");
    let key = other.write(dir, "b").1;
    let places = Places {
        public: "127.0.0.1:8443".parse().unwrap(),
        operator: "127.0.0.1:8444".parse().unwrap(),
        data: dir.join("data"),
        dir: dir.to_owned(),
    };
    let check = |tls: &str| {
        let file = dir.join("p.toml");
        std::fs::write(&file, secured(&places, &upstream, tls).text()).unwrap();
        for command in ["check", "serve"] {
            let output = gateway::run(&[command, "--config", file.to_str().unwrap()]);
            assert!(!output.status.success(), "{command}");
            if command == "serve" {
                return gateway::said(&output);
            }
        }
        String::new()
    };
    let said = check(&format!("certificates = [{{ cert = \"a.pem\", key = {key:?} }}]"));
    assert!(said.contains("listener.public.tls.certificates.a.pem.key:"), "{said}");
    assert!(said.contains("the key is not that of the certificate"), "{said}");
    assert!(said.contains("fix: name the key this certificate was made for"), "{said}");
    let said = check("certificates = [{ cert = \"gone.pem\", key = \"a.key\" }]");
    assert!(said.contains("gone.pem cannot be read"), "{said}");
    let said = check("certificates = [{ cert = \"a.key\", key = \"a.key\" }]");
    assert!(said.contains("no certificate can be read"), "{said}");
    let said = check("certificates = []");
    assert!(said.contains("a handshake needs a certificate"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_a_client_is_a_credential() {
    let (authority, upstream, others) = (Authority::new(), Upstream::start(), Authority::new());
    let server = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        let authority = authority.write(&places.dir, "clients.pem");
        let tls = certificates(&[(&server, "a")], &places.dir);
        let tls = format!("{tls}, client_ca = {authority:?}");
        secured(places, &upstream, &tls)
            .mount(
                "client_cert",
                r#"[{ name = "billing", match = ["URI:spiffe://test/billing"], roles = ["ADMIN"], scopes = ["READ"] },
                    { name = "by-name", match = ["CN:other"] }]"#,
            )
            .route(
                conf::closed("certified", "/certified/**", "main")
                    .with("authn", r#"["client_cert", "jwt"]"#),
            )
            .text()
    });
    let caller = authority.caller();
    let billing = authority.client("billing", "spiffe://test/billing");
    let showing = caller.clone().showing(&billing);
    let reply = ask(&showing, &gateway, "a.test", "a.test", "/certified/x").await;
    assert_eq!(reply.status, 200);
    let seen = upstream.only();
    assert_eq!(seen.field("x-auth-method").as_deref(), Some("client_cert"));
    assert_eq!(seen.field("x-auth-subject").as_deref(), Some("service:billing"));
    assert_eq!(seen.field("x-auth-roles").as_deref(), Some("ADMIN"));
    upstream.forget();
    let named = authority.client("other", "spiffe://test/nobody");
    let showing = caller.clone().showing(&named);
    let reply = ask(&showing, &gateway, "a.test", "a.test", "/certified/x").await;
    assert_eq!(reply.status, 200);
    assert_eq!(upstream.only().field("x-auth-subject").as_deref(), Some("service:by-name"));
    upstream.forget();

    let stranger = authority.client("stranger", "spiffe://test/stranger");
    let showing = caller.clone().showing(&stranger);
    let reply = ask(&showing, &gateway, "a.test", "a.test", "/certified/x").await;
    assert_eq!(reply.status, 401);
    let reply = ask(&caller, &gateway, "a.test", "a.test", "/certified/x").await;
    assert_eq!(reply.status, 401);
    let forged = others.client("billing", "spiffe://test/billing");
    let stream = caller.clone().showing(&forged).connect(gateway.address(), "a.test").await;
    // With TLS 1.3 the client has finished before it hears.
    if let Ok(stream) = stream {
        let mut wire = Wire::over(stream);
        wire.send("GET /certified/x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert!(wire.is_closed().await);
    }
    assert_eq!(upstream.count(), 0);
    wait::until("the refusal is logged", async || {
        gateway.output().contains("certificate_unknown").then_some(())
    })
    .await;
}

// requirement: 23
// limit: 2
#[tokio::test]
async fn a_handshake_that_is_never_finished_ends_with_the_time_of_a_head() {
    let (authority, upstream) = (Authority::new(), Upstream::start());
    let pair = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        let tls = certificates(&[(&pair, "a")], &places.dir);
        secured(places, &upstream, &tls).server("limits = { head_timeout = \"1s\" }").text()
    });
    let began = std::time::Instant::now();
    let mut silent = crate::support::wire::connect(gateway.address()).await;
    let mut slow = crate::support::wire::connect(gateway.address()).await;
    // The beginning of a first message that never goes on.
    slow.send([22, 3, 1, 2, 0, 1]).await;
    assert!(silent.is_closed().await && slow.is_closed().await);
    let took = began.elapsed().as_secs_f64();
    assert!((0.9..9.0).contains(&took), "{took} s");
    let line = "portcullis_tls_handshakes_failed_total{listener=\"public\",reason=\"timeout\"} 2";
    assert!(gateway.operator().get("/metrics").await.text().contains(line));
}
