//! Organisations as walls: who belongs to which, and what each member may do there.
//!
//! Every verb takes the proven caller and works in the caller's own organisation; what is another's is not found. Verbs
//! that change something first ask whether the caller was granted that. An owner may do everything.
//!
//! ```text
//! access       what accounts may do, held in memory
//! check        the questions: may this caller do that?
//! registration an account with an organisation of its own
//! members      accounts of the caller's organisation
//! teams  permissions  keys
//! ```
//!
//! A change is durable first, then what memory holds of that organisation is void, then it is acknowledged: the next
//! question is answered from what is true now.

pub(super) mod access;
mod check;
mod keys;
mod members;
mod names;
mod permissions;
mod registration;
mod teams;
#[cfg(test)]
mod tests;
pub mod types;

pub use keys::NewMemberKey;
pub(super) use names::organisation_fault;

use std::sync::Arc;

use types::{NewPermission, Organisation, Permission, PermissionChange, Team, TeamChange};

use super::{Actor, EventKind, Identity, IdentityError, audit};
use crate::{
    model::{OrganisationId, Principal, Timestamp},
    store::{AuditRecord, StoreError},
};
use access::Rights;

/// The caller within the wall: only [`Identity::standing`] makes one.
pub(super) struct Standing {
    /// What it may do, and where.
    rights: Arc<Rights>,
}

impl Standing {
    /// The wall.
    pub(super) fn organisation(&self) -> &OrganisationId {
        &self.rights.organisation
    }
}

impl Identity {
    /// The caller's own organisation.
    pub async fn organisation(&self, caller: &Principal) -> Result<Organisation, IdentityError> {
        let standing = self.standing(caller).await?;
        let found = self.inner.store.organisation(standing.organisation()).await?;
        found.map(Organisation::from).ok_or(IdentityError::NotFound)
    }

    /// The caller's place in its organisation. A caller that belongs to none is refused.
    pub(super) async fn standing(&self, caller: &Principal) -> Result<Standing, IdentityError> {
        let rights = self.rights(&caller.subject).await?;
        let rights = rights.ok_or(IdentityError::Forbidden { action: "organization:member" })?;
        Ok(Standing { rights })
    }

    /// The same for callers that were granted `resource:action`; `named` is both in one word, for the refusal.
    pub(super) async fn standing_for(
        &self,
        caller: &Principal,
        named: &'static str,
    ) -> Result<Standing, IdentityError> {
        let standing = self.standing(caller).await?;
        if standing.rights.permits_named(named) {
            return Ok(standing);
        }
        Err(IdentityError::Forbidden { action: named })
    }

    /// Makes a change within an organisation and lets it be seen, also when the caller hangs up meanwhile. Whatever came
    /// of it: a change that was too late to be answered may have been made.
    pub(super) async fn change_within<T: Send + 'static>(
        &self,
        organisation: &OrganisationId,
        change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let (inner, organisation) = (self.inner.clone(), organisation.clone());
        self.to_the_end(async move {
            let done = change.await;
            inner.access.changed(&organisation);
            Ok(done?)
        })
        .await
    }
}

/// What was done within an organisation, for the log.
fn told<const N: usize>(
    kind: EventKind,
    caller: &Principal,
    by: &Actor,
    now: Timestamp,
    facts: [(&str, serde_json::Value); N],
) -> AuditRecord {
    AuditRecord {
        realm: Some(caller.realm.clone()),
        mount: Some(caller.mount.clone()),
        details: audit::done_by(by, facts),
        ..audit::event(kind, by, now)
    }
}
