//! How a command reaches the operator API: over the running gateway's socket, else in process on the store.

use std::{
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::{Method, StatusCode, header};
use serde_json::Value;

use super::{Failure, arguments::GatewayArgs};
use crate::{
    admin::{self, ConfigState, Control, Explained, InProcess, Readiness, ReloadOutcome, Trouble},
    config::{self, Config, Machine, Report, Surroundings, secret::made_up},
    issuer::KeyState,
    model::{SystemClock, SystemRandom},
    pipeline::{
        explain::{Past, Question},
        jwt::install_crypto_provider,
        shadow::ShadowLine,
    },
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
    Store { router: InProcess, opened: Arc<Opened> },
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
        let way = match runtime.block_on(knock_by_file(at))? {
            Some(client) => Way::Socket(client),
            None => runtime.block_on(in_person(read(at)?))?,
        };
        Ok(Self { way, runtime })
    }

    /// Opens the socket only: for what makes sense with a running gateway alone.
    pub(super) fn running(at: &GatewayArgs) -> Result<Option<Self>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = match &at.socket {
            Some(socket) => runtime.block_on(knock(socket))?,
            None => runtime.block_on(knock_by_file(at))?,
        };
        if client.is_none() && at.socket.is_none() {
            // Nobody answers: because none runs, or because the file does not say where.
            whereabouts(at)?;
        }
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

/// The whole configuration, as the gateway would read it here and now.
pub(super) fn read(at: &GatewayArgs) -> Result<Config, Failure> {
    config::load(&at.config, &at.set, &Machine).map_err(|report| refused(&report))
}

/// The configuration with made-up secrets: good for where things are and for nothing else. Secrets of a unit (`cred:`,
/// `env:`) are not to be had in the operator's shell, and are not needed to find the gateway.
pub(super) fn whereabouts(at: &GatewayArgs) -> Result<Config, Failure> {
    config::load(&at.config, &at.set, &Invented).map_err(|report| refused(&report))
}

fn refused(report: &Report) -> Failure {
    // A half-edited file must not keep anybody from revoking a key.
    Failure::Failed(format!(
        "{report}\na running gateway is reached without the file: --socket PATH"
    ))
}

/// Makes up every secret; what is none (keys of issuers, texts of letters) is read, for the answers of `explain` hang on it.
struct Invented;

impl Surroundings for Invented {
    fn var(&self, name: &str) -> Option<String> {
        // The only one that is a place.
        let place = (name == "CREDENTIALS_DIRECTORY").then(|| "/made/up".to_owned());
        place.or_else(|| Some(made_up(name)))
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        Machine.read(path)
    }

    fn secret(&self, path: &Path) -> std::io::Result<String> {
        Ok(made_up(&path.to_string_lossy()))
    }

    fn public(&self, path: &Path) -> Option<std::io::Result<String>> {
        Machine.read(path).ok().map(Ok)
    }

    fn is_made_up(&self) -> bool {
        true
    }
}

/// The store's file.
pub(super) fn store_file(config: &Config) -> PathBuf {
    config.boot().data_dir.join(STORE_FILE)
}

/// Refuses to work on the store of another user: what root makes there, the gateway could not open.
pub(super) fn same_owner(folder: &Path) -> Result<(), Failure> {
    // A folder that is not there yet is made by this command, and belongs to who runs it.
    let Ok(found) = std::fs::metadata(folder) else { return Ok(()) };
    let own = std::fs::metadata("/proc/self")?.uid();
    owned_by(folder, found.uid(), own)
}

fn owned_by(folder: &Path, owner: u32, own: u32) -> Result<(), Failure> {
    if owner == own {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} belongs to user {owner}, and this command runs as user {own}: the gateway could not read \
         what it makes there. Run it as that user: sudo -u '#{owner}' portcullis …",
        folder.display()
    )))
}

/// The way through the store itself: nobody answers at the socket.
async fn in_person(config: Config) -> Result<Way, Failure> {
    let socket = config.boot().operator_socket;
    same_owner(&config.boot().data_dir)?;
    let store = store_file(&config);
    if config.boot().database.is_none() && !Store::lock_is_free(&store) {
        return Err(Failure::Unreachable(format!(
            "another process has the store {} open, but nobody answers at {}: \
             the gateway may be starting or stopping; try again",
            store.display(),
            socket.display()
        )));
    }
    install_crypto_provider();
    let opened = Arc::new(run::open(&config, Purpose::Command).await?);
    let router = admin::operator_router(admin::Parts {
        identity: opened.identity.clone(),
        control: Arc::new(Offline { config, opened: Arc::clone(&opened) }),
        metrics: opened.metrics.clone(),
        shared: opened.mounts.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    });
    Ok(Way::Store { router: InProcess::new(router), opened })
}

