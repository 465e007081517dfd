//! SQLite: how its files are made, and how each connection to one is set up.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, any::AnyConnectOptions, migrate::Migrator,
};

use super::{Connection, Pool, StoreError, open};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/schema/sqlite");

/// Page cache of the writing connection in KiB; a reading one has half of it.
pub(super) const CACHE_KIB: u32 = 2048;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The one that writes.
    Writing,
    /// One beside it. A wall: whatever strays here cannot write.
    Reading,
    /// A look at a file that is no store of ours yet: nothing about it is changed.
    Looking,
}

/// The pool of one writer, or of some readers.
pub(super) async fn pool(
    path: &Path,
    size: u32,
    what_for: Use,
    options: &open::Options,
) -> Result<Pool, StoreError> {
    Ok(open::pool_options(size, options)
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(set_up(connection, what_for)))
        // A full disk makes SQLite roll back by itself, which the driver does not notice: it would count that transaction
        // as open for ever, and no other could begin. Such a connection is replaced.
        .before_acquire(|connection, _| {
            let usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(usable) })
        })
        .connect_with(address(path)?)
        .await?)
}

/// A connection outside of the pools.
pub(super) async fn connect(path: &Path, what_for: Use) -> Result<Connection, StoreError> {
    let mut connection = address(path)?.connect().await?;
    set_up(&mut connection, what_for).await?;
    Ok(connection)
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

/// The file as the driver wants it. Every byte that could mean something in an address is escaped, slashes too: otherwise
/// `..` would be taken out of the path before the system could follow links.
fn address(path: &Path) -> Result<AnyConnectOptions, StoreError> {
    sqlx::any::install_default_drivers();
    let mut url = String::from("sqlite:");
    for byte in path.to_str().ok_or(StoreError::Unwritable)?.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url.push_str("?mode=rw");
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

async fn set_up(connection: &mut Connection, what_for: Use) -> Result<(), sqlx::Error> {
    let cache = match what_for {
        Use::Looking => return Ok(()),
        Use::Writing => CACHE_KIB,
        Use::Reading => CACHE_KIB / 2,
    };
    // In WAL mode only FULL syncs every commit; NORMAL may lose acknowledged ones at a power cut.
    let mut pragmas = format!(
        "PRAGMA busy_timeout = 1000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -{cache};"
    );
    if what_for == Use::Reading {
        pragmas.push_str("PRAGMA query_only = ON;");
    }
    // Nothing in it comes from outside.
    sqlx::raw_sql(AssertSqlSafe(pragmas)).execute(connection).await?;
    Ok(())
}
