//! A fleet under an open-loop load of every kind of caller, and what may happen to the servers that it stands on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::task::block_in_place;

use super::{
    bench::{Fleet, Plan},
    browser::{Browser, location, parameter},
    provider::{CLIENT, Provider, SECRET},
};
use crate::support::{
    client::Client,
    conf::{self, Conf, Table, quoted},
    gateway::Places,
    ledger::{Driver, Entry},
    link::{Link, State},
    operate,
    postgres::{self, Server},
    redis::{Redis, Watched},
    tmws,
    upstream::Upstream,
    wait::{PATIENCE, until},
    wire,
};

/// Requests take turns in this order, whichever node they go to: it has no divisor in common with the number of nodes.
const KINDS: usize = 16;
/// A key that no node has ever seen.
const UNKNOWN: usize = 15;
const SLOW: Duration = Duration::from_millis(50);

/// How much, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub nodes: usize,
    pub rate: u32,
    /// Of each fault.
    pub lasts: Duration,
    /// Before each fault.
    pub calm: Duration,
    /// Whether times are held to the stated figures.
    pub strict: bool,
}

impl Size {
    /// `PORTCULLIS_STORM=5` for five nodes and faults of five seconds, held to the stated figures; else a short one.
    pub fn wanted() -> Self {
        let long = std::env::var("PORTCULLIS_STORM").ok().and_then(|text| text.parse().ok());
        let short = Size {
            nodes: 3,
            rate: 120,
            lasts: Duration::from_millis(1200),
            calm: Duration::from_millis(600),
            strict: false,
        };
        long.map_or(short, |seconds| {
            let lasts = Duration::from_secs(seconds);
            Size { nodes: 5, rate: 300, lasts, calm: lasts, strict: true }
        })
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    RedisKilled,
    RedisStopped,
    RedisFlushed,
    RedisSlow,
    RedisUnreachable,
    PrimaryKilled,
    PrimaryStopped,
    DatabaseKilled,
    DatabaseStopped,
    SessionsTerminated,
    ConnectionsTaken,
}

impl Fault {
    /// Whether nobody can ask the database meanwhile.
    pub fn is_of_database(self) -> bool {
        use Fault::{ConnectionsTaken, DatabaseKilled, DatabaseStopped, SessionsTerminated};
        matches!(self, DatabaseKilled | DatabaseStopped | SessionsTerminated | ConnectionsTaken)
    }
}

/// The Redis of the fleet.
pub enum Near {
    /// One, behind a link.
    One(Redis, Link),
    Watched(Watched),
}

pub struct Storm {
    pub fleet: Fleet,
    pub near: Near,
    heads: Arc<Heads>,
    /// Keys that no node has seen, for asking whether it can learn of one.
    probes: Vec<String>,
    /// Connections of others.
    others: Vec<PgConnection>,
    _provider: Provider,
}

/// Who asks.
#[derive(Default)]
struct Heads {
    keys: Vec<String>,
    sessions: Vec<String>,
    tokens: Vec<String>,
    fresh_tokens: Vec<String>,
    unknown: Vec<String>,
    next_unknown: AtomicUsize,
}

impl Heads {
    fn head(&self, number: usize) -> String {
        let turn = number / KINDS;
        let one = |all: &[String]| all[turn % all.len()].clone();
        let (path, credential) = match number % KINDS {
            0 => ("open", String::new()),
            1 | 7 => ("api/v1/tasks", bearer(&one(&self.tokens))),
            2 | 8 => ("api/v1/tasks", key(&one(&self.keys))),
            3 | 11 => ("web", one(&self.sessions)),
            4 | 10 => ("leased", String::new()),
            5 | 9 => ("exact", String::new()),
            6 => ("both", bearer(&one(&self.tokens))),
            12 => ("both", key(&one(&self.keys))),
            13 => ("api/v1/tasks", bearer(&one(&self.fresh_tokens))),
            UNKNOWN => {
                let next = self.next_unknown.fetch_add(1, Ordering::Relaxed);
                ("api/v1/tasks", key(self.unknown.get(next).expect("enough of them")))
            }
            _ => ("api/v1/tasks", key(&one(&self.keys))),
        };
        format!("GET /{path}/{number} HTTP/1.1\r\nHost: a\r\n{credential}")
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn key(key: &str) -> String {
    format!("X-API-Key: {key}")
}

/// Whether nobody could know its credential before it came.
pub fn is_unknown(entry: &Entry) -> bool {
    entry.number % KINDS == UNKNOWN
}

impl Storm {
    /// `faults`: how many there will be, so that there are keys enough that nobody knows.
    pub async fn over(size: Size, near: Near, faults: usize) -> Self {
        let redis = match &near {
            Near::One(_, link) => format!("url = \"redis://{}\"", link.address),
            Near::Watched(watched) => {
                format!("sentinels = {:?}\nmaster = \"main\"", watched.addresses())
            }
        };
        let provider = Provider::start();
        let hasty = if size.strict { "" } else { postgres::HASTY };
        let fleet = Fleet::planned(Plan {
            nodes: size.nodes,
            server: Server::with(&format!("{hasty}max_connections = 60\n")),
            upstream: Upstream::start(),
            store: "connections = 4",
            more: &|places, conf| configuration(places, conf, &redis, &provider.issuer()),
        });
        let mut storm = Self {
            fleet,
            near,
            heads: Arc::default(),
            probes: Vec::new(),
            others: Vec::new(),
            _provider: provider,
        };
        let each = size.lasts + size.calm + Duration::from_secs(4);
        let requests = (each * faults as u32 + Duration::from_secs(4)).as_secs() as u32 * size.rate;
        storm.enrols(requests as usize / KINDS, (faults + 1) * size.nodes).await;
        storm
    }

    /// Makes everybody who asks, and lets every node learn of those who are to be known.
    async fn enrols(&mut self, unknown: usize, probes: usize) {
        let who = self.fleet.person(0).await;
        let first = &self.fleet.nodes[0];
        let keys = |count: usize| -> Vec<String> {
            let made = || operate::add_key(first, &who.name, &["READ"], Value::Null);
            (0..count).map(|_| made()).collect()
        };
        let mut heads = Heads { keys: keys(12), unknown: keys(unknown), ..Heads::default() };
        self.probes = keys(probes);
        for number in 0..4 {
            heads.tokens.push(self.fleet.login(number % 2, &who.name).await.tokens.access);
        }
        let mut last = who.tokens.clone();
        for _ in 0..20 {
            heads.fresh_tokens.push(last.access.clone());
            last = tmws::Tokens::of(&tmws::refresh(&who.client, &last.refresh).await);
        }
        for number in 0..4 {
            heads.sessions.push(self.session(&format!("person-{number}")).await);
        }
        for node in &self.fleet.nodes {
            let (to, all) = (node.address(), &heads);
            let tokens = all.tokens.iter().map(|token| ("api/v1/tasks", bearer(token)));
            let keys = all.keys.iter().map(|text| ("api/v1/tasks", key(text)));
            let sessions = all.sessions.iter().map(|cookie| ("web", cookie.clone()));
            for (path, field) in tokens.chain(keys).chain(sessions) {
                let text = format!("GET /{path}/first HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
                let reply = wire::exchange(to, text).await;
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            }
        }
        self.heads = Arc::new(heads);
    }

    /// Logs somebody in through the provider; gives the cookie.
    async fn session(&self, subject: &str) -> String {
        let browser = Browser::at(&self.fleet.nodes[0].url());
        let sent = location(&browser.go("/oidc/login?return_to=%2Fweb%2Fhome").await.expect(303));
        let code = self._provider.vouch(&sent, json!({ "sub": subject }));
        let state = parameter(&sent, "state");
        browser.go(&format!("/oidc/callback?code={code}&state={state}")).await.expect(303);
        format!("Cookie: {}", browser.cookies().expect("a session"))
    }

    /// Begins to ask.
    pub fn load(&self, rate: u32) -> Driver {
        let heads = Arc::clone(&self.heads);
        let targets = self.fleet.nodes.iter().map(|node| node.address()).collect();
        Driver::start(targets, rate, move |number| heads.head(number))
    }

    pub async fn begins(&mut self, fault: Fault) {
        match (fault, &mut self.near) {
            (Fault::RedisKilled, Near::One(redis, _)) => block_in_place(|| redis.kill()),
            (Fault::RedisStopped, Near::One(redis, _)) => redis.pause(),
            (Fault::RedisFlushed, Near::One(redis, _)) => {
                block_in_place(|| assert!(redis.ask("FLUSHALL").starts_with("+OK")));
            }
            (Fault::RedisSlow, Near::One(_, link)) => link.is(State::Slow(SLOW)),
            (Fault::RedisUnreachable, Near::One(_, link)) => link.is(State::BlackHole),
            (Fault::PrimaryKilled, Near::Watched(all)) => block_in_place(|| all.primary.kill()),
            (Fault::PrimaryStopped, Near::Watched(all)) => all.primary.pause(),
            (Fault::DatabaseKilled, _) => block_in_place(|| self.fleet.server.kill()),
            (Fault::DatabaseStopped, _) => block_in_place(|| self.fleet.server.freeze(true)),
            (Fault::SessionsTerminated, _) => self.terminates().await,
            (Fault::ConnectionsTaken, _) => {
                self.takes_all().await;
                self.terminates().await;
                self.takes_all().await;
            }
            (fault, _) => panic!("this fleet cannot have it: {fault:?}"),
        }
    }

    pub fn ends(&mut self, fault: Fault) {
        match (fault, &mut self.near) {
            (Fault::RedisKilled, Near::One(redis, _)) => block_in_place(|| redis.again()),
            (Fault::RedisStopped, Near::One(redis, _)) => redis.go_on(),
            (Fault::RedisSlow | Fault::RedisUnreachable, Near::One(_, link)) => {
                link.is(State::Well);
            }
            // It is over when the replica is the primary, whatever becomes of the one before.
            (Fault::PrimaryKilled | Fault::PrimaryStopped, Near::Watched(all)) => {
                block_in_place(|| all.until_failed_over());
            }
            (Fault::DatabaseKilled, _) => block_in_place(|| self.fleet.server.restart()),
            (Fault::DatabaseStopped, _) => block_in_place(|| self.fleet.server.freeze(false)),
            (Fault::SessionsTerminated | Fault::ConnectionsTaken, _) => self.others.clear(),
            _ => {}
        }
    }

    /// Ends every session of the nodes.
    async fn terminates(&mut self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name LIKE 'portcullis%'";
        let mut own = match self.others.pop() {
            Some(own) => own,
            None => PgConnection::connect(&self.fleet.database).await.expect("a connection"),
        };
        sqlx::query(sql).execute(&mut own).await.expect("terminated");
        self.others.push(own);
    }

    /// Takes every connection that the server still has.
    async fn takes_all(&mut self) {
        while let Ok(taken) = PgConnection::connect(&self.fleet.database).await {
            self.others.push(taken);
        }
    }

    /// From now until everything is as it was: an unknown key is looked up, an exact limit is one, and `/readyz` says
    /// `ready`, at every node. In this order.
    pub async fn back(&mut self) -> [Duration; 3] {
        let since = Instant::now();
        let learned = self.probes.split_off(self.probes.len() - self.fleet.nodes.len());
        for (node, text) in self.fleet.nodes.iter().zip(learned) {
            let client = Client::at(&node.url()).key(&text);
            until("an unknown key is looked up", || async {
                match client.get("/api/v1/tasks/probe").await.status {
                    200 => Some(()),
                    503 => None,
                    other => panic!("{other}"),
                }
            })
            .await;
        }
        let known = since.elapsed();
        until("an exact limit is shared", || async { self.is_shared().await.then_some(()) }).await;
        let shared = since.elapsed();
        for node in &self.fleet.nodes {
            until("it is ready", || async {
                (node.readyz().await.1["status"] == "ready").then_some(())
            })
            .await;
        }
        assert!(since.elapsed() < PATIENCE);
        [known, shared, since.elapsed()]
    }

    /// Whether each node counts on from where the one before it stopped.
    async fn is_shared(&self) -> bool {
        let mut left = Vec::new();
        for node in &self.fleet.nodes {
            let text = "GET /counted/x HTTP/1.1\r\nHost: a\r\n\r\n";
            let reply = wire::exchange(node.address(), text).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let shown = reply.header("x-ratelimit-remaining").expect("the limit is shown");
            left.push(shown.parse::<i64>().expect("a number"));
        }
        left.windows(2).all(|pair| pair[0] - pair[1] == 1)
    }
}

fn configuration(places: &Places, conf: Conf, redis: &str, issuer: &str) -> Conf {
    let secret = places.dir.join("corp.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let login = format!(
        "{{ issuer = {}, client_id = {}, client_secret = {}, redirect_uri = {}, accounts = \"create\" }}",
        quoted(issuer),
        quoted(CLIENT),
        quoted(&format!("file:{}", secret.display())),
        quoted(&format!("http://{}/oidc/callback", places.public)),
    );
    let limit = |name, windows: &str, across| {
        Table::new("limit", name)
            .with("per", r#"["route"]"#)
            .with("windows", format!("[\"{windows}\"]"))
            .with("across", quoted(across))
    };
    let open = |name, limits: &str| {
        conf::open(name, &format!("/{name}/**"), "main").with("limits", limits)
    };
    // The budget of a call to Redis is the usual one.
    conf.section(&format!("[redis]\n{redis}"))
        .mount("oidc_login", &login)
        .mount("rate_headers", "{ always = true, ietf = true }")
        .table(limit("leased", "1000000/s", "leased"))
        .table(limit("exact", "1000000/s", "exact"))
        .table(limit("counted", "10000/24h", "exact"))
        .route(open("open", r#"["tmws-general"]"#))
        .route(open("leased", r#"["leased"]"#))
        .route(open("exact", r#"["exact"]"#))
        .route(open("counted", r#"["counted"]"#))
        .route(conf::closed("both", "/both/**", "main").with("limits", r#"["leased", "exact"]"#))
        .route(conf::closed("web", "/web/**", "main").with("authn", r#"["session"]"#))
}
