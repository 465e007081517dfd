//! Key sets of outside issuers, kept sealed in the store, so that a restart finds them.

use async_trait::async_trait;

use crate::{identity::Identity, issuer::Shelf};

/// The shelf in the store.
pub(super) struct KeptSets(pub(super) Identity);

#[async_trait]
impl Shelf for KeptSets {
    async fn get(&self, issuer: &str) -> Option<Vec<u8>> {
        match self.0.kept_secret(&name(issuer)).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(event = "issuer_keys_not_recalled", issuer, %error);
                None
            }
        }
    }

    async fn put(&self, issuer: &str, content: Vec<u8>) {
        if let Err(error) = self.0.keep_secret(&name(issuer), &content).await {
            tracing::warn!(event = "issuer_keys_not_kept", issuer, %error);
        }
    }
}

fn name(issuer: &str) -> String {
    format!("keys of issuer {issuer}")
}
