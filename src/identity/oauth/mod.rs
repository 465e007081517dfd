//! Login through an outside OAuth provider (RFC 6749, RFC 7636, RFC 9700): state, callback, exchange code, session, and
//! the provider's tokens for whoever holds the session.
//!
//! ```text
//! login     begin -> (browser at the provider) -> finish: account, tokens, exchange code
//! sessions  exchange code -> session secret; who that is; logout
//! tokens    session -> the provider's access token, renewed when due, one renewal at a time per person
//! people    allow list, sessions, events: what an administrator sees and ends
//! ```
//!
//! A person is joined to an account by the provider's id alone, never by an address.

mod client;
mod fault;
mod flights;
mod login;
mod outgoing;
mod people;
mod profile;
mod sessions;
mod settings;
mod tokens;
mod types;

pub use fault::ForeignFault;
pub use login::{Callback, LoginStart};
pub use settings::OAuthSettings;
pub use types::{
    Allowed, EventPage, ForeignSessions, MountEvent, OpenedSession, Person, PersonSession,
    ProviderToken, Statistics,
};

pub(super) use login::about;
pub(super) use sessions::session_record;

pub(super) use flights::Flights;
pub(super) use outgoing::Outgoing;

use std::sync::Arc;

use super::{Identity, IdentityError, MountSettings};
use crate::{
    model::{MountName, SecretString, opaque},
    store::{ForeignKey, ForeignSession},
};

impl Identity {
    /// How this mount's people log in; [`IdentityError::NotFound`] where it is not by a provider.
    pub fn oauth(&self, mount: &MountName) -> Result<Arc<OAuthSettings>, IdentityError> {
        Ok(self.provider_of(mount)?.1)
    }

    fn provider_of(
        &self,
        mount: &MountName,
    ) -> Result<(Arc<MountSettings>, Arc<OAuthSettings>), IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let oauth = mount.oauth.clone().ok_or(IdentityError::NotFound)?;
        Ok((mount, oauth))
    }

    /// The live session of this mount behind a secret.
    async fn session_of(
        &self,
        mount: &MountSettings,
        oauth: &OAuthSettings,
        secret: &SecretString,
    ) -> Result<ForeignSession, IdentityError> {
        use crate::model::secret::ExposeSecret;
        const NONE: IdentityError = IdentityError::Foreign(ForeignFault::Session);
        let digest = opaque::digest(secret.expose_secret()).ok_or(NONE)?;
        let found = self.inner.store.foreign_session(&oauth.provider, &digest).await?;
        let found = found.ok_or(NONE)?;
        let session = &found.session;
        let live = session.mount == mount.name
            && session.realm == mount.realm
            && session.ended_at.is_none()
            && session.expires_at > self.now()
            && found.identity.account.enabled();
        if live { Ok(found) } else { Err(NONE) }
    }
}

fn key(mount: &MountSettings, oauth: &OAuthSettings, subject: &str) -> ForeignKey {
    ForeignKey {
        realm: mount.realm.clone(),
        provider: oauth.provider.to_string(),
        subject: subject.to_owned(),
    }
}

/// What a sealed token is for: bound into its ciphertext, so that one person's token cannot be put in another's place.
fn purpose(kind: &str, key: &ForeignKey) -> String {
    format!("{kind}:{}:{}:{}", key.realm, key.provider, key.subject)
}

#[cfg(test)]
mod tests;
