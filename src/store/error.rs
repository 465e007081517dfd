//! What can go wrong at the store. No variant carries SQL, data or paths, so any of them may be logged or mapped freely.

use sqlx::migrate::MigrateError;

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
        matches!(self, Self::Unavailable | Self::Schema | Self::Corrupt | Self::Internal)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let kind = classify(&error);
        // SQLite's texts name tables and columns, never values; they belong in the log and nowhere else.
        if kind.is_trouble() {
            tracing::warn!(event = "store_error", kind = %kind, cause = %error);
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
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt,
        sqlx::Error::Database(cause) if cause.is_unique_violation() => {
            StoreError::Conflict { field: unique_field(cause.message()) }
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

/// Which of our fields a unique index guards, from SQLite's `UNIQUE constraint failed: account.realm, account.username_key`.
fn unique_field(message: &str) -> &'static str {
    if message.contains("username_key") {
        "username"
    } else if message.contains("email_key") {
        "email"
    } else {
        "id"
    }
}
