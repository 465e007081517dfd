//! Audit: how events of identity become records of the store, and back for the operator.

use serde_json::Value;

use super::{Actor, AuditEntry, AuditEvent, EventKind, Identity, IdentityError};
use crate::{
    model::Timestamp,
    store::{AuditRecord, ChainedRecord},
};

/// Events per transaction: each costs a sync to the disk, and no login waits long for it.
const BATCH: usize = 500;

impl Identity {
    /// Records events seen elsewhere (refusals counted by the edge), many in one transaction. Gives how many could not
    /// be recorded: after a failure the rest is not tried.
    pub async fn record_all(&self, events: Vec<AuditEvent>) -> usize {
        let now = self.now();
        let records: Vec<AuditRecord> = events.into_iter().map(|event| noted(event, now)).collect();
        let mut left = records.len();
        for batch in records.chunks(BATCH) {
            if let Err(error) = self.inner.store.audit_append(batch).await {
                tracing::warn!(event = "audit_not_recorded", %error, events = left);
                return left;
            }
            left -= batch.len();
        }
        left
    }

    /// Newest audit events first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, IdentityError> {
        let tail = self.inner.store.audit_tail(limit).await?;
        Ok(tail.into_iter().map(entry).collect())
    }
}

/// An event of this kind, done by `by`; to be filled with `..`. The account is the actor's own unless said otherwise.
pub(super) fn event(kind: EventKind, by: &Actor, now: Timestamp) -> AuditRecord {
    let client = by.client.as_ref();
    AuditRecord {
        account: by.account.clone(),
        ip: by.address(),
        user_agent: client.and_then(|facts| facts.user_agent.clone()),
        request_id: client.map(|facts| facts.request_id.clone()),
        ..AuditRecord::new(kind.as_str(), now)
    }
}

/// Details of what one does to another's things: who did it, and further facts.
pub(super) fn done_by<const N: usize>(by: &Actor, facts: [(&str, Value); N]) -> Value {
    let actor = by.account.as_ref().map_or("operator", |id| id.as_str());
    let facts = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact));
    Value::Object([("by".to_owned(), actor.into())].into_iter().chain(facts).collect())
}

fn noted(event: AuditEvent, now: Timestamp) -> AuditRecord {
    AuditRecord {
        realm: event.realm,
        mount: event.mount,
        account: event.account,
        ip: event.address,
        user_agent: event.user_agent.map(|text| text.to_string()),
        request_id: event.request_id,
        details: event.details,
        ..AuditRecord::new(event.kind.as_str(), now)
    }
}

fn entry(chained: ChainedRecord) -> AuditEntry {
    let record = chained.record;
    AuditEntry {
        seq: chained.seq,
        event_type: record.event.into_owned(),
        timestamp: record.at,
        realm: record.realm.map(|realm| realm.to_string()),
        mount: record.mount.map(|mount| mount.to_string()),
        user_id: record.account.map(|account| account.to_string()),
        ip_address: record.ip.map(|ip| ip.to_string()),
        user_agent: record.user_agent,
        request_id: record.request_id,
        details: record.details,
    }
}

impl EventKind {
    /// The spelling of the contract: upper snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSuccess => "LOGIN_SUCCESS",
            Self::LoginFailed => "LOGIN_FAILED",
            Self::Logout => "LOGOUT",
            Self::TokenRefresh => "TOKEN_REFRESH",
            Self::RefreshReuse => "REFRESH_REUSE",
            Self::PasswordChange => "PASSWORD_CHANGE",
            Self::AccountLocked => "ACCOUNT_LOCKED",
            Self::AccountCreated => "ACCOUNT_CREATED",
            Self::AccountChanged => "ACCOUNT_CHANGED",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::AccountEnabled => "ACCOUNT_ENABLED",
            Self::AccountsImported => "ACCOUNTS_IMPORTED",
            Self::ApiKeyCreated => "API_KEY_CREATED",
            Self::ApiKeyRotated => "API_KEY_ROTATED",
            Self::ApiKeyRevoked => "API_KEY_REVOKED",
            Self::SessionEnded => "SESSION_ENDED",
            Self::SigningKeyRotated => "SIGNING_KEY_ROTATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_kit::Kit;

    #[tokio::test]
    async fn many_events_are_all_recorded_and_what_is_not_is_counted() {
        let kit = Kit::open(|_| ()).await;
        let event = AuditEvent {
            kind: EventKind::PermissionDenied,
            realm: None,
            mount: None,
            account: None,
            address: None,
            user_agent: None,
            request_id: None,
            details: Value::Null,
        };
        assert_eq!(kit.identity.record_all(vec![event.clone(); 2 * BATCH + 1]).await, 0);
        assert_eq!(kit.identity.audit(9999).await.unwrap().len(), 2 * BATCH + 1);
        kit.identity.inner.store.close().await;
        assert_eq!(kit.identity.record_all(vec![event; 3]).await, 3);
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for kind in [
            EventKind::LoginSuccess,
            EventKind::RefreshReuse,
            EventKind::ApiKeyRevoked,
            EventKind::SigningKeyRotated,
            EventKind::RateLimitExceeded,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
