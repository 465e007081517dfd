//! How a command reaches the operator API: over the running gateway's socket, else in process on the store.

use std::path::{Path, PathBuf};

use http::{Method, StatusCode, header};
use serde_json::Value;

use super::{Failure, arguments::GatewayArgs};
use crate::{
    admin::{self, ConfigState, Control, InProcess, Readiness, ReloadOutcome},
    config::{self, Config, Machine},
    model::{SystemClock, SystemRandom},
    pipeline::jwt::install_crypto_provider,
    run::{self, Opened, Purpose, STORE_FILE},
    store::Store,
};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// An open way to the operator API.
pub(super) struct Door {
    way: Way,
    runtime: tokio::runtime::Runtime,
}

enum Way {
    /// A running gateway.
    Socket(reqwest::Client),
    /// The store itself, opened by this process.
    Store { router: InProcess, opened: Box<Opened> },
}

/// What a body is.
pub(super) enum Content {
    Nothing,
    Json(Value),
    Lines(String),
}

impl Door {
    /// Opens the socket if a gateway answers there, else the store if nobody has it open.
    pub(super) fn open(at: &GatewayArgs) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if let Some(socket) = &at.socket {
            let way = runtime.block_on(knock(socket))?.map(Way::Socket);
            let none =
                || Failure::Unreachable(format!("no gateway answers at {}", socket.display()));
            return Ok(Self { way: way.ok_or_else(none)?, runtime });
        }
        let way = match read(at) {
            Ok(config) => runtime.block_on(find(config))?,
            // A file with faults is no reason to leave the running gateway alone: it goes on with what it has.
            Err(faults) => match runtime.block_on(knock_despite_faults(at))? {
                Some(client) => Way::Socket(client),
                None => return Err(faults),
            },
        };
        Ok(Self { way, runtime })
    }

    /// Opens the socket only: for what makes sense with a running gateway alone.
    pub(super) fn running(at: &GatewayArgs) -> Result<Option<Self>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = match (&at.socket, read(at)) {
            (Some(socket), _) => runtime.block_on(knock(socket))?,
            (None, Ok(config)) => runtime.block_on(knock(&config.boot().operator_socket))?,
            (None, Err(faults)) => match runtime.block_on(knock_despite_faults(at))? {
                Some(client) => Some(client),
                None => return Err(faults),
            },
        };
        Ok(client.map(|client| Self { way: Way::Socket(client), runtime }))
    }

    /// One call. A refusal comes as the failure to print.
    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        body: Content,
    ) -> Result<Vec<u8>, Failure> {
        let (status, text) = self.runtime.block_on(async {
            match &self.way {
                Way::Socket(client) => over_socket(client, method, path, body).await,
                Way::Store { router, .. } => in_process(router, method, path, body).await,
            }
        })?;
        if status.is_success() {
            return Ok(text);
        }
        Err(Failure::Failed(explain(status, &text)))
    }

    /// One call that is answered in JSON.
    pub(super) fn json(&self, method: Method, path: &str, body: Content) -> Result<Value, Failure> {
        let text = self.call(method, path, body)?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::Failed(format!("the gateway's answer cannot be read: {error}"))
        })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Way::Store { opened, .. } = &self.way {
            self.runtime.block_on(opened.store.close());
        }
    }
}

/// The configuration that says where the data folder is.
pub(super) fn read(at: &GatewayArgs) -> Result<Config, Failure> {
    config::load(&at.config, &at.set, &Machine)
        .map_err(|report| Failure::Failed(report.to_string()))
}

/// The store's file.
pub(super) fn store_file(config: &Config) -> PathBuf {
    config.boot().data_dir.join(STORE_FILE)
}

