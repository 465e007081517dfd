//! Storage: every SQL statement of the product, and nothing else. Acknowledged means durable.
//!
//! The verbs are methods of [`Store`], grouped by file. A mutating verb takes the [`AuditRecord`]s that tell of it and
//! writes them in the same transaction. There is no rule here that a contract could change: the store compares, counts
//! and keeps; identity decides. It never sees a plain password, token or key.
//!
//! A file is one process's: a lock file next to it says so. Writes go through one connection, one after another
//! (`BEGIN IMMEDIATE`, synced to disk before they are acknowledged); reads use a small pool beside it. A database of
//! PostgreSQL is shared by nodes, whose writes go one after another as well (`postgres.rs`).

mod access;
mod account_changes;
mod account_list;
mod account_update;
mod accounts;
mod agents;
mod allow;
mod audit;
mod audit_pages;
mod backup;
mod chain;
mod changes;
mod client_sessions;
mod clients;
mod codes;
mod copy;
mod deliveries;
mod error;
mod failures;
mod foreign;
mod foreign_sessions;
mod issued;
mod keyring;
mod keys;
mod leases;
mod listen;
mod live_tokens;
mod lock;
mod meta;
mod migrations;
mod oidc;
mod open;
mod organisations;
mod outbox;
mod permissions;
mod postgres;
mod records;
mod refresh;
mod revocations;
mod rows;
mod second_factor;
mod sessions;
mod sqlite;
mod sweep;
mod teams;
mod used;
mod webhooks;
mod within;

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use accounts::fold_name;
pub use copy::Copied;
pub use error::StoreError;
pub use listen::Announcements;
pub use migrations::SchemaState;
pub use open::Options;
pub use organisations::OWNER;
pub use postgres::Postgres;
pub use records::*;
pub use sweep::Swept;

use lock::StoreLock;
use tokio::sync::Notify;

/// Whichever engine a connection was made to; the SQL keeps to what SQLite and PostgreSQL share, save in the files that
/// carry the name of one, in `backup` and here.
type Db = sqlx::Any;
type Pool = sqlx::Pool<Db>;
type Connection = <Db as sqlx::Database>::Connection;
type Transaction = sqlx::Transaction<'static, Db>;
type Row = <Db as sqlx::Database>::Row;

/// Takes the write lock at once, so that a transaction never fails half-way because another one was faster.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// Bound of the few calls that work through many rows.
const LONG_CALL: Duration = Duration::from_secs(60);

/// Told of every call: operation, whether the store did its work, and how long it took.
pub type CallHook = Arc<dyn Fn(&'static str, bool, Duration) + Send + Sync>;

/// The open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Where the data is.
enum Engine {
    /// A file of ours, and the lock next to it.
    Sqlite { path: PathBuf, lock: Mutex<Option<StoreLock>> },
    /// A database that other nodes may share, and the way to it.
    Postgres(postgres::Door),
}

struct Inner {
    engine: Engine,
    node: String,
    writer: Pool,
    readers: Pool,
    call_timeout: Duration,
    on_call: Option<CallHook>,
    /// New names among failed logins since the last look at that table's size.
    new_failures: AtomicU32,
    /// Writes that were begun in a database that others may share, and who wants to know that one has ended.
    writes: AtomicU64,
    wrote: Arc<Notify>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("node", &self.inner.node).finish_non_exhaustive()
    }
}

impl Store {
    /// Runs one verb: bounded in time, and told to the hook.
    async fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.bounded_by(self.inner.call_timeout, operation, work).await
    }

    /// As [`Store::bounded`], for verbs that work through many rows.
    async fn bounded_by<T>(
        &self,
        limit: Duration,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (started, writes) = (Instant::now(), self.inner.writes.load(Ordering::Relaxed));
        let result =
            tokio::time::timeout(limit, work).await.unwrap_or(Err(StoreError::Unavailable));
        // Whatever became of it: a commit may have been made whose answer came too late.
        if self.inner.writes.load(Ordering::Relaxed) != writes {
            self.inner.wrote.notify_one();
        }
        if let Some(hook) = &self.inner.on_call {
            let ok = !result.as_ref().is_err_and(|error| error.is_trouble());
            hook(operation, ok, started.elapsed());
        }
        result
    }

    /// Starts a write. Dropped without a commit it is rolled back.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        match self.inner.engine {
            Engine::Sqlite { .. } => Ok(self.inner.writer.begin_with(BEGIN_WRITE).await?),
            Engine::Postgres(_) => {
                self.inner.writes.fetch_add(1, Ordering::Relaxed);
                postgres::begin(&self.inner.writer).await
            }
        }
    }

    /// Whether other processes may have it open too.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.engine, Engine::Postgres(_))
    }

    /// How a reading transaction begins that sees one moment, however long it takes.
    fn begin_snapshot(&self) -> &'static str {
        match self.inner.engine {
            Engine::Sqlite { .. } => "BEGIN",
            Engine::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    fn readers(&self) -> &Pool {
        &self.inner.readers
    }

    /// Writes audit events into a running transaction.
    async fn record(&self, tx: &mut Connection, audit: &[AuditRecord]) -> Result<(), StoreError> {
        chain::append(tx, &self.inner.node, audit).await
    }

    /// Ends a write with the audit events that tell of it: both are durable, or neither.
    async fn commit(&self, mut tx: Transaction, audit: &[AuditRecord]) -> Result<(), StoreError> {
        self.record(&mut tx, audit).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests;
