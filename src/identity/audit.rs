//! Audit: how events of identity become records of the store, and back for the operator.

use std::time::Duration;

use serde_json::Value;

use super::{Actor, AuditCheck, AuditEntry, AuditEvent, EventKind, Identity, IdentityError};
use crate::{
    model::Timestamp,
    store::{AuditFault, AuditRange, AuditRecord, ChainedRecord},
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

    /// Removes audit events older than `keep`; called by a timer. `at_most` as for [`Identity::sweep`].
    pub async fn trim_audit(
        &self,
        keep: Duration,
        at_most: Timestamp,
    ) -> Result<(), IdentityError> {
        let now = self.now().min(at_most);
        if !self.does("sweep", super::SWEEPING).await? {
            return Ok(());
        }
        // In parts, so that no login waits for it. The last one finds nothing: what a part leaves behind is new.
        while self.inner.store.audit_trim(now - keep, now).await? > 0 {}
        Ok(())
    }

    /// Checks the chain of the audit log from its base to its head.
    pub async fn verify_audit(&self) -> Result<AuditCheck, IdentityError> {
        let verdict = self.inner.store.audit_verify().await?;
        let fault = verdict.fault.map(|fault| match fault {
            AuditFault::Edited { seq } => format!("event {seq} is not what was written"),
            AuditFault::Gap { seq } => format!("events are missing from {seq} on"),
            AuditFault::Cut { seq } => format!("the newest events are missing, from {seq} on"),
        });
        Ok(AuditCheck { checked: verdict.checked, fault })
    }

    /// A part of the log, oldest first, at most `limit` events, each with its hash: whoever keeps the last one elsewhere can
    /// prove later that nothing before it was changed.
    pub async fn audit_range(
        &self,
        range: &AuditRange,
        limit: u32,
    ) -> Result<Vec<(AuditEntry, String)>, IdentityError> {
        let part = self.inner.store.audit_range(range, limit).await?;
        Ok(part.into_iter().map(|(record, hash)| (entry(record), hash)).collect())
    }

    /// Names of the nodes that have written to the log: each has a chain of its own.
    pub async fn audit_chains(&self) -> Result<Vec<String>, IdentityError> {
        Ok(self.inner.store.audit_chains().await?)
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
        node: chained.node,
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
            Self::LoginSuspicious => "LOGIN_SUSPICIOUS",
            Self::Logout => "LOGOUT",
            Self::TokenRefresh => "TOKEN_REFRESH",
            Self::RefreshReuse => "REFRESH_REUSE",
            Self::PasswordChange => "PASSWORD_CHANGE",
            Self::PasswordResetRequested => "PASSWORD_RESET_REQUESTED",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::VerificationRequested => "VERIFICATION_REQUESTED",
            Self::EmailVerified => "EMAIL_VERIFIED",
            Self::CodeRefused => "CODE_REFUSED",
            Self::DeliveryGivenUp => "DELIVERY_GIVEN_UP",
            Self::AccountLocked => "ACCOUNT_LOCKED",
            Self::AccountCreated => "ACCOUNT_CREATED",
            Self::AccountRegistered => "ACCOUNT_REGISTERED",
            Self::AccountDeleted => "ACCOUNT_DELETED",
            Self::AccountChanged => "ACCOUNT_CHANGED",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::AccountEnabled => "ACCOUNT_ENABLED",
            Self::AccountsImported => "ACCOUNTS_IMPORTED",
            Self::ApiKeyCreated => "API_KEY_CREATED",
            Self::ApiKeyRotated => "API_KEY_ROTATED",
            Self::ApiKeyChanged => "API_KEY_CHANGED",
            Self::ApiKeyRevoked => "API_KEY_REVOKED",
            Self::GroupChanged => "GROUP_CHANGED",
            Self::PermissionChanged => "PERMISSION_CHANGED",
            Self::PermissionGranted => "PERMISSION_GRANTED",
            Self::SecondFactorEnabled => "SECOND_FACTOR_ENABLED",
            Self::SecondFactorDisabled => "SECOND_FACTOR_DISABLED",
            Self::SecondFactorUsed => "SECOND_FACTOR_USED",
            Self::BackupCodesRenewed => "BACKUP_CODES_RENEWED",
            Self::SessionEnded => "SESSION_ENDED",
            Self::SessionOpened => "SESSION_OPENED",
            Self::SigningKeyRotated => "SIGNING_KEY_ROTATED",
            Self::ClientCreated => "CLIENT_CREATED",
            Self::ClientSecretRotated => "CLIENT_SECRET_ROTATED",
            Self::ClientDisabled => "CLIENT_DISABLED",
            Self::ClientEnabled => "CLIENT_ENABLED",
            Self::ClientRemoved => "CLIENT_REMOVED",
            Self::ClientRefused => "CLIENT_REFUSED",
            Self::TokenIssued => "TOKEN_ISSUED",
            Self::TokenRevoked => "TOKEN_REVOKED",
            Self::AuthorizationCodeReuse => "AUTHORIZATION_CODE_REUSE",
            Self::AgentAuthenticated => "AGENT_AUTHENTICATED",
            Self::AgentRefused => "AGENT_REFUSED",
            Self::AgentCapabilityDenied => "AGENT_CAPABILITY_DENIED",
            Self::AgentCapabilityUsed => "AGENT_CAPABILITY_USED",
            Self::AgentTokenExpired => "AGENT_TOKEN_EXPIRED",
            Self::WebhookCreated => "WEBHOOK_CREATED",
            Self::WebhookChanged => "WEBHOOK_CHANGED",
            Self::WebhookDeleted => "WEBHOOK_DELETED",
            Self::WebhookRepeated => "WEBHOOK_REPEATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::AccountLinked => "ACCOUNT_LINKED",
            Self::AccountUnlinked => "ACCOUNT_UNLINKED",
            Self::UserAllowed => "USER_ALLOWED",
            Self::UserRemoved => "USER_REMOVED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::test_kit::Kit, model::Clock};

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

    #[tokio::test]
    async fn old_events_are_removed_and_the_chain_stays_whole() {
        let kit = Kit::open(|_| ()).await;
        kit.user("ada", &["USER"]).await;
        kit.advance(10 * 24 * 3600);
        kit.user("bob", &["USER"]).await;
        let week = Duration::from_secs(7 * 24 * 3600);
        kit.identity.trim_audit(week, kit.clock.now()).await.unwrap();
        assert_eq!(kit.events().await.first().map(String::as_str), Some("ACCOUNT_CREATED"));
        assert_eq!(kit.events().await.iter().filter(|e| *e == "ACCOUNT_CREATED").count(), 1);
        let check = kit.identity.verify_audit().await.unwrap();
        assert_eq!(check.fault, None);
        assert!(check.checked >= 2);
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
