//! The lock file: one process per store. The kernel frees it when the process dies, however it dies, so nothing stale
//! can stand in the way of the next start.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::StoreError;

const FILE_NAME: &str = "store.lock";
/// A command that only looks whether the lock is free holds it for some microseconds; a dying process a little longer.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the lock until dropped.
pub(super) struct StoreLock(#[expect(dead_code, reason = "closing the file frees the lock")] File);

impl StoreLock {
    /// Takes the lock of the store in the file `store`; its folder must exist.
    pub(super) async fn take(store: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock_path(store))?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Ok(Self(file))
    }

    /// Whether nobody holds it. Says nothing about the next moment.
    pub(super) fn is_free(store: &Path) -> bool {
        match File::open(lock_path(store)) {
            // A shared lock, so that two commands looking at once do not see each other.
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

fn lock_path(store: &Path) -> PathBuf {
    store.with_file_name(FILE_NAME)
}
