//! What runs beside the gateway in the demo, each on a port of its own: one entry of data per toy.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use serde_json::{Map, Value};

use super::{provider, receiver, toy};
use crate::run::RunError;

/// What a started toy has to tell, or why it did not start.
type Started = Result<Map<String, Value>, RunError>;

/// A toy that runs beside the gateway.
pub(super) struct Companion {
    /// Its name in the JSON line.
    pub(super) name: &'static str,
    /// One line for people.
    pub(super) what: &'static str,
    /// Its port, before the offset.
    pub(super) port: u16,
    /// What the configuration must know of its address, as overrides.
    pub(super) sets: fn(SocketAddr) -> Vec<String>,
    /// Serves on the current runtime until the process ends. The folder is the demo's. What it gives is told beside its
    /// URL.
    pub(super) start: fn(TcpListener, &Path) -> Started,
}

/// Every one of them.
pub(super) static COMPANIONS: &[Companion] = &[
    Companion {
        name: "upstream",
        what: "the toy behind the gateway",
        port: 9900,
        sets: |address| vec![format!("upstream.toy.backends=[\"http://{address}\"]")],
        start: |listener, _| toy::start(listener).map(|()| Map::new()),
    },
    Companion {
        name: "webhook_receiver",
        what: "prints the webhooks it is sent",
        port: 9903,
        sets: |_| Vec::new(),
        start: receiver::start,
    },
    Companion {
        name: "provider",
        what: "the toy that people log in through; POST /toy changes it",
        port: provider::PORT,
        sets: provider::sets,
        start: |listener, _| {
            provider::start(listener)?;
            let person = ("person".to_owned(), Value::from(provider::PERSON));
            Ok(Map::from_iter([person]))
        },
    },
];

/// One that has a port and is not started yet.
pub(super) struct Waiting {
    companion: &'static Companion,
    listener: TcpListener,
}

/// One that runs.
#[derive(Clone)]
pub(super) struct Beside {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) address: SocketAddr,
    pub(super) more: Map<String, Value>,
}

/// Takes every port, so that a taken one is told before anything else happens.
pub(super) fn bind(
    address: impl Fn(u16) -> Result<SocketAddr, RunError>,
) -> Result<Vec<Waiting>, RunError> {
    let bound = COMPANIONS.iter().map(|companion| {
        let address = address(companion.port)?;
        let listener = TcpListener::bind(address).map_err(|error| {
            let elsewhere = super::ELSEWHERE;
            RunError::Demo(format!("{} {address}: {error}: {elsewhere}", companion.name))
        })?;
        Ok(Waiting { companion, listener })
    });
    bound.collect()
}

/// Starts them all on the current runtime.
pub(super) fn start(waiting: Vec<Waiting>, dir: &Path) -> Result<Vec<Beside>, RunError> {
    let started = waiting.into_iter().map(|Waiting { companion, listener }| {
        let address = listener.local_addr()?;
        let more = (companion.start)(listener, dir)?;
        Ok(Beside { name: companion.name, what: companion.what, address, more })
    });
    started.collect()
}

impl Beside {
    /// As programs are told.
    pub(super) fn json(&self) -> Value {
        let mut facts = self.more.clone();
        facts.insert("url".to_owned(), format!("http://{}", self.address).into());
        Value::Object(facts)
    }
}
