//! Which people of which providers an account is: what the operator sees and changes.

use serde_json::json;

use crate::{
    identity::{Actor, EventKind, FieldError, Identity, IdentityError, accounts, audit},
    model::{AccountId, RealmName, Timestamp},
    store::{AuditRecord, ForeignKey},
};

/// Longest `iss` and `sub`.
const LONGEST: usize = 255;

/// A person of a provider that an account is joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// `iss`; for contracts with a provider of their own its name.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The last login through it, or the moment at which both were joined.
    pub updated_at: Timestamp,
}

impl Identity {
    /// Joins a person of a provider to an account: from then on its logins there are logins here.
    pub async fn link_account(
        &self,
        realm: &RealmName,
        id: &AccountId,
        (issuer, subject): (&str, &str),
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let account = self.inner.own_account(realm, id).await?;
        let key = key(realm, issuer, subject)?;
        let now = self.now();
        let about = accounts::about(EventKind::AccountLinked, &account, by, now);
        let told = with_person(about, (issuer, subject), by);
        Ok(self.inner.store.link_account(&key, id, now, &[told]).await?)
    }

    /// Takes a person of a provider off an account, and ends its sessions.
    pub async fn unlink_account(
        &self,
        realm: &RealmName,
        id: &AccountId,
        (issuer, subject): (&str, &str),
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let account = self.inner.own_account(realm, id).await?;
        let key = key(realm, issuer, subject)?;
        let now = self.now();
        let about = accounts::about(EventKind::AccountUnlinked, &account, by, now);
        let told = with_person(about, (issuer, subject), by);
        let (inner, id) = (self.inner.clone(), id.clone());
        self.to_the_end(async move {
            let ended = inner.store.unlink_account(&key, &id, now, &[told]).await?;
            inner.forget_sessions(ended, now);
            Ok(())
        })
        .await
    }

    /// Which people of providers an account is.
    pub async fn links(&self, id: &AccountId) -> Result<Vec<Link>, IdentityError> {
        let links = self.inner.store.links(id).await?;
        let link = |found: crate::store::LinkRecord| Link {
            issuer: found.key.provider,
            subject: found.key.subject,
            updated_at: found.updated_at,
        };
        Ok(links.into_iter().map(link).collect())
    }
}

/// The same event, with whom it joins or parts.
fn with_person(about: AuditRecord, (issuer, subject): (&str, &str), by: &Actor) -> AuditRecord {
    let facts = json!({ "issuer": issuer, "subject": subject });
    AuditRecord { details: audit::done_by(by, [("link", facts)]), ..about }
}

fn key(realm: &RealmName, issuer: &str, subject: &str) -> Result<ForeignKey, IdentityError> {
    let odd = |text: &str| {
        !(1..=LONGEST).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let wrong = |field: &'static str| FieldError {
        field,
        kind: "invalid",
        message: format!("{field} must be 1 to {LONGEST} visible ASCII characters"),
    };
    let faults: Vec<FieldError> = [("issuer", issuer), ("subject", subject)]
        .into_iter()
        .filter(|(_, text)| odd(text))
        .map(|(field, _)| wrong(field))
        .collect();
    if !faults.is_empty() {
        return Err(IdentityError::Invalid(faults));
    }
    Ok(ForeignKey {
        realm: realm.clone(),
        provider: issuer.to_owned(),
        subject: subject.to_owned(),
    })
}
