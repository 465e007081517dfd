//! What the demo tells: a welcome for people, or one line of JSON for programs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    accounts::Seeded,
    companions::Beside,
    contracts::{PLAYED, Played, SMALL_LIMIT},
    token_of,
};
use crate::{
    edge::ListenerSettings,
    mail,
    pipeline::route::Place,
    run::{Gateway, RunError},
};

/// Everything worth telling.
pub(super) struct Facts {
    dir: PathBuf,
    config: PathBuf,
    operator: Option<SocketAddr>,
    token: String,
    socket: PathBuf,
    mounts: Vec<Mounted>,
    /// Where letters are written to.
    mail: Option<PathBuf>,
    beside: Vec<Beside>,
}

/// One mount, ready.
struct Mounted {
    played: &'static Played,
    realm: String,
    /// Where it is reachable; hosts other than the listener's address stand in front of it.
    urls: Vec<String>,
    keys: Vec<String>,
}

impl Facts {
    pub(super) fn collect(
        gateway: &Gateway,
        dir: &Path,
        beside: Vec<Beside>,
        seeded: Vec<Seeded>,
    ) -> Result<Self, RunError> {
        let config = gateway.active();
        let boot = config.boot();
        let mut mounts = Vec::new();
        for played in PLAYED {
            let found = config
                .blueprint
                .mounts
                .iter()
                .find(|found| *found.is.name.as_str() == *played.mount);
            let found = found
                .ok_or_else(|| RunError::Demo(format!("there is no mount \"{}\"", played.mount)))?;
            let urls = found.is.places.iter().flat_map(|place| urls(place, &boot.edge.listeners));
            let keys = seeded.iter().find(|seeded| seeded.mount == played.mount);
            mounts.push(Mounted {
                played,
                realm: found.is.realm.to_string(),
                urls: urls.collect(),
                keys: keys.map(|seeded| seeded.keys.clone()).unwrap_or_default(),
            });
        }
        let mail = config.blueprint.mail.as_ref().and_then(|mail| match &mail.route {
            mail::Route::Folder(folder) => Some(folder.clone()),
            mail::Route::Smtp { .. } => None,
        });
        if let Some(folder) = &mail {
            // Before the first letter: whoever is told of it may look into it.
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            config: config.file.clone(),
            operator: boot.internal_address,
            token: token_of(&config)?,
            socket: boot.operator_socket,
            mounts,
            mail,
            beside,
        })
    }

    /// Exactly one line.
    pub(super) fn json(&self) -> String {
        let each = |tell: &dyn Fn(&Mounted) -> Value| {
            let named =
                self.mounts.iter().map(|mount| (mount.played.mount.to_owned(), tell(mount)));
            Value::Object(named.collect())
        };
        let mut whole = json!({
            "ready": true,
            "pid": std::process::id(),
            "dir": self.dir,
            "config": self.config,
            "operator": {
                "url": self.operator.map(|address| format!("http://{address}")),
                "token": self.token,
                "socket": self.socket,
            },
            "mounts": each(&|mount| {
                json!({ "url": mount.urls.first(), "urls": mount.urls, "realm": mount.realm })
            }),
            "accounts": each(&|mount| json!(mount.played.accounts)),
            "api_keys": each(&|mount| json!(mount.keys.first())),
            "mail_dir": self.mail,
        });
        if let Some(members) = whole.as_object_mut() {
            members
                .extend(self.beside.iter().map(|beside| (beside.name.to_owned(), beside.json())));
        }
        format!("{whole}\n")
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::from(
            "\n  *** DEMO: the passwords below are published in client documentation. Loopback only. ***\n\
             \x20 *** Never put real data into it; `portcullis serve` refuses its store.            ***\n\n",
        );
        let mut line = |name: &str, value: &str| out.push_str(&format!("  {name:16} {value}\n"));
        for mount in &self.mounts {
            line(mount.played.mount, &mount.urls.join("  "));
        }
        for beside in &self.beside {
            line(beside.name, &format!("http://{} ({})", beside.address, beside.what));
        }
        if let Some(operator) = self.operator {
            line(
                "operator",
                &format!("http://{operator} (token in {}/operator.token)", self.dir.display()),
            );
        }
        if let Some(mail) = &self.mail {
            line("mail", &format!("{} (one file per letter)", mail.display()));
        }
        line("config", &self.config.display().to_string());
        for mount in &self.mounts {
            out.push_str(&format!("\n  accounts of {}\n", mount.played.mount));
            for account in mount.played.accounts {
                out.push_str(&format!(
                    "    {:24} {:20} {:24} {}\n",
                    account.login(),
                    account.password,
                    account.email.filter(|email| *email != account.login()).unwrap_or_default(),
                    account.scheme.map_or_else(|| account.roles.join(", "), str::to_owned)
                ));
            }
            if let Some(key) = mount.keys.first() {
                out.push_str(&format!("    key {key}\n"));
            }
        }
        out.push_str(&self.examples());
        out.push_str(&format!(
            "\n  stop with Ctrl-C; watch the log with --set log.level=info --set log.access=true\
             \n  try other values:  --set mount.tmws.access_token_lifetime=10m --set limit.tmws-general.windows=5/min\
             \n  see all of them:   portcullis config show --effective --config {}\n\n",
            self.config.display()
        ));
        out
    }

    /// Three lines to paste, one for each way it may end.
    fn examples(&self) -> String {
        let tmws = self.mounts.iter().find(|mount| mount.played.mount == "tmws");
        let Some((url, [key, small, ..])) =
            tmws.and_then(|mount| mount.urls.first().zip(Some(mount.keys.as_slice())))
        else {
            return String::new();
        };
        let status = "curl -s -o /dev/null -w '%{http_code}\\n'";
        let last = SMALL_LIMIT + 1;
        format!(
            "\n  try it\n\
             \n    # 200: a key that may read\
             \n    {status} -H 'X-API-Key: {key}' {url}/api/v1/tasks\
             \n    # 401: no credential\
             \n    {status} {url}/api/v1/tasks\
             \n    # 429 in the end: one request more than this key has in an hour\
             \n    {status} -H 'X-API-Key: {small}' '{url}/api/v1/tasks?n=[1-{last}]'\n"
        )
    }
}

/// The base URLs of a place. A host that is no address stands where the client would write it.
fn urls(place: &Place, listeners: &[ListenerSettings]) -> Vec<String> {
    let Some(listener) = listeners.iter().find(|found| found.name == place.listener) else {
        return Vec::new();
    };
    let (address, prefix) = (listener.address, &place.prefix);
    if place.hosts.is_empty() {
        return vec![format!("http://{address}{prefix}")];
    }
    let port = address.port();
    place.hosts.iter().map(|host| format!("http://{host}:{port}{prefix}")).collect()
}
