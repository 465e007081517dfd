//! What leaves the house: mails, webhooks. Only ciphertext; who puts a parcel in knows what is inside.

use crate::model::{MountName, RealmName, Timestamp};

use super::Ciphertext;

/// Something to be delivered, put in with the change it tells of.
#[derive(Clone, Debug)]
pub struct OutboxRecord {
    /// Id; the payload is sealed for it.
    pub id: String,
    /// Realm.
    pub realm: RealmName,
    /// Mount on whose behalf it leaves.
    pub mount: MountName,
    /// Who carries it: `mail`, `webhook`.
    pub kind: String,
    /// Parcels of one lane leave one after another, in the order in which they were put in; `None`: in any order.
    pub lane: Option<String>,
    /// What is inside, sealed.
    pub payload: Ciphertext,
    /// Put in.
    pub created_at: Timestamp,
    /// Of no use after that.
    pub expires_at: Timestamp,
    /// Not before.
    pub next_at: Timestamp,
    /// Tries so far, a running one included.
    pub attempts: u32,
}

/// What became of a leased parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It arrived.
    Delivered,
    /// Not this time; again at the moment given.
    Later(Timestamp),
    /// It never will.
    GivenUp,
}

/// How many parcels wait, and since when the oldest does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Parcels not yet delivered.
    pub waiting: u64,
    /// When the oldest of them was put in.
    pub oldest: Option<Timestamp>,
}
