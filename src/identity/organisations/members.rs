//! Accounts of the caller's organisation.

use super::{
    Standing,
    types::{Member, MemberChange, NewMember},
};
use crate::{
    identity::{
        AccountChanges, Actor, EventKind, Identity, IdentityError, NewAccount, PasswordPolicy,
        accounts,
    },
    model::{AccountId, OrganisationId, Principal},
    store::{AccountRecord, AuditRecord, MemberRecord, OWNER},
};

/// Most members in one answer.
const PAGE: u32 = 1_000;
/// The role of who is taken in by somebody else.
const NEWCOMER: &str = "viewer";

impl Identity {
    /// Members of the caller's organisation, the first ones first.
    pub async fn members(&self, caller: &Principal) -> Result<Vec<Member>, IdentityError> {
        let standing = self.standing_for(caller, "users:view").await?;
        let wall = standing.organisation();
        let found = self.inner.store.members(wall, None, PAGE).await?;
        Ok(found.into_iter().map(|record| shown(record, wall)).collect())
    }

    /// One member of the caller's organisation.
    pub async fn member(
        &self,
        caller: &Principal,
        id: &AccountId,
    ) -> Result<Member, IdentityError> {
        let standing = self.standing_for(caller, "users:view").await?;
        self.member_within(standing.organisation(), id).await
    }

    /// Makes an account in the caller's organisation. It was granted nothing yet.
    pub async fn create_member(
        &self,
        caller: &Principal,
        new: NewMember,
        by: &Actor,
    ) -> Result<Member, IdentityError> {
        let standing = self.standing_for(caller, "users:create").await?;
        let wall = standing.organisation().clone();
        let now = self.now();
        let account = NewAccount {
            username: None,
            email: Some(new.email),
            password: new.password,
            policy: PasswordPolicy::Enforce,
            full_name: None,
            roles: None,
            tenant: Some(wall.to_string()),
        };
        // The caller hands out the realm's default role, whatever its own roles are: there it is a member, not more.
        let account = self.new_account(&caller.realm, account, now).await?;
        let account =
            AccountRecord { first_name: new.first_name, last_name: new.last_name, ..account };
        let told = AuditRecord {
            mount: Some(caller.mount.clone()),
            ..accounts::about(EventKind::AccountCreated, &account, by, now)
        };
        self.inner.store.insert_member(&account, &wall, NEWCOMER, &[told]).await?;
        let record = MemberRecord { account, role: NEWCOMER.to_owned(), joined_at: now };
        Ok(shown(record, &wall))
    }

    /// Changes a member's address, or whether it may log in. An owner is changed by an owner only.
    pub async fn change_member(
        &self,
        caller: &Principal,
        id: &AccountId,
        change: MemberChange,
        by: &Actor,
    ) -> Result<Member, IdentityError> {
        let standing = self.standing_for(caller, "users:manage").await?;
        let wall = standing.organisation();
        let member = self.member_within(wall, id).await?;
        standing.may_touch(&member, "users:manage")?;
        let MemberChange { email, enabled } = change;
        let enabled = enabled.filter(|enabled| *enabled != member.account.enabled);
        let changes = AccountChanges { email, enabled, ..AccountChanges::default() };
        let account = self.change_account(&caller.realm, id, changes, by).await?;
        Ok(Member { account, ..member })
    }

    /// Removes a member softly: it is gone for everybody, its sessions and keys are dead, its address stays taken.
    pub async fn delete_member(
        &self,
        caller: &Principal,
        id: &AccountId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "users:delete").await?;
        let member = self.member_within(standing.organisation(), id).await?;
        standing.may_touch(&member, "users:delete")?;
        let removed = self.remove_account(&caller.realm, id, by).await;
        self.inner.access.changed(standing.organisation());
        removed
    }

    async fn member_within(
        &self,
        wall: &OrganisationId,
        id: &AccountId,
    ) -> Result<Member, IdentityError> {
        let found = self.inner.store.member(wall, id).await?;
        found.map(|record| shown(record, wall)).ok_or(IdentityError::NotFound)
    }
}

impl Standing {
    /// Nobody but an owner touches an owner: whoever changes the address of one could set its password next.
    fn may_touch(&self, member: &Member, action: &'static str) -> Result<(), IdentityError> {
        if member.role == OWNER && !self.rights.is_owner() {
            return Err(IdentityError::Forbidden { action });
        }
        Ok(())
    }
}

fn shown(record: MemberRecord, wall: &OrganisationId) -> Member {
    Member {
        account: accounts::shown(record.account),
        organisation: wall.clone(),
        role: record.role,
        joined_at: record.joined_at,
    }
}
