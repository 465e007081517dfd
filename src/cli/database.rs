//! `migrate`: the tables of a database, brought to this version. `store copy`: a file, copied into one.

use std::{path::PathBuf, time::Duration};

use super::{
    Failure,
    arguments::{ConfigArgs, GatewayArgs},
    door::{read, same_owner, store_file},
    show,
};
use crate::{
    config::{self, Machine, SecretRef},
    store::{Postgres, SchemaState, StoreError},
};

pub(super) fn migrate(check: bool, at: &ConfigArgs) -> Result<(), Failure> {
    let Some(database) = database(at)? else {
        return show::line(
            "the store is a file, which is brought to this version when it is opened",
        );
    };
    let place = database.place();
    let wrong = |error: StoreError| Failure::Failed(format!("{place}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if check {
        let found = runtime.block_on(database.schema_state()).map_err(wrong)?;
        return tell(&place, &found, "to do");
    }
    let found = runtime.block_on(database.migrate()).map_err(wrong)?;
    match found {
        SchemaState::Current => show::line(&format!("{place}: nothing to do")),
        SchemaState::Empty => show::line(&format!("{place}: all tables made")),
        SchemaState::Newer => Err(wrong(StoreError::Newer)),
        SchemaState::Older(steps) => each(&place, &steps, "done"),
    }
}

/// What `--check` says; a failure where there is something to do.
fn tell(place: &str, found: &SchemaState, word: &str) -> Result<(), Failure> {
    match found {
        SchemaState::Current => return show::line(&format!("{place}: nothing to do")),
        SchemaState::Newer => {
            return Err(Failure::Failed(format!("{place}: {}", StoreError::Newer)));
        }
        SchemaState::Empty => show::line(&format!("{place}: {word}: all tables, it is empty"))?,
        SchemaState::Older(steps) => each(place, steps, word)?,
    }
    Err(Failure::Told)
}

fn each(place: &str, steps: &[(i64, String)], word: &str) -> Result<(), Failure> {
    steps.iter().try_for_each(|(number, title)| {
        show::line(&format!("{place}: {word}: step {number}, {title}"))
    })
}

/// What is copied where, as it was typed.
pub(super) struct Wanted {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) credential: Option<String>,
}

pub(super) fn copy(wanted: &Wanted, at: &GatewayArgs) -> Result<(), Failure> {
    let config = read(at)?;
    let from = match &wanted.from {
        Some(text) => {
            let path = text.strip_prefix("sqlite:").ok_or_else(|| {
                Failure::Usage("--from takes sqlite:PATH, the file of a store".into())
            })?;
            PathBuf::from(path)
        }
        None => store_file(&config),
    };
    if let Some(folder) = from.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        same_owner(folder)?;
    }
    let to = target(wanted, config.boot().database.map(|database| database.at))?;
    crate::pipeline::jwt::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let copied = runtime.block_on(to.fill_from(&from)).map_err(|error| {
        let why = match error {
            StoreError::NotFound => "there is no such file".to_owned(),
            StoreError::Locked => "another process has it open: stop the gateway first".to_owned(),
            StoreError::Full => format!("{} is not empty", to.place()),
            StoreError::Corrupt => "what was read back is not what was written".to_owned(),
            other => other.to_string(),
        };
        Failure::Failed(format!("{}: {why}; nothing was copied", from.display()))
    })?;
    for part in copied.iter().filter(|part| part.rows > 0) {
        show::line(&format!("{:18} {}", part.table, part.rows))?;
    }
    show::line(&format!(
        "{} is copied to {}: counts, digests and audit log agree",
        from.display(),
        to.place()
    ))?;
    show::line("give the nodes the same master key; the file is unchanged, keep it until they run")
}

fn target(wanted: &Wanted, configured: Option<Postgres>) -> Result<Postgres, Failure> {
    let password = match &wanted.credential {
        None => None,
        Some(text) => {
            let unusable =
                || Failure::Usage("--credential takes file:PATH, env:NAME or cred:NAME".into());
            let reference = SecretRef::parse(text).ok_or_else(unusable)?;
            let found = reference.resolve(&Machine);
            Some(found.map_err(|fault| Failure::Failed(fault.what.to_string()))?)
        }
    };
    let mut to = match (&wanted.to, configured) {
        (Some(text), configured) => Postgres {
            url: config::database_url(text).map_err(Failure::Usage)?,
            password: configured.and_then(|found| found.password),
            node: "store-copy".to_owned(),
            hold: Duration::from_secs(60),
        },
        (None, Some(configured)) => configured,
        (None, None) => {
            return Err(Failure::Usage(
                "--to says where to, or [store] of the configuration".into(),
            ));
        }
    };
    to.password = password.or(to.password);
    Ok(to)
}

fn database(at: &ConfigArgs) -> Result<Option<Postgres>, Failure> {
    let config = config::load(&at.config, &at.sets(), &Machine)
        .map_err(|report| Failure::Failed(report.to_string()))?;
    let boot = config.boot();
    crate::pipeline::jwt::install_crypto_provider();
    Ok(boot.database.map(|database| database.at))
}
