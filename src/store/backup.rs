//! Backup while running, and restore of a file. Both leave either the old state or the new one, never a mixture.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::Connection as _;

use super::{
    Connection, Engine, Store, StoreError,
    lock::StoreLock,
    sqlite::{self, Use, folder_of, make_folder, sync_folder},
};

/// A copy of a large store takes its time.
const COPY_LIMIT: Duration = Duration::from_secs(600);

impl Store {
    /// Copies the store, as of one moment, to a new file (0600) while it goes on working.
    /// [`StoreError::Elsewhere`] for a database on a server, [`StoreError::Conflict`] with field `file` if `to` exists, [`StoreError::Unwritable`] if nothing can be made there.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.bounded_by(COPY_LIMIT, "backup", async {
            let Engine::Sqlite { path, .. } = &self.inner.engine else {
                return Err(StoreError::Elsewhere);
            };
            if to.try_exists()? {
                return Err(StoreError::Conflict { field: "file" });
            }
            let part = Partial::new(to).map_err(|_| StoreError::Unwritable)?;
            // A connection of its own: the copy is one long read and must not occupy a reader.
            let mut connection = sqlite::connect(path, Use::Writing).await?;
            sqlx::query("VACUUM INTO $1").bind(part.text()?).execute(&mut connection).await?;
            connection.close().await?;
            part.publish_new(to)
        })
        .await
    }

    /// Puts the backup `from` in the place of the store `to`, which must be open nowhere. The old store stays untouched
    /// unless the backup is sound and of a version that we can read.
    pub async fn restore(from: &Path, to: &Path) -> Result<(), StoreError> {
        if !from.try_exists()? {
            return Err(StoreError::NotFound);
        }
        make_folder(&folder_of(to))?;
        let _lock = StoreLock::take(to).await?;
        let part = Partial::new(to)?;
        part.fill(from)?;
        check(&part.path).await?;
        settle(to).await;
        part.replace(to)
    }
}

/// A file in the making, next to where it belongs; removed unless it got there.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn new(target: &Path) -> Result<Self, StoreError> {
        let name = target.file_name().ok_or(StoreError::NotFound)?.to_string_lossy();
        let part = Self { path: target.with_file_name(format!(".{name}.part")) };
        part.remove();
        // New, not merely opened: a file that somebody else put there keeps its owner and its mode.
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part.path)?;
        Ok(part)
    }

    /// Takes the content of a file over, but not its mode.
    fn fill(&self, from: &Path) -> Result<(), StoreError> {
        let mut out = OpenOptions::new().write(true).truncate(true).open(&self.path)?;
        io::copy(&mut File::open(from)?, &mut out)?;
        Ok(())
    }

    fn text(&self) -> Result<&str, StoreError> {
        self.path.to_str().ok_or(StoreError::NotFound)
    }

    /// Gives the finished file its name, if that is free.
    fn publish_new(self, target: &Path) -> Result<(), StoreError> {
        File::open(&self.path)?.sync_all()?;
        // A hard link, because a rename would overwrite what came there meanwhile.
        fs::hard_link(&self.path, target).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => StoreError::Conflict { field: "file" },
            _ => error.into(),
        })?;
        self.remove();
        sync_folder(&folder_of(target))
    }

    /// Gives the finished file its name, in the place of what is there.
    fn replace(self, target: &Path) -> Result<(), StoreError> {
        File::open(&self.path)?.sync_all()?;
        // A left-over log would be played into the new file: it goes first, and durably.
        for suffix in ["-wal", "-shm"] {
            remove_if_there(&sibling(target, suffix))?;
        }
        sync_folder(&folder_of(target))?;
        fs::rename(&self.path, target)?;
        sync_folder(&folder_of(target))
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // Nothing depends on it: a part that stays is overwritten by the next one.
            let _ = fs::remove_file(sibling(&self.path, suffix));
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a file is a sound store that we can read; migrates it, so that the restored store opens at once.
async fn check(path: &Path) -> Result<(), StoreError> {
    let mut connection = sqlite::connect(path, Use::Looking).await?;
    let verdict = sound(&mut connection).await;
    // Closing writes back what the migration left in a log.
    connection.close().await?;
    verdict
}

async fn sound(connection: &mut Connection) -> Result<(), StoreError> {
    let integrity: String =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *connection).await?;
    if integrity != "ok" {
        return Err(StoreError::Corrupt);
    }
    let ours: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('meta', 'audit_head')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if ours != 2 {
        return Err(StoreError::Schema);
    }
    sqlite::migrate(connection).await
}

/// Folds the old store's log into its file, so that it is whole without the log until the very rename.
async fn settle(path: &Path) {
    if path.exists()
        && let Ok(connection) = sqlite::connect(path, Use::Writing).await
    {
        // A damaged old store is no reason against the backup that is to replace it.
        let _ = connection.close().await;
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
