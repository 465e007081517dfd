//! What can go wrong at the store. No variant carries SQL, data or paths, so any of them may be logged or mapped freely.

use std::fmt;

use sqlx::{migrate::MigrateError, postgres::PgDatabaseError};

/// Everything a verb may answer instead of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer in time, the disk is full, or it is shut. Undetermined, never a refusal: 503.
    #[error("the store is unavailable")]
    Unavailable,
    /// The value of this field is taken (`username`, `email`, `id`, `name`, `file`).
    #[error("already taken: {field}")]
    Conflict {
        /// Which field.
        field: &'static str,
    },
    /// No such row.
    #[error("not found")]
    NotFound,
    /// The row is not (any more) what the caller had read: disabled, changed or ended meanwhile. Read again.
    #[error("changed meanwhile")]
    Changed,
    /// The code was taken before, or there is none like it.
    #[error("the code is spent")]
    Spent,
    /// There are as many of these as there may be.
    #[error("as many as there may be")]
    Full,
    /// The file of a backup cannot be made: no such folder, or no right to write there.
    #[error("the file cannot be written")]
    Unwritable,
    /// Another process has the store open.
    #[error("the store is open in another process")]
    Locked,
    /// A running node has this node's name.
    #[error("another running node has this name: name this one otherwise, [fleet] node")]
    NodeTaken,
    /// The database has a schema of an older version.
    #[error("the database has the schema of an older version: run `portcullis migrate`")]
    Older,
    /// The database has a schema of a newer version.
    #[error("the database has the schema of a newer version: start that version")]
    Newer,
    /// What only a file can do.
    #[error("a database on a server has its own tools for that")]
    Elsewhere,
    /// The file is no store of ours, or one that a newer version has migrated.
    #[error("the file is no store that this version can read")]
    Schema,
    /// The file is damaged, or a row does not decode.
    #[error("the store is damaged")]
    Corrupt,
    /// A statement failed in a way that only a bug of ours explains.
    #[error("the store failed internally")]
    Internal,
}

impl StoreError {
    /// Whether the store itself is in trouble, as opposed to having answered something unwelcome.
    pub const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Unavailable
                | Self::Schema
                | Self::Older
                | Self::Newer
                | Self::Corrupt
                | Self::Internal
        )
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let kind = classify(&error);
        if kind.is_trouble() {
            tracing::warn!(event = "store_error", kind = %kind, cause = %Cause(&error));
        }
        kind
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        tracing::warn!(event = "store_error", kind = "io", cause = %error);
        Self::Unavailable
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        tracing::error!(event = "store_error", kind = "migration", cause = %error);
        match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => {
                match classify(&cause) {
                    kind @ (Self::Unavailable | Self::Corrupt) => kind,
                    _ => Self::Schema,
                }
            }
            _ => Self::Schema,
        }
    }
}

fn classify(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::RowNotFound => StoreError::NotFound,
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt,
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::Conflict {
            field: unique_field(cause.constraint().unwrap_or(cause.message())),
        },
        sqlx::Error::Database(cause) if is_postgres(cause.as_ref()) => {
            of_sqlstate(&cause.code().unwrap_or_default())
        }
        sqlx::Error::Database(cause) => {
            // The primary result code is the low byte of SQLite's extended code.
            let code = cause.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(1) & 0xff;
            match code {
                // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
                5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => StoreError::Unavailable,
                // CORRUPT, NOTADB
                11 | 26 => StoreError::Corrupt,
                _ => StoreError::Internal,
            }
        }
        _ => StoreError::Internal,
    }
}

/// What a code of PostgreSQL means (appendix A of its manual).
fn of_sqlstate(code: &str) -> StoreError {
    match (code.get(..2).unwrap_or_default(), code) {
        // No such table or column: another schema than ours.
        (_, "42P01" | "42703") => StoreError::Schema,
        // Damaged data or index.
        ("XX", "XX001" | "XX002") => StoreError::Corrupt,
        // Connections; who may and where (as set up on the server); no resources, shut down, cancelled, in nobody's hands; a
        // lock that did not come, a deadlock; a transaction that the server ended, or that a copy refuses to write.
        ("08" | "28" | "3D" | "53" | "55" | "57" | "58" | "40", _) => StoreError::Unavailable,
        (_, "25006" | "25P02" | "25P03" | "42501") => StoreError::Unavailable,
        _ => StoreError::Internal,
    }
}

fn is_postgres(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<PgDatabaseError>().is_some()
}

/// What a log may be told. SQLite's texts name tables and columns, never values; PostgreSQL's may quote data where it is
/// the data that is wrong.
struct Cause<'a>(&'a sqlx::Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            sqlx::Error::Database(cause) if is_postgres(cause.as_ref()) => {
                let code = cause.code().unwrap_or_default();
                write!(f, "SQLSTATE {code}")?;
                match code.get(..2) {
                    Some("22" | "23") | None => Ok(()),
                    Some(_) => write!(f, ": {}", cause.message()),
                }
            }
            // The address of a database may be in it.
            sqlx::Error::Configuration(_) => f.write_str("the settings of the connection"),
            other => write!(f, "{other}"),
        }
    }
}

/// Which of our fields a unique index guards, from SQLite's `UNIQUE constraint failed: account.realm, account.username_key`
/// or the name of PostgreSQL's index.
fn unique_field(message: &str) -> &'static str {
    if message.contains("username_key") || message == "account_username" {
        "username"
    } else if message.contains("email_key") || message == "account_email" {
        "email"
    } else {
        "id"
    }
}
