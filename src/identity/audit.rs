//! Audit: how events of identity become records of the store, and back for the operator.

use serde_json::Value;

use super::{Actor, AuditEntry, AuditEvent, EventKind, Identity, IdentityError};
use crate::{
    model::Timestamp,
    store::{AuditRecord, ChainedRecord},
};

impl Identity {
    /// Records an event seen elsewhere (refusals counted by the edge).
    pub async fn record(&self, event: AuditEvent) -> Result<(), IdentityError> {
        let record = AuditRecord {
            realm: event.realm,
            mount: event.mount,
            account: event.account,
            ip: event.address,
            user_agent: event.user_agent.map(|text| text.to_string()),
            request_id: event.request_id,
            details: event.details,
            ..AuditRecord::new(event.kind.as_str(), self.now())
        };
        Ok(self.inner.store.audit_append(&[record]).await?)
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
