//! Backup while running, and restore of a file.

use std::path::Path;

use super::{Store, StoreError};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Copies the store, as of one moment, to a new file (0600) while it goes on working.
    /// [`StoreError::Conflict`] with field `file` if `to` exists.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Puts the backup `from` in the place of the store `to`, which must be open nowhere. The old store stays untouched
    /// unless the backup is sound.
    pub async fn restore(from: &Path, to: &Path) -> Result<(), StoreError> {
        unimplemented!()
    }
}
