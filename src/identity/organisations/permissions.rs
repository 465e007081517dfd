//! Permissions of the caller's organisation, and to whom they are granted.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    NewPermission, Permission, PermissionChange,
    names::{LONGEST_CONDITIONS, word_fault},
    told,
};
use crate::{
    identity::{Actor, EventKind, FieldError, Identity, IdentityError},
    model::{AccountId, PermissionId, Principal},
    store::{Grantee, PermissionRecord},
};

impl Identity {
    /// Permissions of the caller's organisation, oldest first.
    pub async fn permissions(&self, caller: &Principal) -> Result<Vec<Permission>, IdentityError> {
        let standing = self.standing(caller).await?;
        let found = self.inner.store.permissions(standing.organisation()).await?;
        Ok(found.into_iter().map(Permission::from).collect())
    }

    /// What a member of the caller's organisation was granted, directly or through a group; each permission once.
    pub async fn permissions_of(
        &self,
        caller: &Principal,
        account: &AccountId,
    ) -> Result<Vec<Permission>, IdentityError> {
        let standing = self.standing_for(caller, "users:view").await?;
        let access = self.inner.store.access(account).await?;
        let access = access.filter(|access| access.organisation == *standing.organisation());
        let mut granted = access.ok_or(IdentityError::NotFound)?.granted;
        granted.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        granted.dedup_by(|a, b| a.id == b.id);
        Ok(granted.into_iter().map(Permission::from).collect())
    }

    /// Makes a permission.
    pub async fn create_permission(
        &self,
        caller: &Principal,
        new: NewPermission,
        by: &Actor,
    ) -> Result<Permission, IdentityError> {
        let standing = self.standing_for(caller, "permissions:create").await?;
        acceptable(Some(&new.resource), Some(&new.action), Some(&new.conditions))?;
        let now = self.now();
        let permission = PermissionRecord {
            id: self.inner.uuid()?.into(),
            organisation: standing.organisation().clone(),
            resource: new.resource,
            action: new.action,
            conditions: Arc::new(new.conditions),
            created_at: now,
        };
        let facts = [("permission", permission.id.as_str().into()), ("change", "created".into())];
        let told = told(EventKind::PermissionChanged, caller, by, now, facts);
        let (store, made) = (self.inner.store.clone(), permission.clone());
        self.change_within(standing.organisation(), async move {
            store.insert_permission(&made, &[told]).await
        })
        .await?;
        Ok(permission.into())
    }

    /// Changes a permission for everybody who was granted it.
    pub async fn change_permission(
        &self,
        caller: &Principal,
        id: &PermissionId,
        change: PermissionChange,
        by: &Actor,
    ) -> Result<Permission, IdentityError> {
        let standing = self.standing_for(caller, "permissions:manage").await?;
        let PermissionChange { resource, action, conditions } = change;
        acceptable(resource.as_deref(), action.as_deref(), conditions.as_ref())?;
        let facts = [("permission", id.as_str().into()), ("change", "changed".into())];
        let told = told(EventKind::PermissionChanged, caller, by, self.now(), facts);
        let store = self.inner.store.clone();
        let (wall, id) = (standing.organisation().clone(), id.clone());
        let changed = self.change_within(standing.organisation(), async move {
            let (resource, action) = (resource.as_deref(), action.as_deref());
            store
                .update_permission(&wall, &id, resource, action, conditions.as_ref(), &[told])
                .await
        });
        changed.await.map(Permission::from)
    }

    /// Removes a permission; whoever was granted it has it no more.
    pub async fn delete_permission(
        &self,
        caller: &Principal,
        id: &PermissionId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "permissions:delete").await?;
        let facts = [("permission", id.as_str().into()), ("change", "deleted".into())];
        let told = told(EventKind::PermissionChanged, caller, by, self.now(), facts);
        let store = self.inner.store.clone();
        let (wall, id) = (standing.organisation().clone(), id.clone());
        self.change_within(standing.organisation(), async move {
            store.delete_permission(&wall, &id, &[told]).await
        })
        .await
    }

    /// Grants a permission to a member or a group. Idempotent.
    pub async fn grant_permission(
        &self,
        caller: &Principal,
        id: &PermissionId,
        to: Grantee,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "permissions:assign").await?;
        let now = self.now();
        let (kind, whom): (&str, Value) = match &to {
            Grantee::Account(account) => ("member", account.as_str().into()),
            Grantee::Team(team) => ("group", team.as_str().into()),
        };
        let facts = [("permission", id.as_str().into()), (kind, whom)];
        let told = told(EventKind::PermissionGranted, caller, by, now, facts);
        let store = self.inner.store.clone();
        let (wall, id, grant) = (standing.organisation().clone(), id.clone(), self.inner.uuid()?);
        self.change_within(standing.organisation(), async move {
            store.grant_permission(&wall, &id, &to, &grant, now, &[told]).await
        })
        .await
    }
}

fn acceptable(
    resource: Option<&str>,
    action: Option<&str>,
    conditions: Option<&Map<String, Value>>,
) -> Result<(), IdentityError> {
    let resource = resource.and_then(|word| word_fault("resource", word));
    let action = action.and_then(|word| word_fault("action", word));
    let size =
        conditions.map_or(0, |map| serde_json::to_string(map).map_or(usize::MAX, |t| t.len()));
    let too_long = (size > LONGEST_CONDITIONS).then(|| FieldError {
        field: "conditions",
        kind: "too_long",
        message: format!("At most {LONGEST_CONDITIONS} bytes"),
    });
    let faults: Vec<_> = resource.into_iter().chain(action).chain(too_long).collect();
    if faults.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(faults)) }
}
