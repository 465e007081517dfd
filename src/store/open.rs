//! Opening: folder, file, lock, connections, migrations.

use std::{path::Path, time::Duration};

use super::{CallHook, Store, StoreError};

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Bound of a call, and of waiting for a connection.
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

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Opens the store in the file `path` (made with its folder if missing), takes its lock, and migrates it.
    pub async fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// Whether no process has the store `path` open.
    pub fn lock_is_free(path: &Path) -> bool {
        unimplemented!()
    }

    /// Closes the connections and gives the lock back once the last clone is gone.
    pub async fn close(&self) {
        unimplemented!()
    }
}
