//! What the demo tells: a welcome for people, or one line of JSON for programs.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    accounts::{ACCOUNTS, MOUNT, SMALL_LIMIT, Seeded},
    token_of,
};
use crate::run::{Gateway, RunError};

/// Everything worth telling.
pub(super) struct Facts {
    dir: PathBuf,
    config: PathBuf,
    operator: Option<SocketAddr>,
    token: String,
    socket: PathBuf,
    realm: String,
    public: String,
    upstream: SocketAddr,
    keys: Seeded,
}

impl Facts {
    pub(super) fn collect(
        gateway: &Gateway,
        dir: &Path,
        upstream: SocketAddr,
        keys: Seeded,
    ) -> Result<Self, RunError> {
        let config = gateway.active();
        let boot = config.boot();
        let mount = config.blueprint.mounts.iter().find(|mount| mount.is.name.as_str() == MOUNT);
        let mount =
            mount.ok_or_else(|| RunError::Demo(format!("there is no mount \"{MOUNT}\"")))?;
        let place = mount.is.places.first();
        let listener = boot
            .edge
            .listeners
            .iter()
            .find(|listener| place.is_none_or(|place| place.listener == listener.name));
        let address = listener.map(|listener| listener.address);
        let address = address.ok_or_else(|| RunError::Demo("no listener".into()))?;
        let prefix = place.map_or("", |place| &*place.prefix);
        Ok(Self {
            dir: dir.to_owned(),
            config: config.file.clone(),
            operator: boot.internal_address,
            token: token_of(&config)?,
            socket: boot.operator_socket,
            realm: mount.is.realm.to_string(),
            public: format!("http://{address}{prefix}"),
            upstream,
            keys,
        })
    }

    /// Exactly one line.
    pub(super) fn json(&self) -> String {
        let whole = json!({
            "ready": true,
            "pid": std::process::id(),
            "dir": self.dir,
            "config": self.config,
            "operator": {
                "url": self.operator.map(|address| format!("http://{address}")),
                "token": self.token,
                "socket": self.socket,
            },
            "mounts": { MOUNT: { "url": self.public, "realm": self.realm } },
            "accounts": { MOUNT: ACCOUNTS },
            "api_keys": { MOUNT: self.keys.key },
            "upstream": { "url": format!("http://{}", self.upstream) },
        });
        format!("{whole}\n")
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { public, keys, .. } = self;
        let mut out = String::from(
            "\n  *** DEMO: the passwords below are published in client documentation. Loopback only. ***\n\
             \x20 *** Never put real data into it; `portcullis serve` refuses its store.            ***\n\n",
        );
        let mut line = |name: &str, value: &str| out.push_str(&format!("  {name:10} {value}\n"));
        line("gateway", public);
        line("upstream", &format!("http://{} (the toy behind it)", self.upstream));
        if let Some(operator) = self.operator {
            line(
                "operator",
                &format!("http://{operator} (token in {}/operator.token)", self.dir.display()),
            );
        }
        line("config", &self.config.display().to_string());
        line("key", &format!("{} (READ, WRITE)", keys.key));
        out.push_str("\n  accounts\n");
        for account in &ACCOUNTS {
            let roles = account.roles.join(", ");
            out.push_str(&format!(
                "    {:8} {:20} {:20} {roles}\n",
                account.username, account.password, account.email
            ));
        }
        let status = "curl -s -o /dev/null -w '%{http_code}\\n'";
        let last = SMALL_LIMIT + 1;
        out.push_str(&format!(
            "\n  try it\n\
             \n    # 200: a key that may read\
             \n    {status} -H 'X-API-Key: {}' {public}/api/v1/tasks\
             \n    # 401: no credential\
             \n    {status} {public}/api/v1/tasks\
             \n    # 429 in the end: one request more than this key has in an hour\
             \n    {status} -H 'X-API-Key: {}' '{public}/api/v1/tasks?n=[1-{last}]'\n\
             \n  stop with Ctrl-C; watch the log with --set log.level=info --set log.access=true\
             \n  try other values:  --set mount.tmws.access_token_lifetime=10m --set limit.tmws-general.windows=5/min\
             \n  see all of them:   portcullis config show --effective --config {}\n\n",
            keys.key,
            keys.small_key,
            self.config.display()
        ));
        out
    }
}
