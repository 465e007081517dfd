//! What a login remembers while the browser is away. It travels sealed in a cookie of that browser: a flood of logins that are
//! begun costs nothing here, and no other browser can end them. Each is good once.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::OidcFault;
use crate::{
    identity::{Identity, IdentityError, MountSettings},
    model::{Digest, SecretString, Timestamp, opaque, secret::ExposeSecret},
    store::{CodeRecord, StoreError},
};

/// How long somebody may be at the provider.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
/// Longest cookie that is looked at.
const LONGEST: usize = 4096;
const INVALID: IdentityError = IdentityError::Oidc(OidcFault::State);

/// A login under way.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    state: String,
    pub(super) nonce: String,
    verifier: String,
    pub(super) return_to: String,
    /// The provider that was asked: the answer of another is none (RFC 9700 section 4.4).
    pub(super) issuer: String,
    began: i64,
}

impl Flow {
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn verifier(&self) -> SecretString {
        self.verifier.as_str().into()
    }
}

impl Identity {
    pub(super) fn new_flow(&self, issuer: &str, return_to: &str) -> Result<Flow, IdentityError> {
        let secret = || Ok::<_, IdentityError>(self.secret()?.0.expose_secret().to_owned());
        Ok(Flow {
            state: secret()?,
            nonce: secret()?,
            verifier: secret()?,
            return_to: return_to.to_owned(),
            issuer: issuer.to_owned(),
            began: self.now().millis(),
        })
    }

    pub(super) fn sealed_flow(
        &self,
        mount: &MountSettings,
        flow: &Flow,
    ) -> Result<SecretString, IdentityError> {
        let plain = serde_json::to_vec(flow).map_err(|_| IdentityError::Internal)?;
        let (keyring, random) = (&self.inner.keyring, &*self.inner.random);
        let sealed = keyring.seal(&purpose(mount), &plain, random)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed).into())
    }

    /// Opens what a browser brought, holds it against the state that came back, and uses it up, whatever comes of it.
    pub(super) async fn take_flow(
        &self,
        mount: &MountSettings,
        state: Option<&SecretString>,
        brought: Option<&SecretString>,
    ) -> Result<Flow, IdentityError> {
        let state = state.and_then(|text| opaque::digest(text.expose_secret())).ok_or(INVALID)?;
        let sealed = brought.map(ExposeSecret::expose_secret).ok_or(INVALID)?;
        if sealed.len() > LONGEST {
            return Err(INVALID);
        }
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| INVALID)?;
        let plain = self.inner.keyring.try_open(&purpose(mount), &sealed).map_err(|_| INVALID)?;
        let flow: Flow = serde_json::from_slice(&plain).map_err(|_| INVALID)?;
        let (now, began) = (self.now(), Timestamp(flow.began));
        // Digests compare in constant time.
        if Digest::of(flow.state.as_bytes()) != state || now >= began + PATIENCE || now < began {
            return Err(INVALID);
        }
        let spent = CodeRecord {
            realm: mount.realm.clone(),
            purpose: format!("oidc-state:{}", mount.name),
            digest: state,
            account: None,
            payload: serde_json::json!({}),
            created_at: now,
            expires_at: began + PATIENCE,
        };
        match self.inner.store.insert_code(&spent, &[]).await {
            Err(StoreError::Conflict { .. }) => Err(INVALID),
            other => Ok(other.map(|()| flow)?),
        }
    }
}

fn purpose(mount: &MountSettings) -> String {
    format!("oidc-flow:{}", mount.name)
}
