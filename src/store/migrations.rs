//! Which schema a database of PostgreSQL has, and how it gets the one of this version.
//!
//! A file changes its own schema when it is opened: nobody else has it open. A database is shared by nodes of two versions
//! while they are exchanged, so it changes only by a command, and only in ways that the version before can live with:
//! tables, columns that may be missing or have a default, and indexes are added; nothing is taken away or renamed that the
//! version before reads or writes.

use std::collections::BTreeSet;

use sqlx::{Connection as _, migrate::Migrate as _};

use super::{
    Connection, StoreError,
    postgres::{Door, MIGRATIONS, Postgres, Use},
};

/// How a database's schema stands to that of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Nothing is in it.
    Empty,
    /// The same.
    Current,
    /// Steps that are missing, by number and title, in order.
    Older(Vec<(i64, String)>),
    /// It has steps that this version does not know.
    Newer,
}

impl Postgres {
    /// How the schema stands. Changes nothing.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        let mut connection = self.tending().await?;
        let found = state(&mut connection).await;
        connection.close().await?;
        found
    }

    /// Brings the schema to this version, under a lock: a second one waits and finds nothing to do. Gives how it stood.
    pub async fn migrate(&self) -> Result<SchemaState, StoreError> {
        let mut connection = self.tending().await?;
        let done = migrate(&mut connection).await;
        connection.close().await?;
        done
    }

    async fn tending(&self) -> Result<Connection, StoreError> {
        Door::new(self.clone(), self.hold).connect(Use::Tending).await
    }
}

/// That a node may work on this database: an empty one is given its tables; another one must have those of this version.
pub(super) async fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    // Another node may be just about to fill it: what is not whole is looked at again when nobody changes it.
    if state(connection).await? == SchemaState::Current {
        return Ok(());
    }
    let empty = |found: &SchemaState| *found == SchemaState::Empty;
    match run_if(connection, empty).await? {
        SchemaState::Current | SchemaState::Empty => Ok(()),
        SchemaState::Older(_) => Err(StoreError::Older),
        SchemaState::Newer => Err(StoreError::Newer),
    }
}

async fn migrate(connection: &mut Connection) -> Result<SchemaState, StoreError> {
    let lacking = |found: &SchemaState| matches!(found, SchemaState::Empty | SchemaState::Older(_));
    match run_if(connection, lacking).await? {
        SchemaState::Newer => Err(StoreError::Newer),
        found => Ok(found),
    }
}

/// Runs the missing steps where the schema stands so, and gives how it stood. What is to be done is looked at under the
/// lock under which it is done.
async fn run_if(
    connection: &mut Connection,
    wanted: impl Fn(&SchemaState) -> bool,
) -> Result<SchemaState, StoreError> {
    connection.lock().await?;
    let found = state(connection).await;
    let done = match &found {
        Ok(found) if wanted(found) => MIGRATIONS.run_direct(None, connection, false).await,
        _ => Ok(()),
    };
    connection.unlock().await?;
    done?;
    found
}

/// As [`Postgres::schema_state`]. [`StoreError::Schema`] for a database of somebody else.
pub(super) async fn state(connection: &mut Connection) -> Result<SchemaState, StoreError> {
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(&mut *connection)
        .await?;
    if encoding != "UTF8" {
        tracing::error!(event = "store_encoding", encoding, what = "the database must be UTF8");
        return Err(StoreError::Schema);
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
    )
    .fetch_all(&mut *connection)
    .await?;
    if !tables.iter().any(|name| name == "_sqlx_migrations") {
        return if tables.is_empty() { Ok(SchemaState::Empty) } else { Err(StoreError::Schema) };
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(&mut *connection)
            .await?;
    let applied: BTreeSet<i64> = applied.into_iter().collect();
    if applied.iter().any(|version| !MIGRATIONS.version_exists(*version)) {
        return Ok(SchemaState::Newer);
    }
    let missing: Vec<(i64, String)> = MIGRATIONS
        .iter()
        .filter(|step| !applied.contains(&step.version))
        .map(|step| (step.version, step.description.to_string()))
        .collect();
    Ok(if missing.is_empty() { SchemaState::Current } else { SchemaState::Older(missing) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the version before would stumble over, once nodes of it and of this one run side by side.
    const FORBIDDEN: [&str; 8] = [
        "DROP TABLE",
        "DROP COLUMN",
        "RENAME",
        "ALTER COLUMN",
        "TRUNCATE",
        "DELETE FROM",
        "ADD CONSTRAINT",
        "SET NOT NULL",
    ];

    #[test]
    fn a_step_only_adds() {
        for step in MIGRATIONS.iter().skip(1) {
            let sql: String = step
                .sql
                .as_str()
                .lines()
                .map(|line| line.split("--").next().unwrap_or(""))
                .collect::<Vec<_>>()
                .join("\n");
            let sql = sql.to_uppercase();
            for word in FORBIDDEN {
                assert!(!sql.contains(word), "step {}: {word}", step.version);
            }
            for column in sql.split("ADD COLUMN").skip(1) {
                let column = column.split([';', ',']).next().unwrap_or_default();
                let can_be_missing = !column.contains("NOT NULL") || column.contains("DEFAULT");
                assert!(can_be_missing, "step {}: {column}", step.version);
            }
        }
    }
}
