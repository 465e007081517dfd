//! Facts about the store itself.

use super::{Store, StoreError};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// This store's node id, made once.
    pub fn node(&self) -> &str {
        unimplemented!()
    }

    /// Whether it was marked as a demo's.
    pub async fn is_demo(&self) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Marks it as a demo's, for good.
    pub async fn mark_demo(&self) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Whether reads and writes work now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
}
