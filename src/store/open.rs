//! Opening: folder, file, lock, connections, migrations. One of the few places that know the engine.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU32},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{CallHook, Connection, Inner, Pool, Store, StoreError, lock::StoreLock, meta};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/schema/sqlite");

/// Page cache of the writing connection in KiB; a reading one has half of it.
const CACHE_KIB: u32 = 2048;

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
        make_folder(&folder_of(path))?;
        let lock = StoreLock::take(path).await?;
        make_file(path)?;
        let writer = pool(1, connect_options(path, CACHE_KIB), &options).await?;
        let node = {
            let mut connection = writer.acquire().await?;
            migrate(&mut connection).await?;
            meta::ensure_node(&mut connection).await?
        };
        // A wall: whatever strays to the readers cannot write.
        let reading = connect_options(path, CACHE_KIB / 2).pragma("query_only", "ON");
        let readers = pool(options.readers.max(1), reading, &options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                node,
                writer,
                readers,
                call_timeout: options.call_timeout,
                on_call: options.on_call,
                new_failures: AtomicU32::new(0),
                lock: Mutex::new(Some(lock)),
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
        self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Brings a database to our schema; refuses a foreign file and one of a newer version.
pub(super) async fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await?;
    let ours = tables.iter().any(|name| name == "_sqlx_migrations");
    if !tables.is_empty() && !ours {
        return Err(StoreError::Schema);
    }
    Ok(MIGRATIONS.run_direct(None, connection, false).await?)
}

/// How every connection to the file is set up.
pub(super) fn connect_options(path: &Path, cache_kib: u32) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode only FULL syncs every commit; NORMAL may lose acknowledged ones at a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(1))
        .pragma("cache_size", format!("-{cache_kib}"))
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

/// The folder a store file lies in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a new file durable: its name too, which is part of the folder.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    Ok(File::open(folder)?.sync_all()?)
}

/// Makes the file, empty and for the owner only, unless it is there.
pub(super) fn make_file(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    sync_folder(&folder_of(path))
}

/// Makes the folder of a store, for the owner only, unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(folder)?)
}

async fn pool(
    size: u32,
    connect: SqliteConnectOptions,
    options: &Options,
) -> Result<Pool, StoreError> {
    Ok(SqlitePoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(OPENING.max(options.call_timeout))
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        // A full disk makes SQLite roll back by itself, which the driver does not notice: it would count that transaction
        // as open for ever, and no other could begin. Such a connection is replaced.
        .before_acquire(|connection, _| {
            let usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(usable) })
        })
        .connect_with(connect)
        .await?)
}
