//! Storage: every SQL statement of the product, and nothing else. Acknowledged means durable.
//!
//! The verbs are methods of [`Store`], grouped by file. A mutating verb takes the [`AuditRecord`]s that tell of it and
//! writes them in the same transaction. There is no rule here that a contract could change: the store compares, counts
//! and keeps; identity decides. It never sees a plain password, token or key.
//!
//! One process owns a store: a lock file next to it says so. Writes go through one connection, one after another
//! (`BEGIN IMMEDIATE`, synced to disk before they are acknowledged); reads use a small pool beside it.

mod accounts;
mod audit;
mod backup;
mod codes;
mod error;
mod failures;
mod keyring;
mod keys;
mod lock;
mod meta;
mod open;
mod records;
mod refresh;
mod revocations;
mod sessions;
mod sweep;

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

pub use accounts::fold_name;
pub use error::StoreError;
pub use open::Options;
pub use records::*;
pub use sweep::Swept;

/// The database engine; the SQL keeps to what SQLite and PostgreSQL share.
type Db = sqlx::Sqlite;
type Pool = sqlx::Pool<Db>;
type Connection = <Db as sqlx::Database>::Connection;
type Row = <Db as sqlx::Database>::Row;

/// Told of every call: operation, whether the store did its work, and how long it took.
pub type CallHook = Arc<dyn Fn(&'static str, bool, Duration) + Send + Sync>;

/// The open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {}
