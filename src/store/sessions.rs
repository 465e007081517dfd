//! Sessions: opened at login, listed, ended with everything that hangs on them.

use super::{
    AuditRecord, EndedSession, NewSession, RevokedToken, SessionRecord, SessionsToEnd, Store,
    StoreError,
};
use crate::model::{AccountId, Digest, RealmName, SessionId, Timestamp};

#[allow(unused_variables, clippy::unused_async)]
impl Store {
    /// Opens a session: session, family, first refresh token, last login and audit at once; clears login failures.
    /// [`StoreError::Changed`] if the account is not the one that was judged, or may not log in any more.
    pub async fn open_session(
        &self,
        new: &NewSession,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// One session, ended or not.
    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        unimplemented!()
    }

    /// One session by the digest of its secret.
    pub async fn session_by_secret(
        &self,
        secret: &Digest,
    ) -> Result<Option<SessionRecord>, StoreError> {
        unimplemented!()
    }

    /// Live sessions, newest first.
    pub async fn live_sessions(
        &self,
        realm: Option<&RealmName>,
        account: Option<&AccountId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        unimplemented!()
    }

    /// Notes that a live session was used (a reusable token, a repeated refresh); `false` if it is not live.
    pub async fn touch_session(
        &self,
        id: &SessionId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Ends sessions with their families, and revokes an access token in the same breath. Idempotent: only those that
    /// this call ended come back.
    pub async fn end_sessions(
        &self,
        which: &SessionsToEnd,
        revoke: Option<&RevokedToken>,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<SessionId>, StoreError> {
        unimplemented!()
    }

    /// Sessions ended at or after `since`, for the revocation view at start.
    pub async fn sessions_ended_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<EndedSession>, StoreError> {
        unimplemented!()
    }
}
