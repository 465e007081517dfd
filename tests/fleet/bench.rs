//! Nodes on one database of a server that the test may break, and what hangs on a credential at each of them.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{
    client::Client,
    conf::{self, Conf},
    gateway::{Gateway, Places},
    operate, ports,
    postgres::{self, Server},
    tmws::{self, GOOD_PASSWORD, Tokens, fresh_address, fresh_name},
    upstream::{Answer, Upstream},
    wait::PATIENCE,
};

const MASTER: &str = "a-master-key-that-all-nodes-of-the-tests-share-0123456789";
/// A path behind the gate.
pub const GUARDED: &str = "/api/v1/tasks/1";

/// Some nodes.
pub struct Fleet {
    // Before the server: a node that stops writes what it still has.
    pub nodes: Vec<Gateway>,
    pub texts: Vec<String>,
    pub server: Server,
    pub database: String,
    pub upstream: Upstream,
    folder: TempDir,
}

/// What a fleet is made of.
pub struct Plan<'a> {
    pub nodes: usize,
    pub server: Server,
    pub upstream: Upstream,
    /// More keys of `[store]`.
    pub store: &'a str,
    /// More of everything.
    pub more: &'a dyn Fn(&Places, Conf) -> Conf,
}

impl Fleet {
    /// `None` where this machine has no PostgreSQL.
    pub fn start(nodes: usize) -> Option<Self> {
        Self::with(nodes, "")
    }

    /// The same with more keys of `[store]`.
    pub fn with(nodes: usize, store: &str) -> Option<Self> {
        Self::of(nodes, store, |conf| conf)
    }

    /// The same with more of everything.
    pub fn of(nodes: usize, store: &str, more: impl Fn(Conf) -> Conf) -> Option<Self> {
        postgres::is_there().then(|| {
            Self::planned(Plan {
                nodes,
                server: Server::start(),
                upstream: Upstream::counting(|_| Answer::ok()),
                store,
                more: &|_, conf| more(conf),
            })
        })
    }

    pub fn planned(plan: Plan<'_>) -> Self {
        let Plan { nodes, server, upstream, store, more } = plan;
        let (folder, database) = (tempfile::tempdir().unwrap(), server.database());
        let mut fleet =
            Self { nodes: Vec::new(), texts: Vec::new(), server, database, upstream, folder };
        for number in 0..nodes {
            let (places, text) = fleet.configuration(number, store, more);
            fleet.nodes.push(Gateway::start_in(&places, &text));
            fleet.texts.push(text);
        }
        operate::add_admin(&fleet.nodes[0]);
        fleet
    }

    fn configuration(
        &self,
        number: usize,
        store: &str,
        more: &dyn Fn(&Places, Conf) -> Conf,
    ) -> (Places, String) {
        let dir: PathBuf = self.folder.path().join(format!("node-{number}"));
        std::fs::create_dir(&dir).unwrap();
        let master = dir.join("master");
        std::fs::write(&master, MASTER).unwrap();
        let places = Places {
            public: ports::free_address(),
            operator: ports::free_address(),
            data: dir.join("data"),
            dir,
        };
        let conf = Conf::new(&places)
            .section(&format!("[store]\nurl = {:?}\n{store}", self.role_of(number)))
            .section(&format!("[fleet]\nnode = \"node-{number}\""))
            .section(&format!("[secrets]\nmaster_keys = [\"file:{}\"]", master.display()))
            .section("[limiter]\nfailures_per_address = false")
            .upstream("main", &[self.upstream.address])
            .route(conf::tasks("main"));
        let text = more(&places, conf).text();
        (places, text)
    }

    /// The database as a role of this node's own, which can be shut out by itself.
    fn role_of(&self, number: usize) -> String {
        let known = format!("SELECT 1 FROM pg_roles WHERE rolname = 'node_{number}'");
        if postgres::ask(&self.database, &known).is_empty() {
            let make = format!("CREATE ROLE node_{number} LOGIN SUPERUSER");
            postgres::ask(&self.database, &make);
        }
        let mut url = url::Url::parse(&self.database).unwrap();
        url.set_username(&format!("node_{number}")).unwrap();
        url.into()
    }

