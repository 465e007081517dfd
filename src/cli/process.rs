//! `store …`, `config show`, `reload`, `status`.

use std::{
    io::{self, Write},
    path::Path,
};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{GatewayArgs, OutputArg, StoreCommand},
    database::{self, Wanted},
    door::{Content, Door, read, same_owner, store_file, whereabouts},
    show,
};
use crate::store::{Store, StoreError};

pub(super) fn store(command: StoreCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        StoreCommand::Backup { file } => {
            // The gateway's working folder is not the operator's.
            let path = std::path::absolute(&file)?;
            let body = Content::Json(json!({ "path": path }));
            Door::open(at)?.json(Method::POST, "/v1/store/backup", body)?;
            show::line(&format!("store copied to {}", path.display()))?;
            show::line(
                "keep the master key with it, at another place: the backup cannot be read without it",
            )
        }
        StoreCommand::Restore { file } => restore(&file, at),
        StoreCommand::Copy { from, to, credential } => {
            let wanted = Wanted { from, to, credential };
            database::copy(&wanted, at)
        }
    }
}

fn restore(file: &Path, at: &GatewayArgs) -> Result<(), Failure> {
    if Door::running(at)?.is_some() {
        return Err(Failure::Failed("the gateway is running: stop it before a restore".into()));
    }
    let config = whereabouts(at)?;
    if let Some(database) = config.boot().database {
        return Err(Failure::Failed(format!(
            "the store is the database {}: restore it with pg_restore",
            database.at.place()
        )));
    }
    same_owner(&config.boot().data_dir)?;
    let to = store_file(&config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(Store::restore(file, &to));
    done.map_err(|error| {
        let why = match error {
            StoreError::NotFound => "there is no such file".to_owned(),
            StoreError::Locked => "another process has the store open: stop it first".to_owned(),
            other => format!("{other}; the store is unchanged"),
        };
        Failure::Failed(format!("{}: {why}", file.display()))
    })?;
    show::line(&format!("{} is now the store {}", file.display(), to.display()))
}

pub(super) fn show_config(effective: bool, at: &GatewayArgs) -> Result<(), Failure> {
    let text = if !effective {
        std::fs::read(&at.config)
            .map_err(|error| Failure::Failed(format!("{}: {error}", at.config.display())))?
    } else if let Some(door) = Door::running(at)? {
        door.call(Method::GET, "/v1/config/effective", Content::Nothing)?
    } else {
        read(at)?.effective.into_bytes()
    };
    Ok(io::stdout().write_all(&text)?)
}

pub(super) fn reload(at: &GatewayArgs) -> Result<(), Failure> {
    let answer = running(at)?.json(Method::POST, "/v1/reload", Content::Nothing)?;
    let hash = answer.get("config_hash").and_then(Value::as_str).unwrap_or_default();
    show::line(&format!("reloaded: {hash}"))
}

pub(super) fn status(at: &GatewayArgs, output: OutputArg) -> Result<(), Failure> {
    let answer = running(at)?.json(Method::GET, "/v1/status", Content::Nothing)?;
    if output.is_json() {
        return show::json(&answer);
    }
    for (key, value) in answer.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        show::line(&format!("{key:16} {text}"))?;
    }
    Ok(())
}

pub(super) fn shadow(at: &GatewayArgs, output: OutputArg) -> Result<(), Failure> {
    let answer = running(at)?.json(Method::GET, "/v1/shadow", Content::Nothing)?;
    if output.is_json() {
        return show::json(&answer);
    }
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return show::line("nothing is in shadow mode");
    }
    let since = rows.iter().find_map(|row| row.get("since")).and_then(Value::as_str);
    show::line(&format!("counted since {}", since.unwrap_or_default()))?;
    let columns = [
        ("MOUNT", "mount"),
        ("ROUTE", "route"),
        ("RULE", "rule"),
        ("REASON", "reason"),
        ("WOULD REFUSE", "count"),
        ("UNDETERMINED", "undetermined"),
        ("CALLERS", "callers"),
        ("FIRST", "first"),
        ("LAST", "last"),
        ("SAMPLES", "samples"),
    ];
    show::table(rows, &columns)
}

fn running(at: &GatewayArgs) -> Result<Door, Failure> {
    Door::running(at)?.ok_or_else(|| Failure::Unreachable("no gateway is running here".into()))
}
