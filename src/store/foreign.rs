//! Logins that an outside provider has proven, and the tokens it gave for them.

use super::{
    Ciphertext, Connection, ForeignIdentity, ForeignKey, ForeignLogin, ForeignTokens, LoggedIn,
    Row, Store, StoreError, accounts, allow, codes,
    rows::{self, account_columns},
};
use crate::{
    model::Timestamp,
    store::{AccountStatus, AuditRecord},
};

macro_rules! identity_columns {
    () => {
        "f.realm AS f_realm, f.provider AS f_provider, f.subject AS f_subject, \
         f.access_token AS f_access_token, f.refresh_token AS f_refresh_token, \
         f.expires_at AS f_expires_at, f.generation AS f_generation, f.profile AS f_profile, \
         a.number AS a_number"
    };
}

pub(super) use identity_columns;

impl Store {
    /// Writes a proven login down, all at once: the account (made at the first login), what the provider says, its
    /// tokens, the exchange code, the event. Whether the person is allowed is looked at inside, so that a removal
    /// meanwhile holds.
    pub async fn foreign_login(
        &self,
        login: &ForeignLogin,
        now: Timestamp,
        audit: &AuditRecord,
    ) -> Result<LoggedIn, StoreError> {
        self.bounded("foreign_login", async {
            let mut tx = self.begin().await?;
            if !allow::is_allowed(&mut tx, &login.key).await? {
                return Ok(LoggedIn::NotAllowed);
            }
            let account = match known(&mut tx, &login.key).await? {
                Some(found) => {
                    if found.account.status != AccountStatus::Active {
                        return Ok(LoggedIn::Disabled(found.account.id));
                    }
                    refresh_account(&mut tx, login, &found, now).await?;
                    found.account.id
                }
                None => {
                    make_account(&mut tx, login, now).await?;
                    login.account.id.clone()
                }
            };
            let code = super::CodeRecord { account: Some(account.clone()), ..login.code.clone() };
            codes::insert(&mut tx, &code).await?;
            let told = AuditRecord { account: Some(account.clone()), ..audit.clone() };
            self.record(&mut tx, &[told]).await?;
            tx.commit().await?;
            Ok(LoggedIn::Done(account))
        })
        .await
    }

    /// A person of a provider.
    pub async fn foreign_identity(
        &self,
        key: &ForeignKey,
    ) -> Result<Option<ForeignIdentity>, StoreError> {
        self.bounded("foreign_identity", async {
            let mut connection = self.readers().acquire().await?;
            known(&mut connection, key).await
        })
        .await
    }

