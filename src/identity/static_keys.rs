//! API keys that the operator writes into the configuration: any text, bound to an account or to a service of its own.
//!
//! They go the way of stored keys: the edge finds the id by the digest of the text, asks for evidence under it, and holds
//! text, addresses and state against that. A reload ages all evidence, so a key that is taken out ends at once.

use std::sync::Arc;

use ipnet::IpNet;

use super::{Identity, IdentityError, MountSettings};
use crate::{
    model::{AuthMethod, Digest, KeyId, Principal, ScopeSet},
    pipeline::KeyEvidence,
    store::AccountStatus,
};

/// Before the name of such a key wherever its id is seen; no stored key has a colon in its id.
const PREFIX: &str = "static:";
/// Before the name of a service wherever an account id is seen; account ids have no colon.
const SERVICE: &str = "service:";

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticKey {
    /// Its public name: `static:NAME`.
    pub id: KeyId,
    /// Of the whole text.
    pub digest: Digest,
    /// Whom it stands for.
    pub holder: Holder,
    /// Narrowing of the holder's roles.
    pub scopes: ScopeSet,
    /// Addresses it may be used from; empty means anywhere.
    pub allowed_ips: Vec<IpNet>,
}

/// Whom a key of the configuration stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An account of the mount's realm, by login name or e-mail: its roles, its state.
    Account(Arc<str>),
    /// A service that has no account.
    Service {
        /// Its name.
        name: Arc<str>,
        /// Its roles.
        roles: Vec<Arc<str>>,
    },
}

impl StaticKey {
    /// The id of the key with this name.
    pub fn id_of(name: &str) -> KeyId {
        format!("{PREFIX}{name}").into()
    }

    /// Whether this id is one of a key of the configuration, of which the store knows nothing.
    pub fn is_static(id: &KeyId) -> bool {
        id.as_str().starts_with(PREFIX)
    }
}

impl Identity {
    /// What is known of a key of the configuration; `None`: there is no such key, or its account is gone.
    pub(super) async fn static_evidence(
        &self,
        mount: &MountSettings,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        let Some(key) = mount.static_keys.iter().find(|key| key.id == *id) else {
            return Ok(None);
        };
        let mut principal = Principal {
            subject: "".into(),
            username: None,
            email: None,
            realm: mount.realm.clone(),
            mount: mount.name.clone(),
            tenant: None,
            method: AuthMethod::ApiKey,
            roles: Vec::new(),
            scopes: Some(key.scopes.clone()),
            session: None,
            token: None,
            key: Some(key.id.clone()),
            agent: None,
            allowed_ips: key.allowed_ips.clone(),
            rate_limit_per_hour: None,
            expires_at: None,
            issuer: None,
            bound: None,
        };
        let mut revoked = false;
        match &key.holder {
            Holder::Service { name, roles } => {
                principal.subject = format!("{SERVICE}{name}").into();
                principal.username = Some(name.clone());
                principal.roles.clone_from(roles);
            }
            Holder::Account(login) => {
                let owner = self.inner.store.account_by_login(&mount.realm, login).await?;
                let owner = owner.filter(|owner| owner.status != AccountStatus::Deleted);
                let Some(owner) = owner else {
                    tracing::warn!(event = "static_key_without_account", mount = %mount.name, key = %id);
                    return Ok(None);
                };
                revoked = !owner.enabled();
                principal.subject = owner.id;
                principal.username = owner.username.map(Into::into);
                principal.email = owner.email.map(Into::into);
                principal.tenant = owner.tenant.map(Into::into);
                principal.roles = owner.roles.into_iter().map(Into::into).collect();
            }
        }
        let (digest, principal) = (key.digest, Arc::new(principal));
        Ok(Some(Arc::new(KeyEvidence { digest, principal, expires_at: None, revoked })))
    }
}