async fn find(config: Config) -> Result<Way, Failure> {
    let socket = config.boot().operator_socket;
    if let Some(client) = knock(&socket).await? {
        return Ok(Way::Socket(client));
    }
    let store = store_file(&config);
    if !Store::lock_is_free(&store) {
        return Err(Failure::Unreachable(format!(
            "another process has the store {} open, but nobody answers at {}: \
             the gateway may be starting or stopping; try again",
            store.display(),
            socket.display()
        )));
    }
    install_crypto_provider();
    let opened = run::open(&config, Purpose::Command).await?;
    let router = admin::operator_router(admin::Parts {
        identity: opened.identity.clone(),
        control: std::sync::Arc::new(Offline { config }),
        metrics: opened.metrics.clone(),
        shared: opened.mounts.clone(),
        clock: std::sync::Arc::new(SystemClock),
        random: std::sync::Arc::new(SystemRandom),
    });
    Ok(Way::Store { router: InProcess::new(router), opened: Box::new(opened) })
}

/// The running gateway of a file that has faults.
async fn knock_despite_faults(at: &GatewayArgs) -> Result<Option<reqwest::Client>, Failure> {
    match config::operator_socket(&at.config, &at.set, &Machine) {
        Some(socket) => knock(&socket).await,
        None => Ok(None),
    }
}

/// A client for the socket, if somebody answers there.
async fn knock(socket: &Path) -> Result<Option<reqwest::Client>, Failure> {
    if tokio::net::UnixStream::connect(socket).await.is_err() {
        return Ok(None);
    }
    reqwest::Client::builder()
        .unix_socket(socket)
        .no_proxy()
        .build()
        .map(Some)
        .map_err(|error| Failure::Failed(error.to_string()))
}

async fn over_socket(
    client: &reqwest::Client,
    method: Method,
    path: &str,
    body: Content,
) -> Result<(StatusCode, Vec<u8>), Failure> {
    // The host says nothing on a Unix socket; HTTP/1.1 wants one.
    let request = client.request(method, format!("http://portcullis{path}"));
    let request = match body {
        Content::Nothing => request,
        Content::Json(value) => request.json(&value),
        Content::Lines(text) => request.header(header::CONTENT_TYPE, LINES).body(text),
    };
    let failed =
        |error: reqwest::Error| Failure::Failed(format!("the gateway did not answer: {error}"));
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    Ok((status, response.bytes().await.map_err(failed)?.to_vec()))
}

async fn in_process(
    router: &InProcess,
    method: Method,
    path: &str,
    body: Content,
) -> Result<(StatusCode, Vec<u8>), Failure> {
    let (kind, body) = match body {
        Content::Nothing => (JSON, String::new()),
        Content::Json(value) => (JSON, value.to_string()),
        Content::Lines(text) => (LINES, text),
    };
    let (status, body) = router.call(method, path, kind, body).await.map_err(Failure::Failed)?;
    Ok((status, body.to_vec()))
}

/// A problem document (RFC 9457) in words.
fn explain(status: StatusCode, text: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(text) else {
        return format!("refused with status {status}");
    };
    let word = |key: &str| problem.get(key).and_then(Value::as_str);
    let mut out = word("detail").or(word("title")).unwrap_or("refused").to_owned();
    for fault in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| fault.get(key).and_then(Value::as_str).unwrap_or_default();
        out.push_str(&format!("\n    {}: {}", part("field"), part("message")));
    }
    out
}

/// Quotes a name for use as one path segment or query value.
pub(super) fn quoted(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The process behind the operator API when no gateway runs.
struct Offline {
    config: Config,
}

#[async_trait::async_trait]
impl Control for Offline {
    fn readiness(&self) -> Readiness {
        Readiness::Starting
    }

    fn config(&self) -> ConfigState {
        ConfigState { hash: self.config.hash.as_str().into(), stale: None }
    }

    fn effective(&self) -> String {
        self.config.effective.clone()
    }

    async fn reload(&self) -> ReloadOutcome {
        ReloadOutcome::Refused { report: "no gateway is running".into() }
    }

    async fn keys_changed(&self) {}
}
