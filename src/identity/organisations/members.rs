//! Accounts of the caller's organisation.

use super::types::{Member, NewMember};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, NewAccount, PasswordPolicy, accounts},
    model::{AccountId, OrganisationId, Principal},
    store::{AccountRecord, AuditRecord, MemberRecord},
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

    async fn member_within(
        &self,
        wall: &OrganisationId,
        id: &AccountId,
    ) -> Result<Member, IdentityError> {
        let found = self.inner.store.member(wall, id).await?;
        found.map(|record| shown(record, wall)).ok_or(IdentityError::NotFound)
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
