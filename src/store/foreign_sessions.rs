//! Sessions whose id on the wire is a secret: opened with a code, found by digest, listed by handle.

use super::{
    AuditRecord, ForeignSession, Redeem, Redeemed, SessionRecord, SessionsToEnd, Store, StoreError,
    codes,
    foreign::{self, identity_columns},
    rows::{self, account_columns, session_columns},
    sessions,
};
use crate::model::{AccountId, Digest, MountName, SessionId, Timestamp};

macro_rules! joined {
    () => {
        concat!(
            "SELECT ",
            session_columns!(),
            ", ",
            identity_columns!(),
            ", ",
            account_columns!(),
            " FROM session s JOIN account a ON a.id = s.account_id \
             JOIN foreign_identity f ON f.account_id = s.account_id AND f.realm = s.realm \
             AND f.provider = "
        )
    };
}

impl Store {
    /// Trades a code for a session; of many at once exactly one gets it, the others learn that it was traded.
    /// [`StoreError::Changed`] if the account may not log in any more.
    pub async fn redeem_for_session(
        &self,
        redeem: &Redeem,
        now: Timestamp,
        audit: &AuditRecord,
        on_reuse: &AuditRecord,
    ) -> Result<Redeemed, StoreError> {
        self.bounded("redeem_for_session", async {
            let mut tx = self.begin().await?;
            let (realm, digest) = (&redeem.realm, &redeem.digest);
            let Some(code) = codes::burn(&mut tx, realm, &redeem.purpose, digest, now).await?
            else {
                let Some(spent) = spent(&mut tx, redeem, now).await? else {
                    return Ok(Redeemed::Unknown);
                };
                let told = AuditRecord { account: spent.account.clone(), ..on_reuse.clone() };
                self.record(&mut tx, &[told]).await?;
                tx.commit().await?;
                return Ok(Redeemed::Again(spent.account));
            };
            let account = code.account.clone().ok_or(StoreError::Corrupt)?;
            let found = super::accounts::by_id(&mut tx, &account).await?;
            if !found.is_some_and(|found| found.enabled()) {
                return Err(StoreError::Changed);
            }
            codes::insert(&mut tx, &super::CodeRecord { purpose: redeem.spent.clone(), ..code })
                .await?;
            let session = SessionRecord { account: account.clone(), ..redeem.session.clone() };
            sessions::insert(&mut tx, &session).await?;
            let told = AuditRecord { account: Some(account.clone()), ..audit.clone() };
            self.record(&mut tx, &[told]).await?;
            tx.commit().await?;
            Ok(Redeemed::Opened(account))
        })
        .await
    }

    /// A session of a provider's person by the digest of its secret, ended or not.
    pub async fn foreign_session(
        &self,
        provider: &str,
        secret: &Digest,
    ) -> Result<Option<ForeignSession>, StoreError> {
        self.bounded("foreign_session", async {
            sqlx::query(concat!(joined!(), "$1 WHERE s.secret = $2"))
                .bind(provider)
                .bind(secret.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await?
                .as_ref()
                .map(foreign_session)
                .transpose()
        })
        .await
    }

    /// The same by its handle.
    pub async fn foreign_session_by_id(
        &self,
        provider: &str,
        id: &SessionId,
    ) -> Result<Option<ForeignSession>, StoreError> {
        self.bounded("foreign_session_by_id", async {
            sqlx::query(concat!(joined!(), "$1 WHERE s.id = $2 AND s.secret IS NOT NULL"))
                .bind(provider)
                .bind(id.as_str())
                .fetch_optional(self.readers())
                .await?
                .as_ref()
                .map(foreign_session)
                .transpose()
        })
        .await
    }

    /// Live sessions of a mount, newest first, at most `limit`, and how many there are.
    pub async fn foreign_sessions(
        &self,
        mount: &MountName,
        provider: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<(Vec<ForeignSession>, u64), StoreError> {
        self.bounded("foreign_sessions", async {
            let mut tx = self.readers().begin().await?;
            let total: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM session s \
                 JOIN foreign_identity f ON f.account_id = s.account_id AND f.realm = s.realm \
                 AND f.provider = $1 WHERE s.mount = $2 AND s.ended_at IS NULL AND s.expires_at > $3",
            )
            .bind(provider)
            .bind(mount.as_str())
            .bind(now.millis())
            .fetch_one(&mut *tx)
            .await?;
            let live = sqlx::query(concat!(
                joined!(),
                "$1 WHERE s.mount = $2 AND s.ended_at IS NULL AND s.expires_at > $3 \
                 ORDER BY s.created_at DESC, s.id LIMIT $4"
            ))
            .bind(provider)
            .bind(mount.as_str())
            .bind(now.millis())
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(foreign_session)
            .collect::<Result<Vec<_>, StoreError>>()?;
            Ok((live, u64::try_from(total).unwrap_or(0)))
        })
        .await
    }

    /// Ends one session; the provider's tokens go with the account's last one. `false`, and nothing written, if it had
    /// ended before.
    pub async fn end_foreign_session(
        &self,
        id: &SessionId,
        account: &AccountId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("end_foreign_session", async {
            let mut tx = self.begin().await?;
            let ended = sessions::end(&mut tx, &SessionsToEnd::One(id.clone()), now).await?;
            if ended.is_empty() {
                return Ok(false);
            }
            foreign::drop_unused_tokens(&mut tx, account, now).await?;
            self.commit(tx, audit).await?;
            Ok(true)
        })
        .await
    }
}

fn foreign_session(row: &super::Row) -> Result<ForeignSession, StoreError> {
    Ok(ForeignSession { session: rows::session(row)?, identity: foreign::identity(row)? })
}

/// The mark of a traded code, if it is one.
async fn spent(
    tx: &mut super::Connection,
    redeem: &Redeem,
    now: Timestamp,
) -> Result<Option<super::CodeRecord>, StoreError> {
    sqlx::query(
        "SELECT realm, purpose, digest, account_id, payload, created_at, expires_at \
         FROM one_time_code WHERE realm = $1 AND purpose = $2 AND digest = $3 AND expires_at > $4",
    )
    .bind(redeem.realm.as_str())
    .bind(&redeem.spent)
    .bind(redeem.digest.as_bytes().as_slice())
    .bind(now.millis())
    .fetch_optional(tx)
    .await?
    .as_ref()
    .map(codes::code_of)
    .transpose()
}
