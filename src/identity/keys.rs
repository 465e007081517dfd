//! API keys: made, listed, rotated, revoked. A key never holds what its owner's roles may not hand out.

use std::{sync::Arc, time::Duration};

use super::{
    Actor, ApiKey, EventKind, Identity, IdentityError, MountSettings, NewKey, NewKeyText,
    RotatedKey, audit, key_rules, lockout,
};
use crate::{
    model::{AccountId, KeyId, MountName, ScopeSet, Timestamp, api_key},
    pipeline::{
        News, Toll, Window,
        quota::{Across, Charge, KEY_HOUR, KeyPart, KeyParts, LimitKey},
    },
    store::{AuditRecord, KeyRecord, StoreError},
};

const HOUR: Duration = Duration::from_secs(3600);

impl Identity {
    /// Makes a key for `owner` at `mount`; scopes must be within what the owner's roles hold.
    pub async fn create_key(
        &self,
        mount: &MountName,
        owner: &AccountId,
        new: NewKey,
        by: &Actor,
    ) -> Result<NewKeyText, IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let account = match self.inner.own_account(&mount.realm, owner).await {
            Err(IdentityError::NotFound) if by.account.as_ref() == Some(owner) => {
                return Err(IdentityError::CredentialEnded);
            }
            other => other?,
        };
        // To the operator it is the account's state; a client's own credential has ended with it.
        if !account.enabled() && by.account.is_none() {
            return Err(IdentityError::Disabled);
        }
        key_rules::made_here(&mount)?;
        let asked = key_rules::acceptable(&mount, new)?;
        let held = held_scopes(&mount, &account.roles);
        if !asked.scopes.iter().all(|scope| held.contains(scope)) {
            return Err(IdentityError::Forbidden { action: "create" });
        }
        let now = self.now();
        let (record, text) = self.new_record(&mount, owner, now, |blank| KeyRecord {
            name: asked.name,
            description: asked.description,
            scopes: asked.scopes,
            allowed_ips: asked.allowed_ips,
            rate_limit_per_hour: asked.rate_limit_per_hour,
            expires_at: asked.lifetime.map(|lifetime| now + lifetime),
            ..blank
        })?;
        let told = about(EventKind::ApiKeyCreated, &record, by, now);
        match self.inner.store.insert_key(&record, &[told]).await {
            Err(StoreError::Changed) => return Err(IdentityError::CredentialEnded),
            other => other?,
        }
        // Nobody can have asked for this id before, but a refusal of it may be cached all the same.
        self.inner.feed.bump(&News::Key(record.id.clone()));
        Ok(NewKeyText { key: self.shown_key(record), text })
    }

    /// Keys of one account, revoked ones included, newest first.
    pub async fn keys_of(
        &self,
        mount: &MountName,
        owner: &AccountId,
    ) -> Result<Vec<ApiKey>, IdentityError> {
        let keys = self.inner.store.keys_of(mount, owner).await?;
        Ok(keys.into_iter().map(|key| self.shown_key(key)).collect())
    }

    /// One key by id at a mount.
    pub async fn key(&self, mount: &MountName, id: &KeyId) -> Result<ApiKey, IdentityError> {
        let found = self.inner.store.key(mount, id).await?.ok_or(IdentityError::NotFound)?;
        Ok(self.shown_key(found.key))
    }

    /// All keys of a mount or of all mounts.
    pub async fn keys(
        &self,
        mount: Option<&MountName>,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, IdentityError> {
        let page = self.inner.store.keys(mount, after, limit).await?;
        Ok(page.into_iter().map(|key| self.shown_key(key)).collect())
    }

    /// Makes a successor; the old key stays valid for `overlap`. `owner`: `None` for the operator, else must own it.
    pub async fn rotate_key(
        &self,
        mount: &MountName,
        owner: Option<&AccountId>,
        id: &KeyId,
        overlap: Duration,
        by: &Actor,
    ) -> Result<RotatedKey, IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        key_rules::acceptable_overlap(overlap)?;
        let old = self.own_key(&mount.name, owner, id).await?;
        let now = self.now();
        // The successor lives as long as the old one was given when it was made.
        let lifetime = old.expires_at.map(|end| end.since(old.created_at));
        let (record, text) = self.new_record(&mount, &old.owner, now, |blank| KeyRecord {
            name: old.name.clone(),
            description: old.description.clone(),
            scopes: old.scopes.clone(),
            allowed_ips: old.allowed_ips.clone(),
            rate_limit_per_hour: old.rate_limit_per_hour,
            expires_at: lifetime.map(|lifetime| now + lifetime),
            ..blank
        })?;
        let told = about(EventKind::ApiKeyRotated, &old, by, now);
        let told = AuditRecord {
            details: audit::done_by(
                by,
                [("key_id", id.as_str().into()), ("replaced_by", record.id.as_str().into())],
            ),
            ..told
        };
        let (inner, id, new) = (self.inner.clone(), id.clone(), record.clone());
        let rotating = self.to_the_end(async move {
            let done = inner.store.rotate_key(&id, &new, now + overlap, now, &[told]).await;
            inner.feed.changed(News::Key(id));
            done.map_err(|error| match error {
                StoreError::Changed => key_rules::already_ended(),
                other => other.into(),
            })
        });
        let old = rotating.await?;
        Ok(RotatedKey {
            new: NewKeyText { key: self.shown_key(record), text },
            replaces: old.id,
            old_valid_until: old.expires_at.unwrap_or(now),
        })
    }

    /// Revokes a key; holds for the next request. `owner` as in [`Identity::rotate_key`]. Idempotent.
    pub async fn revoke_key(
        &self,
        mount: &MountName,
        owner: Option<&AccountId>,
        id: &KeyId,
        by: &Actor,
    ) -> Result<ApiKey, IdentityError> {
        let key = self.own_key(mount, owner, id).await?;
        let now = self.now();
        let told = about(EventKind::ApiKeyRevoked, &key, by, now);
        let (inner, mount, id) = (self.inner.clone(), mount.clone(), id.clone());
        let revoking = self.to_the_end(async move {
            let done = inner.store.revoke_key(&mount, &id, now, &[told]).await;
            inner.feed.changed(News::Key(id));
            Ok(done?)
        });
        revoking.await.map(|key| self.shown_key(key))
    }

    /// The state of the key's own hourly limit, charging nothing; `None` when it has none.
    pub async fn key_allowance(&self, key: &ApiKey) -> Result<Option<Toll>, IdentityError> {
        let Some(limit) = key.rate_limit_per_hour else { return Ok(None) };
        // The edge charges the key's own limit under exactly this name and part.
        let windows = [Window { limit, per: HOUR }];
        let parts = KeyParts::from_iter([KeyPart::Key(key.id.as_str())]);
        let charge = Charge {
            key: LimitKey { limit: KEY_HOUR, parts },
            windows: &windows,
            across: Across::default(),
        };
        self.inner.limiter.peek(&[charge]).await.map_err(lockout::refusal)
    }

    /// A key that `owner` may touch; somebody else's is no key.
    async fn own_key(
        &self,
        mount: &MountName,
        owner: Option<&AccountId>,
        id: &KeyId,
    ) -> Result<KeyRecord, IdentityError> {
        let found = self.inner.store.key(mount, id).await?.ok_or(IdentityError::NotFound)?;
        match owner {
            Some(owner) if found.key.owner != *owner => Err(IdentityError::NotFound),
            _ => Ok(found.key),
        }
    }

    pub(super) fn new_record(
        &self,
        mount: &MountSettings,
        owner: &AccountId,
        now: Timestamp,
        fill: impl FnOnce(KeyRecord) -> KeyRecord,
    ) -> Result<(KeyRecord, crate::model::SecretString), IdentityError> {
        let format = mount.api_key_format.as_ref().ok_or(IdentityError::NotFound)?;
        let issued =
            api_key::issue(format, &*self.inner.random).map_err(|_| IdentityError::Internal)?;
        let blank = KeyRecord {
            id: issued.id,
            mount: mount.name.clone(),
            realm: mount.realm.clone(),
            owner: owner.clone(),
            name: String::new(),
            description: None,
            hint: issued.hint,
            digest: issued.digest,
            scopes: ScopeSet::default(),
            allowed_ips: Vec::new(),
            rate_limit_per_hour: None,
            created_at: now,
            expires_at: None,
            revoked_at: None,
            replaced_by: None,
            last_used_at: None,
            usage_count: 0,
        };
        Ok((fill(blank), issued.text))
    }

    pub(super) fn shown_key(&self, key: KeyRecord) -> ApiKey {
        let now = self.now();
        let pending = self.inner.usage.pending(&key.id);
        let unwritten = (pending.count > 0).then_some(pending.last);
        ApiKey {
            active: key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now),
            usage_count: key.usage_count.saturating_add(pending.count),
            last_used_at: key.last_used_at.max(unwritten),
            id: key.id,
            mount: key.mount,
            owner: key.owner,
            name: key.name,
            description: key.description,
            hint: key.hint,
            scopes: key.scopes,
            allowed_ips: key.allowed_ips,
            rate_limit_per_hour: key.rate_limit_per_hour,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Every scope that these roles may hand to a key.
fn held_scopes(mount: &MountSettings, roles: &[String]) -> ScopeSet {
    let own = |role: &Arc<str>| roles.iter().any(|name| **name == **role);
    let rows = mount.role_scopes.iter().filter(|(role, _)| own(role));
    ScopeSet::new(rows.flat_map(|(_, scopes)| scopes))
}

fn about(kind: EventKind, key: &KeyRecord, by: &Actor, now: Timestamp) -> AuditRecord {
    AuditRecord {
        realm: Some(key.realm.clone()),
        mount: Some(key.mount.clone()),
        account: Some(key.owner.clone()),
        details: audit::done_by(by, [("key_id", key.id.as_str().into())]),
        ..audit::event(kind, by, now)
    }
}
