//! What an administrator of a mount sees and changes: allow list, live sessions, events, counts.

use serde_json::{Value, json};

use super::{
    Allowed, EventPage, ForeignSessions, MountEvent, PersonSession, Statistics, key,
    login::about,
    profile::{LONGEST_SUBJECT, is_subject},
    sessions::person,
};
use crate::{
    identity::{Actor, EventKind, FieldError, Identity, IdentityError},
    model::{MountName, SessionId, opaque},
    store::{AllowEntry, AuditQuery, AuditRecord, NumberedEvent},
};

/// Longest list of sessions; `total` counts them all.
const MOST_SESSIONS: u32 = 10_000;

impl Identity {
    /// Puts a person on the allow list, or back on it. `admin` is the name for the audit log.
    pub async fn allow(
        &self,
        mount: &MountName,
        subject: &str,
        comment: Option<&str>,
        admin: &str,
        by: &Actor,
    ) -> Result<Allowed, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let subject = subject.trim();
        if !is_subject(subject) {
            return Err(IdentityError::Invalid(vec![FieldError {
                field: "subject",
                kind: "invalid",
                message: format!("must be 1 to {LONGEST_SUBJECT} characters"),
            }]));
        }
        let now = self.now();
        let facts = json!({ "admin": admin, "hh_user_id": subject, "comment": comment });
        let told = about(EventKind::UserAllowed, &mount, facts, by, now);
        let key = key(&mount, &oauth, subject);
        Ok(allowed(self.inner.store.allow(&key, comment, now, &[told]).await?))
    }

    /// Takes a person off the list: no new logins. Its sessions live on, unless the mount's settings say otherwise.
    pub async fn disallow(
        &self,
        mount: &MountName,
        subject: &str,
        admin: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let now = self.now();
        let key = key(&mount, &oauth, subject);
        let facts = json!({ "admin": admin, "hh_user_id": subject });
        let told = about(EventKind::UserRemoved, &mount, facts, by, now);
        let (inner, end) = (self.inner.clone(), oauth.removal_ends_sessions);
        self.to_the_end(async move {
            let ended = inner.store.disallow(&key, end, now, &[told]).await?;
            inner.forget_sessions(ended, now);
            Ok(())
        })
        .await
    }

    /// The allow list by number.
    pub async fn allow_list(
        &self,
        mount: &MountName,
        active_only: bool,
    ) -> Result<Vec<Allowed>, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let store = &self.inner.store;
        let entries = store.allow_entries(&mount.realm, &oauth.provider, active_only).await?;
        Ok(entries.into_iter().map(allowed).collect())
    }

    /// Live sessions of the mount, newest first.
    pub async fn people_sessions(
        &self,
        mount: &MountName,
    ) -> Result<ForeignSessions, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let store = &self.inner.store;
        let live = store.foreign_sessions(&mount.name, &oauth.provider, self.now(), MOST_SESSIONS);
        let (found, total) = live.await?;
        let sessions = found.into_iter().map(|found| PersonSession {
            id: found.session.id,
            created_at: found.session.created_at,
            expires_at: found.session.expires_at,
            person: person(found.identity),
        });
        Ok(ForeignSessions { sessions: sessions.collect(), total })
    }

    /// Ends a live session of the mount by its handle or by its secret.
    pub async fn terminate_session(
        &self,
        mount: &MountName,
        id: &str,
        admin: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let (store, now) = (&self.inner.store, self.now());
        let found = match opaque::digest(id) {
            Some(secret) => store.foreign_session(&oauth.provider, &secret).await?,
            None => store.foreign_session_by_id(&oauth.provider, &SessionId::from(id)).await?,
        };
        let live = found.filter(|found| {
            let session = &found.session;
            session.mount == mount.name && session.ended_at.is_none() && session.expires_at > now
        });
        let found = live.ok_or(IdentityError::NotFound)?;
        // The handle, never what was typed: that may be the secret.
        let facts = json!({ "admin": admin, "session": found.session.id.as_str() });
        let told = AuditRecord {
            account: Some(found.identity.account.id.clone()),
            ..about(EventKind::SessionEnded, &mount, facts, by, now)
        };
        if self.end_one(found, told).await? { Ok(()) } else { Err(IdentityError::NotFound) }
    }

    /// Events of the mount, newest first; `event` narrows to one kind.
    pub async fn mount_events(
        &self,
        mount: &MountName,
        event: Option<String>,
        limit: u32,
        offset: u64,
    ) -> Result<EventPage, IdentityError> {
        let query = AuditQuery { mount: mount.clone(), event, limit, offset };
        let (page, total) = self.inner.store.audit_page(&query).await?;
        Ok(EventPage { events: page.into_iter().map(told).collect(), total })
    }

    /// Counts of people and list.
    pub async fn people_statistics(&self, mount: &MountName) -> Result<Statistics, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let counts = self.inner.store.foreign_counts(&mount.realm, &oauth.provider).await?;
        Ok(Statistics {
            accounts: counts.accounts,
            active_accounts: counts.active_accounts,
            active_entries: counts.active_entries,
            entries: counts.entries,
        })
    }
}

fn allowed(entry: AllowEntry) -> Allowed {
    Allowed {
        number: entry.number,
        subject: entry.key.subject,
        comment: entry.comment,
        active: entry.active,
        created_at: entry.created_at,
    }
}

fn told(numbered: NumberedEvent) -> MountEvent {
    let record = numbered.event.record;
    MountEvent {
        seq: numbered.event.seq,
        event: record.event.into_owned(),
        number: numbered.number,
        ip: record.ip.map(|ip| ip.to_string()),
        user_agent: record.user_agent,
        details: match record.details {
            Value::Object(map) => Value::Object(map),
            _ => json!({}),
        },
        at: record.at,
    }
}