    /// Replaces the token set if it is still the one that the caller has seen; `false`, and nothing written, if another
    /// was faster.
    pub async fn replace_foreign_tokens(
        &self,
        key: &ForeignKey,
        seen: i64,
        new: &ForeignTokens,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<bool, StoreError> {
        self.bounded("replace_foreign_tokens", async {
            let mut tx = self.begin().await?;
            let replaced = sqlx::query(
                "UPDATE foreign_identity SET access_token = $4, refresh_token = $5, expires_at = $6, \
                 generation = generation + 1, updated_at = $7 \
                 WHERE realm = $1 AND provider = $2 AND subject = $3 AND generation = $8",
            )
            .bind(key.realm.as_str())
            .bind(&key.provider)
            .bind(&key.subject)
            .bind(bytes(new.access.as_ref()))
            .bind(bytes(new.refresh.as_ref()))
            .bind(new.expires_at.map(Timestamp::millis))
            .bind(now.millis())
            .bind(seen)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if replaced == 0 {
                return Ok(false);
            }
            self.commit(tx, audit).await?;
            Ok(true)
        })
        .await
    }
}

/// Columns of [`identity_columns`] and of the account.
pub(super) fn identity(row: &Row) -> Result<ForeignIdentity, StoreError> {
    let sealed =
        |name| Ok::<_, StoreError>(rows::get::<Option<Vec<u8>>>(row, name)?.map(Ciphertext));
    Ok(ForeignIdentity {
        key: ForeignKey {
            realm: rows::get::<String>(row, "f_realm")?.into(),
            provider: rows::get(row, "f_provider")?,
            subject: rows::get(row, "f_subject")?,
        },
        account: rows::account(row)?,
        number: rows::get::<Option<i64>>(row, "a_number")?.ok_or(StoreError::Corrupt)?,
        profile: rows::json(row, "f_profile")?,
        tokens: ForeignTokens {
            access: sealed("f_access_token")?,
            refresh: sealed("f_refresh_token")?,
            expires_at: rows::maybe_time(row, "f_expires_at")?,
            generation: rows::get(row, "f_generation")?,
        },
    })
}

/// Drops the tokens of the accounts that have no live session left, inside a transaction: nobody could use them.
pub(super) async fn drop_unused_tokens(
    tx: &mut Connection,
    account: &crate::model::AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE foreign_identity SET access_token = NULL, refresh_token = NULL, expires_at = NULL, \
         generation = generation + 1, updated_at = $2 \
         WHERE account_id = $1 AND NOT EXISTS (SELECT 1 FROM session s WHERE s.account_id = $1 \
         AND s.secret IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > $2)",
    )
    .bind(account.as_str())
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

async fn known(
    tx: &mut Connection,
    key: &ForeignKey,
) -> Result<Option<ForeignIdentity>, StoreError> {
    sqlx::query(concat!(
        "SELECT ",
        identity_columns!(),
        ", ",
        account_columns!(),
        " FROM foreign_identity f JOIN account a ON a.id = f.account_id \
         WHERE f.realm = $1 AND f.provider = $2 AND f.subject = $3"
    ))
    .bind(key.realm.as_str())
    .bind(&key.provider)
    .bind(&key.subject)
    .fetch_optional(tx)
    .await?
    .as_ref()
    .map(identity)
    .transpose()
}

/// A login replaces the tokens for all sessions of the person, and what the provider says.
async fn refresh_account(
    tx: &mut Connection,
    login: &ForeignLogin,
    found: &ForeignIdentity,
    now: Timestamp,
) -> Result<(), StoreError> {
    let said = &login.account;
    sqlx::query(
        "UPDATE account SET full_name = $2, first_name = $3, last_name = $4, last_login_at = $5, \
         updated_at = CASE WHEN $6 = 1 THEN $5 ELSE updated_at END WHERE id = $1",
    )
    .bind(found.account.id.as_str())
    .bind(&said.full_name)
    .bind(&said.first_name)
    .bind(&said.last_name)
    .bind(now.millis())
    .bind(i64::from(found.profile != login.profile))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE foreign_identity SET access_token = $4, refresh_token = $5, expires_at = $6, \
         generation = generation + 1, profile = $7, updated_at = $8 \
         WHERE realm = $1 AND provider = $2 AND subject = $3",
    )
    .bind(login.key.realm.as_str())
    .bind(&login.key.provider)
    .bind(&login.key.subject)
    .bind(bytes(login.tokens.access.as_ref()))
    .bind(bytes(login.tokens.refresh.as_ref()))
    .bind(login.tokens.expires_at.map(Timestamp::millis))
    .bind(rows::to_json(&login.profile)?)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

async fn make_account(
    tx: &mut Connection,
    login: &ForeignLogin,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut account = login.account.clone();
    account.last_login_at = Some(now);
    if accounts::taken(tx, &account, None).await?.is_some() {
        // Somebody has the name in a shared realm. It is for people to read; the person is the provider's id.
        account.username = None;
    }
    accounts::insert(tx, &account).await?;
    sqlx::query(
        "UPDATE account SET number = (SELECT COALESCE(MAX(b.number), 0) + 1 FROM account b \
         WHERE b.realm = $2) WHERE id = $1",
    )
    .bind(account.id.as_str())
    .bind(account.realm.as_str())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO foreign_identity (realm, provider, subject, account_id, access_token, \
         refresh_token, expires_at, generation, profile, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)",
    )
    .bind(login.key.realm.as_str())
    .bind(&login.key.provider)
    .bind(&login.key.subject)
    .bind(account.id.as_str())
    .bind(bytes(login.tokens.access.as_ref()))
    .bind(bytes(login.tokens.refresh.as_ref()))
    .bind(login.tokens.expires_at.map(Timestamp::millis))
    .bind(rows::to_json(&login.profile)?)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

fn bytes(sealed: Option<&Ciphertext>) -> Option<&[u8]> {
    sealed.map(|sealed| sealed.0.as_slice())
}