    /// Shuts one node out of the database, or lets it in again.
    pub fn cut_off(&self, number: usize, cut: bool) {
        let may = if cut { "NOLOGIN" } else { "LOGIN" };
        postgres::ask(&self.database, &format!("ALTER ROLE node_{number} {may}"));
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename";
        postgres::ask(&self.database, &format!("{end} = 'node_{number}'"));
    }

    /// Ends every connection on which a node hears of changes.
    pub fn cut_listeners(&self) {
        let all =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
        postgres::ask(&self.database, all);
    }

    /// The database tells nobody of changes any more, as behind a pooler that keeps no sessions; or tells again.
    pub fn mute(&self, mute: bool) {
        let (from, to) = if mute { ("pg_notify(", "concat(") } else { ("concat(", "pg_notify(") };
        let source = "pg_get_functiondef('tell_changes'::regproc)";
        let text = format!("DO $$ BEGIN EXECUTE replace({source}, '{from}', '{to}'); END $$");
        postgres::ask(&self.database, &text);
    }

    /// A figure of a node.
    pub async fn figure(&self, number: usize, name: &str) -> f64 {
        let metrics = self.nodes[number].operator().get("/metrics").await.text();
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Starts a node again after it ended.
    pub fn restart(&mut self, number: usize) {
        let places = self.nodes[number].places.clone();
        let text = self.texts[number].clone();
        self.nodes[number] = Gateway::start_in(&places, &text);
    }

    /// A person with a session that was opened at this node.
    pub async fn person(&self, number: usize) -> Member {
        let name = fresh_name();
        operate::add_user(&self.nodes[number], &name, &["USER"]);
        self.login(number, &name).await
    }

    pub async fn login(&self, number: usize, name: &str) -> Member {
        let client = Client::from(&self.nodes[number].url(), fresh_address());
        let tokens = tmws::login(&client, name, GOOD_PASSWORD).await;
        let client = client.bearer(&tokens.access);
        Member { name: name.to_owned(), client, tokens }
    }

    /// Every node takes this. Gives who may ask each of them again, over connections that are open.
    pub async fn taken_everywhere(&self, credential: &Credential) -> Vec<Client> {
        let mut clients = Vec::new();
        for number in 0..self.nodes.len() {
            let client = credential.client(self, number);
            assert_eq!(client.get(GUARDED).await.status, 200, "{credential:?} at {number}");
            clients.push(client);
        }
        clients
    }

    /// The node that acknowledged the end refuses at once, all others soon.
    pub async fn refused_everywhere(&self, at: usize, credential: &Credential) {
        let clients = (0..self.nodes.len()).map(|number| credential.client(self, number));
        all_refuse(at, clients.collect(), Instant::now()).await;
    }
}

/// The node that acknowledged an end refuses at once, all others soon. Gives how long each of the others took.
pub async fn all_refuse(at: usize, clients: Vec<Client>, acknowledged: Instant) -> Vec<Duration> {
    let mut asking = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        asking.spawn(async move {
            if number == at {
                assert_eq!(client.get(GUARDED).await.status, 401, "where it was ended");
                return None;
            }
            Some(refused(&client, acknowledged).await)
        });
    }
    asking.join_all().await.into_iter().flatten().collect()
}

/// Asks until it is refused; gives how long after `since` the refused request was sent.
/// Nothing but yes and no is ever answered.
pub async fn refused(client: &Client, since: Instant) -> Duration {
    loop {
        let sent = Instant::now();
        match client.get(GUARDED).await.status {
            401 => return sent.saturating_duration_since(since),
            status => assert_eq!(status, 200),
        }
        assert!(since.elapsed() < PATIENCE, "never refused");
        // Whoever asks without a pause takes from the nodes the time to hear.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Somebody with a session.
pub struct Member {
    pub name: String,
    /// With the access token, at the node of the login.
    pub client: Client,
    pub tokens: Tokens,
}

impl Member {
    pub fn token(&self) -> Credential {
        Credential::Token(self.tokens.access.clone())
    }
}

/// What is shown at the gate.
#[derive(Clone, Debug)]
pub enum Credential {
    Token(String),
    Key(String),
}

impl Credential {
    pub fn client(&self, fleet: &Fleet, number: usize) -> Client {
        self.at(&fleet.nodes[number].url())
    }

    pub fn at(&self, url: &str) -> Client {
        let client = Client::at(url);
        match self {
            Self::Token(token) => client.bearer(token),
            Self::Key(key) => client.key(key),
        }
    }
}
