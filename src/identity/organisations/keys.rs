//! API keys of the caller's organisation. A key stands for a member and may what its scopes say: `resource:action`,
//! `resource:*` or `*`. Nobody puts into a key what the own account was not granted.

use super::{
    Standing,
    names::{name_fault, word_fault},
    told,
};
use crate::{
    identity::{
        Actor, ApiKey, EventKind, FieldError, Identity, IdentityError, NewKeyText, StaticKey,
    },
    model::{AccountId, KeyId, MountName, Principal, ScopeSet},
    pipeline::{News, grants::scope_parts},
    store::{KeyRecord, StoreError},
};

/// Most scopes of one key.
const MOST_SCOPES: usize = 200;

/// A new key of an organisation.
#[derive(Clone, Debug, Default)]
pub struct NewMemberKey {
    /// Name.
    pub name: String,
    /// For whom; `None`: for the caller.
    pub account: Option<AccountId>,
    /// Scopes as they are written.
    pub scopes: Vec<String>,
    /// Life time; `None`: no end.
    pub lifetime: Option<std::time::Duration>,
}

impl Identity {
    /// Makes a key for the caller; an owner may make one for any member.
    pub async fn create_member_key(
        &self,
        caller: &Principal,
        new: NewMemberKey,
        by: &Actor,
    ) -> Result<NewKeyText, IdentityError> {
        const ACTION: &str = "api_keys:create";
        let standing = self.standing_for(caller, ACTION).await?;
        let scopes = acceptable(Some(&new.name), &new.scopes)?;
        standing.holds(&scopes, ACTION)?;
        let owner = new.account.unwrap_or_else(|| caller.subject.clone());
        if owner != caller.subject {
            // A key of somebody else's speaks in that member's name.
            if !standing.rights.is_owner() {
                return Err(IdentityError::Forbidden { action: ACTION });
            }
            let member = self.inner.store.member(standing.organisation(), &owner).await?;
            member.ok_or(IdentityError::NotFound)?;
        }
        let mount = self.inner.state().mount(&caller.mount)?;
        let now = self.now();
        let (record, text) = self.new_record(&mount, &owner, now, |blank| KeyRecord {
            name: new.name.trim().to_owned(),
            scopes,
            expires_at: new.lifetime.map(|lifetime| now + lifetime),
            ..blank
        })?;
        let facts = [("key_id", record.id.as_str().into()), ("member", owner.as_str().into())];
        let told = told(EventKind::ApiKeyCreated, caller, by, now, facts);
        match self.inner.store.insert_key(&record, &[told]).await {
            Err(StoreError::Changed) => return Err(IdentityError::NotFound),
            other => other?,
        }
        self.inner.feed.bump(&News::Key(record.id.clone()));
        Ok(NewKeyText { key: self.shown_key(record), text })
    }

    /// Keys that are not revoked: all of the organisation for those who may view them, else the caller's own.
    pub async fn member_keys(&self, caller: &Principal) -> Result<Vec<ApiKey>, IdentityError> {
        let standing = self.standing(caller).await?;
        let store = &self.inner.store;
        let keys = match standing.rights.permits_named("api_keys:view") {
            true => store.keys_within(&caller.mount, standing.organisation()).await?,
            false => store.keys_of(&caller.mount, &caller.subject).await?,
        };
        let live = keys.into_iter().filter(|key| key.revoked_at.is_none());
        Ok(live.map(|key| self.shown_key(key)).collect())
    }

    /// One key of the organisation, for those who may view them.
    pub async fn member_key(
        &self,
        caller: &Principal,
        id: &KeyId,
    ) -> Result<ApiKey, IdentityError> {
        let standing = self.standing_for(caller, "api_keys:view").await?;
        let key = self.key_within(&standing, &caller.mount, id).await?;
        Ok(self.shown_key(key))
    }

    /// Replaces the scopes of a key; holds for the next request.
    pub async fn set_key_scopes(
        &self,
        caller: &Principal,
        id: &KeyId,
        scopes: Vec<String>,
        by: &Actor,
    ) -> Result<ApiKey, IdentityError> {
        const ACTION: &str = "api_keys:manage";
        let standing = self.standing_for(caller, ACTION).await?;
        let scopes = acceptable(None, &scopes)?;
        standing.holds(&scopes, ACTION)?;
        self.key_within(&standing, &caller.mount, id).await?;
        let facts = [("key_id", id.as_str().into())];
        let told = told(EventKind::ApiKeyChanged, caller, by, self.now(), facts);
        let (inner, mount, id) = (self.inner.clone(), caller.mount.clone(), id.clone());
        let changing = self.to_the_end(async move {
            let done = inner.store.set_key_scopes(&mount, &id, &scopes, &[told]).await;
            inner.feed.changed(News::Key(id));
            Ok(done?)
        });
        changing.await.map(|key| self.shown_key(key))
    }

    /// Revokes a key of the organisation.
    pub async fn revoke_member_key(
        &self,
        caller: &Principal,
        id: &KeyId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "api_keys:delete").await?;
        self.key_within(&standing, &caller.mount, id).await?;
        self.revoke_key(&caller.mount, None, id, by).await.map(drop)
    }

    /// What a key says about itself: `None` for a key of the configuration, of which nothing but the caller is known.
    pub async fn own_key_facts(&self, caller: &Principal) -> Result<Option<ApiKey>, IdentityError> {
        match &caller.key {
            Some(id) if !StaticKey::is_static(id) => match self.key(&caller.mount, id).await {
                Err(IdentityError::NotFound) => Err(IdentityError::CredentialEnded),
                other => other.map(Some),
            },
            _ => Ok(None),
        }
    }

    /// A live key whose owner is in this organisation; another one is no key.
    async fn key_within(
        &self,
        standing: &Standing,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<KeyRecord, IdentityError> {
        let found = self.inner.store.key(mount, id).await?.ok_or(IdentityError::NotFound)?;
        let owner = self.inner.store.member(standing.organisation(), &found.key.owner).await?;
        let own = owner.is_some() && found.key.revoked_at.is_none();
        own.then_some(found.key).ok_or(IdentityError::NotFound)
    }
}

impl Standing {
    /// Whether the caller's own grants reach what these scopes reach. What is no scope of this kind reaches nothing.
    fn holds(&self, scopes: &ScopeSet, action: &'static str) -> Result<(), IdentityError> {
        let mut reaching = scopes.iter().filter(|scope| scope_parts(scope).is_some());
        match reaching.all(|scope| self.rights.permits_named(scope)) {
            true => Ok(()),
            false => Err(IdentityError::Forbidden { action }),
        }
    }
}

fn acceptable(name: Option<&str>, scopes: &[String]) -> Result<ScopeSet, IdentityError> {
    let mut faults: Vec<FieldError> = Vec::new();
    faults.extend(name.and_then(|name| name_fault("name", name, 1)));
    faults.extend(scopes.iter().find_map(|scope| word_fault("scopes", scope)));
    if scopes.len() > MOST_SCOPES {
        let message = format!("At most {MOST_SCOPES} scopes");
        faults.push(FieldError { field: "scopes", kind: "too_long", message });
    }
    if faults.is_empty() {
        Ok(ScopeSet::exact(scopes))
    } else {
        Err(IdentityError::Invalid(faults))
    }
}
