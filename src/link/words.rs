//! What both ends call things: paths of the questions, and the bodies that are not types of identity.

use serde::{Deserialize, Serialize};

use crate::{
    identity::{ChangeKind, ChangePage, ChangeRecord},
    model::{Digest, KeyId, MountName, Principal, Timestamp},
    pipeline::{KeyEvidence, SessionEvidence},
};

/// Whether the truth can be asked.
pub const ALIVE: &str = "/link/v1/alive";
pub(super) const KEY: &str = "/link/v1/key";
pub(super) const SESSION: &str = "/link/v1/session";
pub(super) const ASSERTION: &str = "/link/v1/assertion";
pub(super) const FACTS: &str = "/link/v1/facts";
pub(super) const CHANGES: &str = "/link/v1/changes";
pub(super) const ENDED: &str = "/link/v1/ended";
pub(super) const NEWS: &str = "/link/v1/news";
pub(super) const USES: &str = "/link/v1/uses";
pub(super) const EVENTS: &str = "/link/v1/events";

/// Which key.
#[derive(Serialize, Deserialize)]
pub(super) struct AskedKey {
    pub(super) mount: MountName,
    pub(super) id: KeyId,
}

/// Which session, by the digest of its secret.
#[derive(Serialize, Deserialize)]
pub(super) struct AskedSession {
    pub(super) mount: MountName,
    pub(super) secret: [u8; 32],
}

/// What is known of a key.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyWords {
    digest: [u8; 32],
    principal: Principal,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

impl KeyWords {
    pub(super) fn of(known: &KeyEvidence) -> Self {
        Self {
            digest: *known.digest.as_bytes(),
            principal: (*known.principal).clone(),
            expires_at: known.expires_at,
            revoked: known.revoked,
        }
    }

    /// `None` cannot come: a digest has as many bytes as its array.
    pub(super) fn read(self) -> Option<KeyEvidence> {
        let Self { digest, principal, expires_at, revoked } = self;
        let digest = Digest::from_slice(&digest)?;
        Some(KeyEvidence { digest, principal: principal.into(), expires_at, revoked })
    }
}

/// What is known of a session.
#[derive(Serialize, Deserialize)]
pub(super) struct SessionWords {
    principal: Principal,
    ended: bool,
    idle_until: Option<Timestamp>,
}

impl SessionWords {
    pub(super) fn of(known: &SessionEvidence) -> Self {
        let SessionEvidence { principal, ended, idle_until } = known;
        Self { principal: (**principal).clone(), ended: *ended, idle_until: *idle_until }
    }

    pub(super) fn read(self) -> SessionEvidence {
        let Self { principal, ended, idle_until } = self;
        SessionEvidence { principal: principal.into(), ended, idle_until }
    }
}

/// Sets of keys that are asked for.
#[derive(Serialize, Deserialize)]
pub(super) struct AskedFacts {
    pub(super) sets: Vec<MountName>,
}

/// A signed statement.
#[derive(Serialize, Deserialize)]
pub(super) struct Signed {
    pub(super) text: String,
    pub(super) end: Timestamp,
}

/// Behind which change, and how many at most.
#[derive(Serialize, Deserialize)]
pub(super) struct AskedChanges {
    pub(super) after: u64,
    pub(super) limit: u32,
}

/// Changes in their order.
#[derive(Serialize, Deserialize)]
pub(super) struct Page {
    head: u64,
    changes: Vec<Change>,
}

#[derive(Serialize, Deserialize)]
struct Change {
    seq: u64,
    at: Timestamp,
    kind: String,
    subject: String,
    until: Option<Timestamp>,
}

impl Page {
    pub(super) fn of(page: ChangePage) -> Self {
        let change = |change: ChangeRecord| Change {
            seq: change.seq,
            at: change.at,
            kind: change.kind.as_str().to_owned(),
            subject: change.subject,
            until: change.until,
        };
        Self { head: page.head, changes: page.changes.into_iter().map(change).collect() }
    }

    pub(super) fn read(self) -> ChangePage {
        let change = |change: Change| ChangeRecord {
            seq: change.seq,
            at: change.at,
            kind: ChangeKind::parse(&change.kind),
            subject: change.subject,
            until: change.until,
        };
        ChangePage { head: self.head, changes: self.changes.into_iter().map(change).collect() }
    }
}

/// How many events could not be recorded.
#[derive(Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) lost: usize,
}
