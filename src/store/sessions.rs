//! Sessions: opened at login, listed, ended with everything that hangs on them.

use futures_util::TryStreamExt;

use super::{
    AuditRecord, Connection, EndedSession, NewSession, RevokedToken, SessionRecord, SessionsToEnd,
    Spare, Store, StoreError, failures, refresh, revocations,
    rows::{self, session_columns},
    second_factor,
};
use crate::model::{AccountId, Digest, MountName, RealmName, SessionId, Timestamp};

/// Sessions that live, newest first; `$account` says whose.
macro_rules! live {
    ($account:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            " FROM session s JOIN account a ON a.id = s.account_id \
             WHERE s.ended_at IS NULL AND s.expires_at > $3 \
             AND (CAST($1 AS TEXT) IS NULL OR s.realm = $1) AND ",
            $account,
            " ORDER BY s.created_at DESC, s.id LIMIT $4"
        )
    };
}

impl Store {
    /// Opens a session: session, family, first refresh token, last login and audit at once; clears login failures.
    /// [`StoreError::Changed`] if the account is not the one that was judged, or may not log in any more.
    pub async fn open_session(
        &self,
        new: &NewSession,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("open_session", async {
            let mut tx = self.begin().await?;
            open(&mut tx, new).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// One session, ended or not.
    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.bounded("session", async {
            sqlx::query(concat!(
                "SELECT ",
                session_columns!(),
                " FROM session s JOIN account a ON a.id = s.account_id WHERE s.id = $1"
            ))
            .bind(id.as_str())
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(rows::session)
            .transpose()
        })
        .await
    }

    /// One session by the digest of its secret.
    pub async fn session_by_secret(
        &self,
        secret: &Digest,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.bounded("session_by_secret", async {
            sqlx::query(concat!(
                "SELECT ",
                session_columns!(),
                " FROM session s JOIN account a ON a.id = s.account_id WHERE s.secret = $1"
            ))
            .bind(secret.as_bytes().as_slice())
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(rows::session)
            .transpose()
        })
        .await
    }

    /// Live sessions, newest first.
    pub async fn live_sessions(
        &self,
        realm: Option<&RealmName>,
        account: Option<&AccountId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.bounded("live_sessions", async {
            // Two texts: a condition that may be absent is one that no index serves.
            let select = match account {
                Some(_) => live!("s.account_id = $2"),
                None => live!("CAST($2 AS TEXT) IS NULL"),
            };
            sqlx::query(select)
                .bind(realm.map(RealmName::as_str))
                .bind(account.map(AccountId::as_str))
                .bind(now.millis())
                .bind(i64::from(limit))
                .fetch_all(self.readers())
                .await?
                .iter()
                .map(rows::session)
                .collect()
        })
        .await
    }

    /// Notes that a live session was used (a reusable token, a repeated refresh); `false`, and nothing written, if it is
    /// not live or its account may not log in.
    pub async fn touch_session(
        &self,
        id: &SessionId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("touch_session", async {
            let mut tx = self.begin().await?;
            let touched = sqlx::query(
                "UPDATE session SET last_seen_at = $2 WHERE id = $1 AND ended_at IS NULL \
                 AND expires_at > $2 AND EXISTS (SELECT 1 FROM account a \
                 WHERE a.id = session.account_id AND a.status = 'active')",
            )
            .bind(id.as_str())
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if touched == 0 {
                return Ok(false);
            }
            self.commit(tx, audit).await?;
            Ok(true)
        })
        .await
    }

    /// Ends sessions with their families, and revokes an access token in the same breath. Idempotent: only those that
    /// this call ended come back, and a call that ends and revokes nothing new records nothing.
    pub async fn end_sessions(
        &self,
        which: &SessionsToEnd,
        revoke: Option<&RevokedToken>,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<SessionId>, StoreError> {
        self.bounded("end_sessions", async {
            let mut tx = self.begin().await?;
            let ended = end(&mut tx, which, now).await?;
            let revoked = match revoke {
                Some(token) => revocations::insert(&mut tx, token).await?,
                None => false,
            };
            if ended.is_empty() && !revoked {
                return Ok(ended);
            }
            self.commit(tx, audit).await?;
            Ok(ended)
        })
        .await
    }

    /// Ends the sessions, with their families, that were opened at `mount` while it served another realm than `realm`.
    /// Gives those that this call ended; a call that ends nothing records nothing.
    pub async fn end_foreign_sessions(
        &self,
        mount: &MountName,
        realm: &RealmName,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<SessionId>, StoreError> {
        self.bounded_by(super::LONG_CALL, "end_foreign_sessions", async {
            // Looked for beside the writer: there are hardly ever any, and no login shall wait for the search. On both sides of
            // the realm's own name, so that an index finds them without a look at all the others.
            let any: Option<i64> = sqlx::query_scalar(
                "SELECT 1 FROM session WHERE mount = $1 AND realm < $2 AND ended_at IS NULL \
                 UNION ALL \
                 SELECT 1 FROM session WHERE mount = $1 AND realm > $2 AND ended_at IS NULL LIMIT 1",
            )
            .bind(mount.as_str())
            .bind(realm.as_str())
            .fetch_optional(self.readers())
            .await?;
            if any.is_none() {
                return Ok(Vec::new());
            }
            let mut tx = self.begin().await?;
            let ended: Vec<String> = sqlx::query_scalar(
                "UPDATE session SET ended_at = $3 \
                 WHERE mount = $1 AND realm <> $2 AND ended_at IS NULL RETURNING id",
            )
            .bind(mount.as_str())
            .bind(realm.as_str())
            .bind(now.millis())
            .fetch_all(&mut *tx)
            .await?;
            if ended.is_empty() {
                return Ok(Vec::new());
            }
            end_families(&mut tx, &ended, now).await?;
            self.commit(tx, audit).await?;
            Ok(ended.into_iter().map(SessionId::from).collect())
        })
        .await
    }

    /// Sessions ended at or after `since`, for the revocation view at start: one after another, for there may be very many.
    pub async fn sessions_ended_since(
        &self,
        since: Timestamp,
        mut take: impl FnMut(EndedSession),
    ) -> Result<(), StoreError> {
        self.bounded_by(super::LONG_CALL, "sessions_ended_since", async {
            let mut found = sqlx::query("SELECT id, ended_at FROM session WHERE ended_at >= $1")
                .bind(since.millis())
                .fetch(self.readers());
            while let Some(row) = found.try_next().await? {
                take(EndedSession {
                    id: rows::get::<String>(&row, "id")?.into(),
                    ended_at: rows::time(&row, "ended_at")?,
                });
            }
            Ok(())
        })
        .await
    }
}

/// Opens a session inside a transaction.
pub(super) async fn open(tx: &mut Connection, new: &NewSession) -> Result<(), StoreError> {
    let session = &new.session;
    // The password was judged outside this transaction; a change meanwhile must not be slipped past.
    let judged = sqlx::query(
        "UPDATE account SET last_login_at = $3 WHERE id = $1 AND version = $2 AND status = 'active'",
    )
    .bind(session.account.as_str())
    .bind(new.account_version)
    .bind(session.created_at.millis())
    .execute(&mut *tx)
    .await?;
    rows::met(&judged, StoreError::Changed)?;
    if let Some(spent) = &new.factor {
        second_factor::take(tx, &session.account, spent).await?;
    }
    insert(tx, session).await?;
    if let Some((family, token)) = &new.family {
        refresh::insert_family(tx, family).await?;
        refresh::insert_token(tx, token).await?;
    }
    for name in &new.clear_failures {
        failures::clear(tx, &session.realm, name).await?;
    }
    Ok(())
}

/// Ends sessions and their families inside a transaction; gives those that this call ended. Also such that have expired
/// by themselves: an access token issued in them shortly before may still live.
pub(super) async fn end(
    tx: &mut Connection,
    which: &SessionsToEnd,
    now: Timestamp,
) -> Result<Vec<SessionId>, StoreError> {
    let (session, account, spare) = match which {
        SessionsToEnd::One(id) => (Some(id.as_str()), None, None),
        SessionsToEnd::Account(id, Spare::Nothing) => (None, Some(id.as_str()), None),
        SessionsToEnd::Account(id, Spare::One(spare)) => {
            (None, Some(id.as_str()), Some(spare.as_str()))
        }
    };
    let ended: Vec<String> = sqlx::query_scalar(
        "UPDATE session SET ended_at = $4 WHERE ended_at IS NULL \
         AND id IN (SELECT id FROM session WHERE id = $1 \
         UNION SELECT id FROM session WHERE account_id = $2) \
         AND (CAST($3 AS TEXT) IS NULL OR id <> $3) RETURNING id",
    )
    .bind(session)
    .bind(account)
    .bind(spare)
    .bind(now.millis())
    .fetch_all(&mut *tx)
    .await?;
    end_families(tx, &ended, now).await?;
    Ok(ended.into_iter().map(SessionId::from).collect())
}

async fn end_families(
    tx: &mut Connection,
    sessions: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in sessions {
        sqlx::query(
            "UPDATE refresh_family SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL",
        )
        .bind(id)
        .bind(now.millis())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Every ended session of an account that is still kept, inside a transaction.
pub(super) async fn ended_of(
    tx: &mut Connection,
    account: &AccountId,
) -> Result<Vec<SessionId>, StoreError> {
    let ended: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM session WHERE account_id = $1 AND ended_at IS NOT NULL ORDER BY id",
    )
    .bind(account.as_str())
    .fetch_all(tx)
    .await?;
    Ok(ended.into_iter().map(SessionId::from).collect())
}

pub(super) async fn insert(tx: &mut Connection, session: &SessionRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO session (id, secret, realm, mount, account_id, created_at, last_seen_at, \
         expires_at, ended_at, ip, user_agent, device) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(session.id.as_str())
    .bind(session.secret.as_ref().map(|digest| digest.as_bytes().as_slice()))
    .bind(session.realm.as_str())
    .bind(session.mount.as_str())
    .bind(session.account.as_str())
    .bind(session.created_at.millis())
    .bind(session.last_seen_at.millis())
    .bind(session.expires_at.millis())
    .bind(session.ended_at.map(Timestamp::millis))
    .bind(session.ip.map(|ip| ip.to_string()))
    .bind(&session.user_agent)
    .bind(session.device.as_ref().map(rows::to_json).transpose()?)
    .execute(tx)
    .await?;
    Ok(())
}