/// The running gateway of a configuration file. One with faults will do: the gateway goes on with what it has, and
/// whoever wants to revoke something must not have to mend the file first.
async fn knock_by_file(at: &GatewayArgs) -> Result<Option<reqwest::Client>, Failure> {
    match config::operator_socket(&at.config, &at.set, &Invented) {
        Some(socket) => knock(&socket).await,
        None => Ok(None),
    }
}

/// A client for the socket, if somebody answers there.
async fn knock(socket: &Path) -> Result<Option<reqwest::Client>, Failure> {
    match tokio::net::UnixStream::connect(socket).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(Failure::Unreachable(format!(
                "{}: permission denied: only the gateway's own user and root may open it (sudo)",
                socket.display()
            )));
        }
        Err(_) => return Ok(None),
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
    opened: Arc<Opened>,
}

#[async_trait::async_trait]
impl Control for Offline {
    fn readiness(&self) -> Readiness {
        Readiness::Starting
    }

    fn config(&self) -> ConfigState {
        ConfigState { hash: self.config.hash.as_str().into(), stale: None }
    }

    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    fn effective(&self) -> String {
        self.config.effective.clone()
    }

    async fn reload(&self) -> ReloadOutcome {
        ReloadOutcome::Refused { report: "no gateway is running".into() }
    }

    async fn explain(&self, questions: Vec<Question>) -> Result<Explained, String> {
        let explainer = self.opened.explainer(&self.config).map_err(|error| error.to_string())?;
        Ok(Explained { evidence: "store", answers: explainer.explain_all(&questions).await })
    }

    fn issuer_keys(&self) -> Vec<KeyState> {
        Vec::new()
    }

    async fn refresh_issuer_keys(&self, _: &str) -> Option<Result<(), String>> {
        None
    }

    fn refusal(&self, _: &str) -> Option<Past> {
        None
    }

    fn shadow(&self) -> Vec<ShadowLine> {
        Vec::new()
    }

    async fn keys_changed(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> (tempfile::TempDir, GatewayArgs) {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("p.toml");
        std::fs::write(&config, text).unwrap();
        let at = GatewayArgs { config, set: Vec::new(), socket: None };
        (folder, at)
    }

    #[test]
    fn the_gateway_is_found_without_the_secrets_of_its_unit() {
        let text = format!(
            "{}[internal]\ntoken = \"env:NOT_SET_HERE\"\n[secrets]\nmaster_keys = [\"cred:one\", \"file:/no/such\"]\n",
            include_str!("../../conf/minimal.toml")
        );
        let (folder, at) = at(&text);
        let socket = whereabouts(&at).unwrap().boot().operator_socket;
        assert_eq!(socket, folder.path().join("data/operator.sock"));
        assert!(read(&at).is_err(), "the store itself is opened with the real ones only");
    }

    #[test]
    fn made_up_secrets_will_do_for_every_kind() {
        let key = "dialect = \"tmws\"\nstatic_key = [{ name = \"ci\", secret = \"file:/no/such\", \
                   service = \"ci\", roles = [\"SERVICE\"], scopes = [\"READ\"] }]";
        let text = include_str!("../../conf/minimal.toml").replace("dialect = \"tmws\"", key);
        let administrator = "[[mount]]\nname = \"hh\"\ndialect = \"hh\"\nat = [{ prefix = \"/hh\" }]\n\
                             [mount.administrator]\nusername = \"admin\"\npassword_hash = \"env:HASH\"\n";
        let text = format!("{text}{administrator}");
        let (_folder, at) = at(&text);
        let told = whereabouts(&at).err().map(|failure| failure.to_string()).unwrap_or_default();
        assert!(!told.contains("static_key") && !told.contains("password_hash"), "{told}");
    }

    #[test]
    fn certificates_and_their_keys_are_not_needed_either() {
        let text = format!(
            "{}[[listener]]\nname = \"secure\"\naddress = \"127.0.0.1:8443\"\n\
             tls = {{ certificates = [{{ cert = \"/no/such.pem\", key = \"/no/such.key\" }}], \
             client_ca = \"/no/such.pem\" }}\n",
            include_str!("../../conf/minimal.toml")
        );
        let (_folder, at) = at(&text);
        assert!(whereabouts(&at).is_ok());
        assert!(read(&at).is_err(), "they are to serve");
    }

    #[test]
    fn a_broken_file_names_the_way_around_it() {
        let (_folder, at) = at("version = ");
        let told = whereabouts(&at).err().unwrap().to_string();
        assert!(told.contains("--socket PATH"), "{told}");
    }

    #[test]
    fn the_folder_of_another_user_is_left_alone() {
        let (folder, _) = at("");
        same_owner(folder.path()).unwrap();
        same_owner(&folder.path().join("missing")).unwrap();
        let told = owned_by(folder.path(), 987, 0).unwrap_err().to_string();
        assert!(told.contains("sudo -u '#987'"), "{told}");
    }
}
