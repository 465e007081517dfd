//! Opening: lock, connections, migrations.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64},
    },
    time::Duration,
};

use sqlx::{Connection as _, pool::PoolOptions};

use super::{
    CallHook, Db, Engine, Inner, Postgres, Store, StoreError,
    lock::StoreLock,
    meta, migrations,
    postgres::{self, Door},
    sqlite::{self, Use},
};

/// How long a connection may take to be made: at the start SQLite reads the log of a crash, and the disk may be busy. A
/// gateway that gave up after a call's time would find the same log at its next try. Calls are bounded by themselves.
const OPENING: Duration = Duration::from_secs(30);

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Bound of a call, waiting for a connection included.
    pub call_timeout: Duration,
    /// Connections for reading.
    pub readers: u32,
    /// Told of every call.
    pub on_call: Option<CallHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(1), readers: 4, on_call: None }
    }
}

#[cfg(test)]
impl Options {
    /// For tests that are not about time: a busy machine must not make them fail.
    pub(crate) fn patient() -> Self {
        Self { call_timeout: Duration::from_secs(30), ..Self::default() }
    }
}

impl Store {
    /// Opens the store in the file `path` (made with its folder if missing), takes its lock, and migrates it.
    pub async fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        sqlite::make_folder(&sqlite::folder_of(path))?;
        let lock = StoreLock::take(path).await?;
        sqlite::make_file(path)?;
        // Not from a pool, which would try for long what cannot be set up.
        let mut connection = sqlite::connect(path, Use::Writing).await?;
        sqlite::migrate(&mut connection).await?;
        let node = meta::ensure_node(&mut connection).await?;
        let writer = sqlite::pool(path, 1, Use::Writing, &options).await?;
        connection.close().await?;
        let readers = sqlite::pool(path, options.readers.max(1), Use::Reading, &options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: Engine::Sqlite { path: path.to_owned(), lock: Mutex::new(Some(lock)) },
                node,
                writer,
                readers,
                call_timeout: options.call_timeout,
                on_call: options.on_call,
                new_failures: AtomicU32::new(0),
                writes: AtomicU64::new(0),
                wrote: Arc::default(),
            }),
        })
    }

    /// Opens the store in a database, and takes the node's name there. An empty database is given its schema; another one
    /// must have the schema of this version.
    pub async fn connect(at: &Postgres, options: Options) -> Result<Self, StoreError> {
        let door = Door::new(at.clone(), options.call_timeout);
        let mut first = door.connect(postgres::Use::Tending).await?;
        migrations::prepare(&mut first).await?;
        door.check_name(&mut first).await?;
        first.close().await?;
        let writer = door.pool(1, postgres::Use::Writing, &options).await?;
        let readers = door.pool(options.readers.max(1), postgres::Use::Reading, &options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                node: door.node().to_owned(),
                engine: Engine::Postgres(door),
                writer,
                readers,
                call_timeout: options.call_timeout,
                on_call: options.on_call,
                new_failures: AtomicU32::new(0),
                writes: AtomicU64::new(0),
                wrote: Arc::default(),
            }),
        })
    }

    /// Whether no process has the store `path` open.
    pub fn lock_is_free(path: &Path) -> bool {
        StoreLock::is_free(path)
    }

    /// Waits for running calls, closes the connections and gives the lock back. Later calls are refused as unavailable.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
        if let Engine::Sqlite { lock, .. } = &self.inner.engine {
            lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// What the pools of both engines have in common.
pub(super) fn pool_options(size: u32, options: &Options) -> PoolOptions<Db> {
    PoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(OPENING.max(options.call_timeout))
        .max_lifetime(None)
        .idle_timeout(None)
}
