//! What other parts of the gateway keep in the store, sealed: nobody without the master key can read or change it.

use super::{Ciphertext, Identity, IdentityError};

impl Identity {
    /// What was last kept under this name. `Err` also where somebody else changed it.
    pub async fn kept_secret(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        let Some(sealed) = self.inner.store.secret(name).await? else { return Ok(None) };
        self.inner.keyring.open(name, &sealed.0).map(Some)
    }

    /// Keeps something under this name in the place of what was there.
    pub async fn keep_secret(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let inner = &self.inner;
        let sealed = Ciphertext(inner.keyring.seal(name, content, &*inner.random)?);
        Ok(inner.store.replace_secret(name, &sealed, inner.clock.now()).await?)
    }
}
