//! Signing keys and named secrets, all encrypted before they come here.

use super::{AuditRecord, Ciphertext, SigningKeyRecord, Store, StoreError};
use crate::model::{MountName, Timestamp};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Keys that still verify, newest first; of all mounts without one.
    pub async fn signing_keys(
        &self,
        mount: Option<&MountName>,
        now: Timestamp,
    ) -> Result<Vec<SigningKeyRecord>, StoreError> {
        unimplemented!()
    }

    /// The key that signs for this mount and algorithm: `new` if there was none. Gives the winner back; `audit` is
    /// written only when `new` is it.
    pub async fn ensure_signing_key(
        &self,
        new: &SigningKeyRecord,
        audit: &[AuditRecord],
    ) -> Result<SigningKeyRecord, StoreError> {
        unimplemented!()
    }

    /// Makes `new` the signing key of its mount; all others retire now and verify until `others_until`.
    pub async fn rotate_signing_key(
        &self,
        new: &SigningKeyRecord,
        others_until: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// A named secret: `new` if there was none. Gives the winner back.
    pub async fn ensure_secret(
        &self,
        name: &str,
        new: &Ciphertext,
        now: Timestamp,
    ) -> Result<Ciphertext, StoreError> {
        unimplemented!()
    }
}
