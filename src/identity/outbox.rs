//! The outbox: what must leave the house is put in with the change it tells of, sealed, and carried by whoever serves its
//! kind. A try is leased, so that a stop in the middle loses nothing; a parcel may therefore arrive twice.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Actor, Delivery, EventKind, Identity, IdentityError, Inner, MountSettings, Parcel, audit,
};
use crate::{
    model::{SecretString, Timestamp, secret::ExposeSecret},
    store::{AccountRecord, AuditRecord, Backlog, Ciphertext, Handed, OutboxRecord},
};

/// Kind of mails.
pub const MAIL: &str = "mail";
/// Longer than any try may take.
const LEASE: Duration = Duration::from_secs(120);

impl Identity {
    /// Parcels of a kind that are due, at most `limit`, each leased for one try. Every one must be handed back by
    /// [`Identity::delivered`]; what is not comes again when its lease has run out.
    pub async fn parcels(&self, kind: &str, limit: u32) -> Result<Vec<Parcel>, IdentityError> {
        let now = self.now();
        let leased = self.inner.store.lease_parcels(kind, now, now + LEASE, limit).await?;
        let mut opened = Vec::with_capacity(leased.len());
        for record in leased {
            let why = match self.inner.open_parcel(&record) {
                Ok(_) if record.expires_at <= now => "expired",
                Ok(parcel) => {
                    opened.push(parcel);
                    continue;
                }
                Err(_) => "cannot be opened",
            };
            self.give_up(&record.id, kind, why, self.inner.names(&record), now).await?;
        }
        Ok(opened)
    }

    /// Says what became of a try.
    pub async fn delivered(
        &self,
        kind: &str,
        parcel: &Parcel,
        outcome: Delivery,
    ) -> Result<(), IdentityError> {
        let now = self.now();
        let handed = match outcome {
            Delivery::Arrived => Handed::Delivered,
            Delivery::Later(wait) if now + wait < parcel.expires_at => Handed::Later(now + wait),
            Delivery::Later(_) => {
                let names = (parcel.realm.clone(), parcel.mount.clone());
                return self.give_up(&parcel.id, kind, "expired", names, now).await;
            }
            Delivery::Never(why) => {
                let names = (parcel.realm.clone(), parcel.mount.clone());
                return self.give_up(&parcel.id, kind, &why, names, now).await;
            }
        };
        Ok(self.inner.store.hand_back(&parcel.id, handed, now, &[]).await?)
    }

    /// Changes whenever something was put in.
    pub fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.inner.bell.subscribe()
    }

    /// What waits of a kind.
    pub async fn backlog(&self, kind: &str) -> Result<Backlog, IdentityError> {
        Ok(self.inner.store.backlog(kind).await?)
    }

    async fn give_up(
        &self,
        id: &str,
        kind: &str,
        why: &str,
        (realm, mount): (crate::model::RealmName, crate::model::MountName),
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        tracing::error!(event = "delivery_given_up", kind, parcel = id, why);
        let told = AuditRecord {
            realm: Some(realm),
            mount: Some(mount),
            details: json!({ "kind": kind, "parcel": id, "why": why }),
            ..audit::event(EventKind::DeliveryGivenUp, &Actor::operator(), now)
        };
        Ok(self.inner.store.hand_back(id, Handed::GivenUp, now, &[told]).await?)
    }
}

impl Inner {
    /// A parcel to be put in with a change. `lane`: parcels of one lane leave in order.
    pub(super) fn parcel(
        &self,
        mount: &MountSettings,
        kind: &str,
        lane: Option<String>,
        content: &Value,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<OutboxRecord, IdentityError> {
        let id = self.uuid()?;
        let plain = serde_json::to_vec(content).map_err(|_| IdentityError::Internal)?;
        let sealed = self.keyring.seal(&purpose(&id), &plain, &*self.random)?;
        Ok(OutboxRecord {
            id,
            realm: mount.realm.clone(),
            mount: mount.name.clone(),
            kind: kind.to_owned(),
            lane,
            payload: Ciphertext(sealed),
            created_at: now,
            expires_at,
            next_at: now,
            attempts: 0,
        })
    }

    /// A mail with a code to the address of an account.
    pub(super) fn mail_for(
        &self,
        mount: &MountSettings,
        template: &str,
        account: &AccountRecord,
        code: &SecretString,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<OutboxRecord, IdentityError> {
        let name = account.first_name.as_deref().or(account.full_name.as_deref());
        let content = json!({
            "template": template,
            "to": account.email,
            "with": {
                "code": code.expose_secret(),
                "email": account.email,
                "name": name.or(account.username.as_deref()),
                "minutes": expires_at.since(now).as_secs().div_ceil(60),
            },
        });
        self.parcel(mount, MAIL, None, &content, now, expires_at)
    }

    /// Wakes the carriers; called after the change is committed.
    pub(super) fn ring(&self) {
        self.bell.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn open_parcel(&self, record: &OutboxRecord) -> Result<Parcel, IdentityError> {
        let plain = self.keyring.open(&purpose(&record.id), &record.payload.0)?;
        Ok(Parcel {
            id: record.id.clone(),
            realm: record.realm.clone(),
            mount: record.mount.clone(),
            content: serde_json::from_slice(&plain).map_err(|_| IdentityError::Internal)?,
            attempt: record.attempts,
            expires_at: record.expires_at,
        })
    }

    fn names(&self, record: &OutboxRecord) -> (crate::model::RealmName, crate::model::MountName) {
        (record.realm.clone(), record.mount.clone())
    }
}

fn purpose(id: &str) -> String {
    format!("outbox {id}")
}
