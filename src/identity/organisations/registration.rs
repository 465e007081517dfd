//! The organisation that an account gets when it is made, or later if it came another way.

use super::{
    Organisation,
    names::{default_name, slugs},
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, Inner, accounts},
    model::{AccountId, OrganisationId, RealmName, Timestamp},
    store::{AccountRecord, NewOrganisation, OrganisationRecord},
};

impl Identity {
    /// The organisation of an account; one that has none (it was imported, or made by the operator) gets one that it
    /// owns.
    pub async fn ensure_organisation(
        &self,
        realm: &RealmName,
        id: &AccountId,
        by: &Actor,
    ) -> Result<Organisation, IdentityError> {
        let account = self.inner.own_account(realm, id).await?;
        self.give_organisation(&account, by).await
    }

    /// The same for an account at hand.
    pub(in crate::identity) async fn give_organisation(
        &self,
        account: &AccountRecord,
        by: &Actor,
    ) -> Result<Organisation, IdentityError> {
        let now = self.now();
        let new = self.inner.organisation_for(account, None, now)?;
        let told = accounts::about(EventKind::AccountChanged, account, by, now);
        let (store, id) = (self.inner.store.clone(), account.id.clone());
        let wall = new.organisation.id.clone();
        let made = self.change_within(&wall, async move {
            store.ensure_organisation(&id, &new, &[told]).await
        });
        made.await.map(Organisation::from)
    }
}

impl Inner {
    /// A new organisation for an account, under this name or one made from the account's own.
    pub(in crate::identity) fn organisation_for(
        &self,
        account: &AccountRecord,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<NewOrganisation, IdentityError> {
        let id = OrganisationId::from(self.uuid()?);
        let named = name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let name = named.unwrap_or_else(|| {
            default_name(account.first_name.as_deref(), account.email.as_deref())
        });
        let slugs = slugs(&name, id.as_str());
        let organisation = OrganisationRecord {
            id,
            realm: account.realm.clone(),
            name,
            slug: String::new(),
            created_at: now,
            updated_at: now,
        };
        Ok(NewOrganisation { organisation, slugs })
    }
}
