//! A gateway that believes issuers, and what its upstream saw.

use serde_json::Value;

use crate::support::{
    client::Client,
    conf::{self, Conf, Table, quoted},
    gateway::{Gateway, Places},
    ports,
    signer::{Signer, claims},
    upstream::{Answer, Recorded, Upstream},
    wire::Reply,
};

pub const CORP: &str = "https://corp.example";
pub const AUDIENCE: &str = "api";

/// An `[[issuer]]` with what every one of these tests needs.
pub fn issuer(name: &str, iss: &str) -> Table {
    Table::new("issuer", name)
        .with("issuer", quoted(iss))
        .with("audiences", r#"["api"]"#)
        .with("base_roles", r#"["USER"]"#)
}

/// One mount `api` that believes these issuers, with a route for tokens and keys, and one judged by the policy.
pub fn configuration(places: &Places, upstream: &Upstream, issuers: &[Table]) -> Conf {
    let names: Vec<String> = issuers.iter().map(|table| quoted(table.name())).collect();
    let conf = Conf::new(places)
        .mount("issuers", &format!("[{}]", names.join(", ")))
        .upstream("main", &[upstream.address])
        .route(conf::closed("closed", "/closed/**", "main"))
        .route(conf::tasks("main"));
    issuers.iter().cloned().fold(conf, Conf::table)
}

/// A gateway with its upstream.
pub struct Rig {
    pub gateway: Gateway,
    pub upstream: Upstream,
    client: Client,
}

impl Rig {
    pub fn with(issuers: &[Table], change: impl Fn(Conf, &Places) -> Conf) -> Self {
        let upstream = Upstream::with(|_| Answer::ok());
        let gateway = Gateway::start(|places| {
            change(configuration(places, &upstream, issuers), places).text()
        });
        let client = Client::at(&gateway.url());
        Rig { gateway, upstream, client }
    }

    /// The same in a folder of its own, which outlives the gateway.
    pub fn lasting(issuers: &[Table]) -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            public: ports::free_address(),
            operator: ports::free_address(),
            data: folder.path().join("data"),
            dir: folder.path().to_owned(),
        };
        let upstream = Upstream::with(|_| Answer::ok());
        let conf = configuration(&places, &upstream, issuers)
            .section("[limiter]\nfailures_per_address = false");
        let gateway = Gateway::start_in(&places, &conf.text());
        let client = Client::at(&gateway.url());
        (folder, Rig { gateway, upstream, client })
    }

    /// Goes on with another process.
    pub fn restarted(&mut self, gateway: Gateway) {
        self.client = Client::at(&gateway.url());
        self.gateway = gateway;
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.client.bearer(token).get(path).await
    }

    /// The request whose path holds this text.
    #[track_caller]
    pub fn seen(&self, mark: &str) -> Recorded {
        let found = self.upstream.seen().into_iter().rfind(|one| one.target().contains(mark));
        found.expect("it came through")
    }
}

/// A good token of somebody.
pub fn token(signer: &Signer, iss: &str, subject: &str) -> String {
    signer.sign(&claims(iss, AUDIENCE, subject))
}

/// Its claims with one changed.
pub fn changed(name: &str, value: Value) -> Value {
    let mut all = claims(CORP, AUDIENCE, "ada");
    all[name] = value;
    all
}

/// All of them at once.
pub async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut open = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(found) => *output = Some(found),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
