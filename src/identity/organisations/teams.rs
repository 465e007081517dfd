//! Groups of the caller's organisation.

use super::{
    Team, TeamChange,
    names::{name_fault, text_fault},
    told,
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError},
    model::{AccountId, Principal, TeamId},
    store::TeamRecord,
};

impl Identity {
    /// Groups of the caller's organisation, oldest first.
    pub async fn teams(&self, caller: &Principal) -> Result<Vec<Team>, IdentityError> {
        let standing = self.standing(caller).await?;
        let found = self.inner.store.teams(standing.organisation()).await?;
        Ok(found.into_iter().map(Team::from).collect())
    }

    /// Makes a group.
    pub async fn create_team(
        &self,
        caller: &Principal,
        name: String,
        description: Option<String>,
        by: &Actor,
    ) -> Result<Team, IdentityError> {
        let standing = self.standing_for(caller, "groups:create").await?;
        acceptable(Some(&name), description.as_deref())?;
        let now = self.now();
        let team = TeamRecord {
            id: self.inner.uuid()?.into(),
            organisation: standing.organisation().clone(),
            name: name.trim().to_owned(),
            description,
            created_at: now,
            updated_at: now,
        };
        let facts = [("group", team.id.as_str().into()), ("change", "created".into())];
        let told = told(EventKind::GroupChanged, caller, by, now, facts);
        let (store, made) = (self.inner.store.clone(), team.clone());
        self.change_within(standing.organisation(), async move {
            store.insert_team(&made, &[told]).await
        })
        .await?;
        Ok(team.into())
    }

    /// Changes name or description.
    pub async fn change_team(
        &self,
        caller: &Principal,
        id: &TeamId,
        change: TeamChange,
        by: &Actor,
    ) -> Result<Team, IdentityError> {
        let standing = self.standing_for(caller, "groups:manage").await?;
        acceptable(change.name.as_deref(), change.description.as_deref())?;
        let now = self.now();
        let facts = [("group", id.as_str().into()), ("change", "changed".into())];
        let told = told(EventKind::GroupChanged, caller, by, now, facts);
        let store = self.inner.store.clone();
        let (wall, id) = (standing.organisation().clone(), id.clone());
        let team = self.change_within(standing.organisation(), async move {
            let name = change.name.as_deref().map(str::trim);
            let text = change.description.as_deref();
            store.update_team(&wall, &id, name, text, now, &[told]).await
        });
        team.await.map(Team::from)
    }

    /// Removes a group; what was granted to it is granted no more.
    pub async fn delete_team(
        &self,
        caller: &Principal,
        id: &TeamId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "groups:delete").await?;
        let facts = [("group", id.as_str().into()), ("change", "deleted".into())];
        let told = told(EventKind::GroupChanged, caller, by, self.now(), facts);
        let store = self.inner.store.clone();
        let (wall, id) = (standing.organisation().clone(), id.clone());
        self.change_within(standing.organisation(), async move {
            store.delete_team(&wall, &id, &[told]).await
        })
        .await
    }

    /// Puts a member into a group. Idempotent.
    pub async fn join_team(
        &self,
        caller: &Principal,
        id: &TeamId,
        account: &AccountId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        self.seat(caller, id, account, true, by).await
    }

    /// Takes a member out of a group.
    pub async fn leave_team(
        &self,
        caller: &Principal,
        id: &TeamId,
        account: &AccountId,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        self.seat(caller, id, account, false, by).await
    }

    async fn seat(
        &self,
        caller: &Principal,
        id: &TeamId,
        account: &AccountId,
        joins: bool,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let standing = self.standing_for(caller, "groups:manage").await?;
        let facts = [
            ("group", id.as_str().into()),
            ("change", if joins { "joined" } else { "left" }.into()),
            ("member", account.as_str().into()),
        ];
        let told = told(EventKind::GroupChanged, caller, by, self.now(), facts);
        let store = self.inner.store.clone();
        let (wall, id, account) = (standing.organisation().clone(), id.clone(), account.clone());
        self.change_within(standing.organisation(), async move {
            if joins {
                store.add_to_team(&wall, &id, &account, &[told]).await
            } else {
                store.remove_from_team(&wall, &id, &account, &[told]).await
            }
        })
        .await
    }
}

fn acceptable(name: Option<&str>, description: Option<&str>) -> Result<(), IdentityError> {
    let name = name.and_then(|name| name_fault("name", name, 1));
    let text = description.and_then(|text| text_fault("description", text));
    let faults: Vec<_> = name.into_iter().chain(text).collect();
    if faults.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(faults)) }
}
