//! The planes apart: edge nodes in front of identity nodes on one PostgreSQL, with certificates between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    client::Client,
    conf::{Conf, closed, quoted},
    fleet,
    gateway::{Gateway, Places, fresh_places},
    operate, planes, ports, postgres,
    tls::{Authority, Pair},
    tmws::{GOOD_PASSWORD, Tokens, fresh_address, login, refresh},
    upstream::Upstream,
    wait::until,
};
use tempfile::TempDir;

/// Identity nodes and edge nodes, on one database.
struct Rig {
    upstream: Upstream,
    authority: Authority,
    database: String,
    links: Vec<SocketAddr>,
    more: String,
    folder: TempDir,
}

impl Rig {
    /// `more` stands in `[link]` of every node.
    fn new(identity_nodes: usize, more: &str) -> Self {
        Self {
            upstream: Upstream::start(),
            authority: Authority::new(),
            database: postgres::shared_database(),
            links: (0..identity_nodes).map(|_| ports::free_address()).collect(),
            more: more.to_owned(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn places(&self, name: &str) -> Places {
        let dir = self.folder.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        fresh_places(&dir)
    }

    fn conf(&self, places: &Places) -> Conf {
        Conf::new(places)
            .upstream("app", &[self.upstream.address])
            .route(closed("app", "/app/**", "app"))
    }

    fn link(&self, places: &Places, pair: &Pair, listen: SocketAddr) -> String {
        planes::link(&places.dir, &self.authority, pair, listen, &self.links, &self.more)
    }

    fn identity(&self, at: usize) -> Gateway {
        let places = self.places(&format!("identity-{at}"));
        let key = format!("file:{}", fleet::master_key(&places.dir).display());
        let pair = self.authority.node(&["127.0.0.1"]);
        let text = self
            .conf(&places)
            .section(&format!("[store]\nurl = {}\ncall_timeout = \"10s\"", quoted(&self.database)))
            .section(&format!("[fleet]\nnode = \"identity-{at}\""))
            .section(&format!("[secrets]\nmaster_keys = [{}]", quoted(&key)))
            .section(&self.link(&places, &pair, self.links[at]))
            .text();
        Gateway::start_plane(&places, &text, "identity")
    }

    /// A file for all planes, whose secrets of identity are nowhere on this machine.
    fn edge_text(&self, places: &Places, pair: &Pair) -> String {
        self.conf(places)
            .section("[store]\nurl = \"postgres://p@db.invalid/p\"\npassword = \"file:/nowhere\"")
            .section("[secrets]\nmaster_keys = [\"file:/nowhere/either\"]")
            .section(&self.link(places, pair, ports::free_address()))
            .text()
    }

    fn edge_at(&self, places: &Places) -> Gateway {
        let pair = self.authority.node(&["edge.internal"]);
        Gateway::start_plane(places, &self.edge_text(places, &pair), "edge")
    }

    fn edge(&self, name: &str) -> Gateway {
        self.edge_at(&self.places(name))
    }
}

fn caller(gateway: &Gateway) -> Client {
    Client::from(&gateway.url(), fresh_address())
}

fn add(gateway: &Gateway, name: &str, role: &str) {
    let input = format!("{GOOD_PASSWORD}\n");
    let added =
        gateway.cli_with(&input, &["user", "add", name, "--role", role, "--password-stdin"]);
    assert!(added.status.success(), "{}", support::gateway::said(&added));
}

async fn passes(gateway: &Gateway, client: &Client) {
    let reply = client.get("/app/x").await;
    assert_eq!(reply.status, 200, "{}\n{}", reply.text(), gateway.output());
}

async fn ended(gateway: &Gateway, token: &str) {
    let began = Instant::now();
    until("the other edge node refuses it", async || {
        let status = caller(gateway).bearer(token).get("/app/x").await.status;
        assert!(matches!(status, 200 | 401), "{status}");
        (status == 401).then_some(())
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

// requirement: 31
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_do_not_notice_that_the_planes_are_apart() {
    if !postgres::is_there() {
        return;
    }
    let rig = Rig::new(1, "");
    let identity = rig.identity(0);
    let (one, two) = (rig.edge("one"), rig.edge("two"));
    add(&identity, "ada", "USER");

    // Login, and what it gives, at both edge nodes.
    let client = caller(&one);
    let tokens = login(&client, "ada", GOOD_PASSWORD).await;
    passes(&one, &client.bearer(&tokens.access)).await;
    passes(&two, &caller(&two).bearer(&tokens.access)).await;
    let told = rig.upstream.seen();
    assert!(told.iter().all(|seen| seen.field("x-auth-subject").is_some()), "who it is arrives");

    // A refresh, spent once wherever it is shown.
    let next = Tokens::of(&refresh(&client, &tokens.refresh).await);
    let again = refresh(&caller(&two), &next.refresh).await;
    let newest = Tokens::of(&again);

    // A wrong password, and a body that is none, in the words of the contract.
    let wrong = support::tmws::try_login(&caller(&two), "ada", "wrong-Password-1").await;
    assert_eq!(wrong.status, 401, "{}", wrong.text());
    assert!(wrong.header("x-portcullis-verdict").is_none());
    assert!(wrong.header("x-portcullis-news").is_none());

    // A key made through one edge node is good at both at once.
    let body = json!({"name": "a key", "scopes": ["READ"]});
    let made = client.bearer(&newest.access).post("/api/v1/auth/api-keys", body).await;
    assert!((200..300).contains(&made.status), "{}", made.text());
    let key = made.str("api_key");
    passes(&one, &caller(&one).key(&key)).await;
    passes(&two, &caller(&two).key(&key)).await;

    // Logout: refused at once where it was asked for, and soon at the other.
    let out = client.bearer(&newest.access).post("/api/v1/auth/logout", json!({})).await;
    assert!((200..300).contains(&out.status), "{}", out.text());
    assert!(out.header("x-portcullis-news").is_none());
    let reply = client.bearer(&newest.access).get("/app/x").await;
    assert_eq!(reply.status, 401, "known before the client has its answer: {}", reply.text());
    ended(&two, &newest.access).await;

    // An edge node that was not there holds to it from its first request on.
    let three = rig.edge("three");
    let reply = caller(&three).bearer(&newest.access).get("/app/x").await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    passes(&three, &caller(&three).key(&key)).await;

    // What the operator ends at an identity node ends everywhere.
    identity.cli_ok(&["key", "revoke", &made.str("key_id")]);
    for edge in [&one, &two, &three] {
        until("the key is refused", async || {
            let status = caller(edge).key(&key).get("/app/x").await.status;
            assert!(matches!(status, 200 | 401), "{status}");
            (status == 401).then_some(())
        })
        .await;
    }
    // Uses and refusals seen at edge nodes are noted by identity.
    for gateway in [&identity, &one, &two, &three] {
        for secret in [&key, &newest.access, &tokens.refresh] {
            assert!(!gateway.output().contains(secret.as_str()), "a secret in a log");
        }
    }
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_identity_node_is_enough_and_none_is_503_after_the_stated_time() {
    if !postgres::is_there() {
        return;
    }
    let rig = Rig::new(2, "stale_for = \"4s\"\ntimeout = \"800ms\"");
    let (first, second) = (rig.identity(0), rig.identity(1));
    let edge = rig.edge("one");
    add(&first, "ada", "USER");
    let client = caller(&edge);
    let kept = login(&client, "ada", GOOD_PASSWORD).await;
    let gone = login(&client, "ada", GOOD_PASSWORD).await;
    let out = client.bearer(&gone.access).post("/api/v1/auth/logout", json!({})).await;
    assert!((200..300).contains(&out.status), "{}", out.text());
    let key = operate::add_key(&first, "ada", &["READ"], json!({}));
    passes(&edge, &caller(&edge).key(&key)).await;

    first.kill();
    // The other one takes over: also what must be written.
    until("logins go on", async || {
        let reply = support::tmws::try_login(&caller(&edge), "ada", GOOD_PASSWORD).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text());
        (reply.status == 200).then_some(())
    })
    .await;
    passes(&edge, &client.bearer(&kept.access)).await;
    let fresh = operate::add_key(&second, "ada", &["READ"], json!({}));
    until("a key that was never seen is asked for", async || {
        (caller(&edge).key(&fresh).get("/app/x").await.status == 200).then_some(())
    })
    .await;

    second.kill();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let reply = client.bearer(&kept.access).get("/app/x").await;
        assert_eq!(reply.status, 200, "a known token goes on: {}", reply.text());
        let reply = caller(&edge).key(&key).get("/app/x").await;
        assert_eq!(reply.status, 200, "a known key goes on: {}", reply.text());
        let reply = client.bearer(&gone.access).get("/app/x").await;
        assert_eq!(reply.status, 401, "what has ended stays ended: {}", reply.text());
    }
    let reply = support::tmws::try_login(&caller(&edge), "ada", GOOD_PASSWORD).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
    until("the node says what is wrong", async || {
        let (status, body) = edge.readyz().await;
        let told = body["degraded"].as_array().cloned().unwrap_or_default();
        assert_eq!(status, 200, "{body}");
        told.iter().any(|part| part["part"] == "identity").then_some(())
    })
    .await;
    until("what is known is too old", async || {
        let status = client.bearer(&kept.access).get("/app/x").await.status;
        assert!(matches!(status, 200 | 503), "{status}");
        (status == 503).then_some(())
    })
    .await;
    let reply = caller(&edge).key(&key).get("/app/x").await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
    let reply = client.bearer(&gone.access).get("/app/x").await;
    assert_eq!(reply.status, 503, "nobody can say, and nothing passes: {}", reply.text());

    let _again = rig.identity(1);
    until("all is well again", async || {
        let status = client.bearer(&kept.access).get("/app/x").await.status;
        assert!(matches!(status, 200 | 503), "{status}");
        (status == 200).then_some(())
    })
    .await;
    let reply = client.bearer(&gone.access).get("/app/x").await;
    assert_eq!(reply.status, 401, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_a_node_is_answered_at_the_link() {
    if !postgres::is_there() {
        return;
    }
    let rig = Rig::new(1, "names = [\"DNS:edge.internal\"]\nwait = \"0s\"");
    let identity = rig.identity(0);
    let link = rig.links[0];

    let mut plain = std::net::TcpStream::connect(link).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    plain.write_all(b"GET /link/v1/alive HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "no plain text: {answer:?}");

    let other = Authority::new();
    for (what, own) in [
        ("none", None),
        ("of another authority", Some(other.node(&["edge.internal"]))),
        ("of another name", Some(rig.authority.node(&["app.internal"]))),
        ("past its time", Some(rig.authority.expired("edge.internal"))),
    ] {
        let status = ask(&rig, own.as_ref()).await;
        assert!(status.is_err(), "a certificate {what}: {status:?}");
    }
    assert_eq!(ask(&rig, Some(&rig.authority.node(&["edge.internal"]))).await, Ok(204));

    // A node with a wrong certificate does not start, and says what it waits for.
    let places = rig.places("stranger");
    let text = rig.edge_text(&places, &rig.authority.node(&["app.internal"]));
    let config = places.dir.join("p.toml");
    std::fs::write(&config, text).unwrap();
    let path = config.to_str().unwrap();
    let tried = support::gateway::run(&["serve", "--config", path, "--plane", "edge"]);
    let said = support::gateway::said(&tried);
    assert_eq!(tried.status.code(), Some(1), "{said}");
    assert!(said.contains("no identity node"), "{said}");

    // What is asked over the link is asked nowhere else.
    let edge = rig.edge("one");
    for path in ["/link/v1/alive", "/link/v1/facts", "/link/v1/ended"] {
        let reply = caller(&edge).get(path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        let reply = edge.operator().get(path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        let reply = identity.operator().get(path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let forged = caller(&edge).with("x-portcullis-context", "e30").get("/link/v1/alive").await;
    assert_eq!(forged.status, 404, "{}", forged.text());

    // Accounts are no business of an edge node.
    let reply = edge.operator().get("/v1/users?realm=main").await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    assert!(reply.text().contains("edge_node"), "{}", reply.text());
}

/// Asks at the link with a certificate; the status, or why there was none.
async fn ask(rig: &Rig, own: Option<&Pair>) -> Result<u16, String> {
    let ca = reqwest::Certificate::from_pem(rig.authority.pem().as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder().tls_certs_only([ca]).no_proxy();
    if let Some(pair) = own {
        let pem = format!("{}\n{}", pair.chain, pair.key);
        builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
    }
    let url = format!("https://{}/link/v1/alive", rig.links[0]);
    let asked = builder.build().unwrap().get(url).send().await;
    asked.map(|reply| reply.status().as_u16()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_the_link_change_while_it_is_used() {
    if !postgres::is_there() {
        return;
    }
    let rig = Rig::new(1, "");
    let identity = rig.identity(0);
    let places = rig.places("one");
    let edge = rig.edge_at(&places);
    add(&identity, "ada", "USER");
    let before = serial(&edge, "link_certificate_reloaded");
    rig.authority.node(&["edge.internal"]).write(&places.dir, "link");
    until("the new certificate is taken over", async || {
        (serial(&edge, "link_certificate_reloaded") > before).then_some(())
    })
    .await;
    let tokens = login(&caller(&edge), "ada", GOOD_PASSWORD).await;
    passes(&edge, &caller(&edge).bearer(&tokens.access)).await;
    let key = operate::add_key(&identity, "ada", &["READ"], json!({}));
    passes(&edge, &caller(&edge).key(&key)).await;

    let dir: PathBuf = rig.folder.path().join("identity-0");
    rig.authority.node(&["127.0.0.1"]).write(&dir, "link");
    until("the other end as well", async || {
        (serial(&identity, "certificate_reloaded") > 0).then_some(())
    })
    .await;
    login(&caller(&edge), "ada", GOOD_PASSWORD).await;
}

fn serial(gateway: &Gateway, event: &str) -> usize {
    gateway
        .log()
        .iter()
        .filter(|line| line["event"] == event || line["fields"]["event"] == event)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_signing_key_and_a_reload_reach_edge_nodes() {
    if !postgres::is_there() {
        return;
    }
    let rig = Rig::new(1, "");
    let identity = rig.identity(0);
    let places = rig.places("one");
    let edge = rig.edge_at(&places);
    add(&identity, "ada", "USER");
    let old = login(&caller(&edge), "ada", GOOD_PASSWORD).await;
    let rotated = identity.operator().post("/v1/signing-keys/api/rotate", json!({})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    let new = login(&caller(&edge), "ada", GOOD_PASSWORD).await;
    until("a token of the new key is taken", async || {
        (caller(&edge).bearer(&new.access).get("/app/x").await.status == 200).then_some(())
    })
    .await;
    passes(&edge, &caller(&edge).bearer(&old.access)).await;

    let pair = rig.authority.node(&["edge.internal"]);
    let text = rig.edge_text(&places, &pair).replace("/app/**", "/other/**");
    std::fs::write(&edge.config, text).unwrap();
    let reply = edge.operator().post("/v1/reload", json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = caller(&edge).bearer(&old.access).get("/other/x").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = caller(&edge).bearer(&old.access).get("/app/x").await;
    assert_eq!(reply.status, 404, "{}", reply.text());
}
