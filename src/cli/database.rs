//! `migrate`: the tables of a database, brought to this version.

use super::{Failure, arguments::ConfigArgs, show};
use crate::{
    config::{self, Machine},
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

fn database(at: &ConfigArgs) -> Result<Option<Postgres>, Failure> {
    let config = config::load(&at.config, &at.set, &Machine)
        .map_err(|report| Failure::Failed(report.to_string()))?;
    let boot = config.boot();
    crate::pipeline::jwt::install_crypto_provider();
    Ok(boot.database.map(|database| database.at))
}
