//! People of OpenID providers: which accounts are theirs, and the sessions that their logins open.

use serde_json::Value;

use super::{
    AccountRecord, AccountStatus, AuditRecord, CodeRecord, Connection, ForeignKey, Joined,
    LinkRecord, OidcLogged, OidcLogin, OidcLogout, OidcSession, Row, SessionsToEnd, Store,
    StoreError, accounts, codes, fold_name,
    rows::{self, account_columns, session_columns},
    sessions,
};
use crate::model::{AccountId, Digest, MountName, SessionId, Timestamp};

impl Store {
    /// Writes a proven login down, all at once: the account (made or joined where that is allowed), what the provider says,
    /// the session, the end of the one that the browser had before, the events. `told` gets the account and how it was
    /// joined.
    pub async fn oidc_login(
        &self,
        login: &OidcLogin,
        now: Timestamp,
        told: impl Fn(&AccountId, Joined) -> Vec<AuditRecord>,
    ) -> Result<OidcLogged, StoreError> {
        self.bounded("oidc_login", async {
            let mut tx = self.begin().await?;
            let Some((account, joined)) = find(&mut tx, login, now).await? else {
                return Ok(OidcLogged::Unknown);
            };
            if account.status != AccountStatus::Active {
                return Ok(OidcLogged::Disabled(account.id));
            }
            let account = account.id;
            sqlx::query("UPDATE account SET last_login_at = $2 WHERE id = $1")
                .bind(account.as_str())
                .bind(now.millis())
                .execute(&mut *tx)
                .await?;
            keep(&mut tx, &login.key, &account, &login.profile, now).await?;
            let mut ended = Vec::new();
            if let Some(before) = &login.replaces
                && let Some(id) = of_secret(&mut tx, &login.session.mount, before).await?
            {
                ended = sessions::end(&mut tx, &SessionsToEnd::One(id), now).await?;
            }
            let session =
                super::SessionRecord { account: account.clone(), ..login.session.clone() };
            sessions::insert(&mut tx, &session).await?;
            sqlx::query(
                "INSERT INTO oidc_session (session_id, mount, issuer, subject, sid) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(session.id.as_str())
            .bind(session.mount.as_str())
            .bind(&login.key.provider)
            .bind(&login.key.subject)
            .bind(&login.sid)
            .execute(&mut *tx)
            .await?;
            self.commit(tx, &told(&account, joined)).await?;
            Ok(OidcLogged::Done { account, joined, ended })
        })
        .await
    }

    /// A session of this mount by the digest of its secret, ended or not.
    pub async fn oidc_session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<OidcSession>, StoreError> {
        self.bounded("oidc_session", async {
            sqlx::query(concat!(
                "SELECT ",
                session_columns!(),
                ", o.issuer AS o_issuer, o.subject AS o_subject, f.profile AS f_profile, ",
                account_columns!(),
                " FROM session s JOIN oidc_session o ON o.session_id = s.id \
                 JOIN account a ON a.id = s.account_id \
                 JOIN foreign_identity f ON f.realm = s.realm AND f.provider = o.issuer \
                 AND f.subject = o.subject AND f.account_id = s.account_id \
                 WHERE s.secret = $1 AND s.mount = $2"
            ))
            .bind(secret.as_bytes().as_slice())
            .bind(mount.as_str())
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(oidc_session)
            .transpose()
        })
        .await
    }

    /// Ends what a provider says has ended there, and remembers the token that said so. [`StoreError::Spent`]: it came
    /// before.
    pub async fn oidc_logout(
        &self,
        logout: &OidcLogout,
        now: Timestamp,
        told: impl Fn(&[SessionId]) -> Vec<AuditRecord>,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.bounded("oidc_logout", async {
            let mut tx = self.begin().await?;
            let spent = CodeRecord {
                realm: logout.realm.clone(),
                purpose: logout.purpose.clone(),
                digest: logout.token,
                account: None,
                payload: Value::Object(serde_json::Map::new()),
                created_at: now,
                expires_at: logout.ends,
            };
            match codes::insert(&mut tx, &spent).await {
                Err(StoreError::Conflict { .. }) => return Err(StoreError::Spent),
                other => other?,
            }
            // A session, of that person where both are named; without a session all of the person.
            let named: Vec<String> = sqlx::query_scalar(
                "SELECT session_id FROM oidc_session WHERE mount = $1 AND issuer = $2 \
                 AND (CAST($3 AS TEXT) IS NULL OR subject = $3) \
                 AND (CAST($4 AS TEXT) IS NULL OR sid = $4)",
            )
            .bind(logout.mount.as_str())
            .bind(&logout.issuer)
            .bind(&logout.subject)
            .bind(&logout.sid)
            .fetch_all(&mut *tx)
            .await?;
            let mut ended = Vec::new();
            for id in named {
                let which = SessionsToEnd::One(id.into());
                ended.extend(sessions::end(&mut tx, &which, now).await?);
            }
            self.commit(tx, &told(&ended)).await?;
            Ok(ended)
        })
        .await
    }

    /// Joins a person of a provider to an account. [`StoreError::Conflict`]: the person is somebody else's already.
    pub async fn link_account(
        &self,
        key: &ForeignKey,
        account: &AccountId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("link_account", async {
            let mut tx = self.begin().await?;
            if let Some(known) = known(&mut tx, key).await? {
                let same = known.id == *account;
                return if same { Ok(()) } else { Err(StoreError::Conflict { field: "sub" }) };
            }
            keep(&mut tx, key, account, &Value::Object(serde_json::Map::new()), now).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Takes a person of a provider off an account, and ends the sessions that hang on it. [`StoreError::NotFound`]: it is
    /// not on it.
    pub async fn unlink_account(
        &self,
        key: &ForeignKey,
        account: &AccountId,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<Vec<SessionId>, StoreError> {
        self.bounded("unlink_account", async {
            let mut tx = self.begin().await?;
            let removed = sqlx::query(
                "DELETE FROM foreign_identity \
                 WHERE realm = $1 AND provider = $2 AND subject = $3 AND account_id = $4",
            )
            .bind(key.realm.as_str())
            .bind(&key.provider)
            .bind(&key.subject)
            .bind(account.as_str())
            .execute(&mut *tx)
            .await?;
            rows::met(&removed, StoreError::NotFound)?;
            let hanging: Vec<String> = sqlx::query_scalar(
                "SELECT o.session_id FROM oidc_session o JOIN session s ON s.id = o.session_id \
                 WHERE s.account_id = $1 AND o.issuer = $2 AND o.subject = $3",
            )
            .bind(account.as_str())
            .bind(&key.provider)
            .bind(&key.subject)
            .fetch_all(&mut *tx)
            .await?;
            let mut ended = Vec::new();
            for id in hanging {
                let which = SessionsToEnd::One(id.into());
                ended.extend(sessions::end(&mut tx, &which, now).await?);
            }
            self.commit(tx, audit).await?;
            Ok(ended)
        })
        .await
    }

    /// Which people of providers an account is.
    pub async fn links(&self, account: &AccountId) -> Result<Vec<LinkRecord>, StoreError> {
        self.bounded("links", async {
            let rows = sqlx::query(
                "SELECT realm, provider, subject, updated_at FROM foreign_identity \
                 WHERE account_id = $1 ORDER BY provider, subject",
            )
            .bind(account.as_str())
            .fetch_all(self.readers())
            .await?;
            let link = |row: &Row| {
                Ok(LinkRecord {
                    key: ForeignKey {
                        realm: rows::get::<String>(row, "realm")?.into(),
                        provider: rows::get(row, "provider")?,
                        subject: rows::get(row, "subject")?,
                    },
                    updated_at: rows::time(row, "updated_at")?,
                })
            };
            rows.iter().map(link).collect()
        })
        .await
    }
}

/// The account of a login; made or joined where it may be.
async fn find(
    tx: &mut Connection,
    login: &OidcLogin,
    now: Timestamp,
) -> Result<Option<(AccountRecord, Joined)>, StoreError> {
    if let Some(found) = known(tx, &login.key).await? {
        return Ok(Some((found, Joined::Before)));
    }
    if let Some(email) = &login.join
        && let Some(found) = with_email(tx, &login.key, email).await?
    {
        return Ok(Some((found, Joined::ByEmail)));
    }
    let Some(account) = &login.create else { return Ok(None) };
    let mut account = AccountRecord { last_login_at: Some(now), ..account.clone() };
    if accounts::taken(tx, &account, None).await?.is_some() {
        // The name is for people to read; the person is the provider's id.
        account.username = None;
    }
    accounts::insert(tx, &account).await?;
    Ok(Some((account, Joined::Created)))
}

async fn known(tx: &mut Connection, key: &ForeignKey) -> Result<Option<AccountRecord>, StoreError> {
    sqlx::query(concat!(
        "SELECT ",
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
    .map(rows::account)
    .transpose()
}

/// The account that has proven this address itself, and is nobody of this provider yet: an address is believed once.
async fn with_email(
    tx: &mut Connection,
    key: &ForeignKey,
    email: &str,
) -> Result<Option<AccountRecord>, StoreError> {
    sqlx::query(concat!(
        "SELECT ",
        account_columns!(),
        " FROM account a WHERE a.realm = $1 AND a.email_key = $2 AND a.email_verified = 1 \
         AND NOT EXISTS (SELECT 1 FROM foreign_identity f WHERE f.account_id = a.id \
         AND f.realm = $1 AND f.provider = $3)"
    ))
    .bind(key.realm.as_str())
    .bind(fold_name(email))
    .bind(&key.provider)
    .fetch_optional(tx)
    .await?
    .as_ref()
    .map(rows::account)
    .transpose()
}

/// Keeps whose account it is, and what the provider says of the person.
async fn keep(
    tx: &mut Connection,
    key: &ForeignKey,
    account: &AccountId,
    profile: &Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO foreign_identity (realm, provider, subject, account_id, generation, profile, \
         updated_at) VALUES ($1, $2, $3, $4, 0, $5, $6) \
         ON CONFLICT (realm, provider, subject) DO UPDATE SET profile = $5, updated_at = $6",
    )
    .bind(key.realm.as_str())
    .bind(&key.provider)
    .bind(&key.subject)
    .bind(account.as_str())
    .bind(rows::to_json(profile)?)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

async fn of_secret(
    tx: &mut Connection,
    mount: &MountName,
    secret: &Digest,
) -> Result<Option<SessionId>, StoreError> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT id FROM session WHERE secret = $1 AND mount = $2")
            .bind(secret.as_bytes().as_slice())
            .bind(mount.as_str())
            .fetch_optional(tx)
            .await?;
    Ok(found.map(SessionId::from))
}

fn oidc_session(row: &Row) -> Result<OidcSession, StoreError> {
    let session = rows::session(row)?;
    Ok(OidcSession {
        key: ForeignKey {
            realm: session.realm.clone(),
            provider: rows::get(row, "o_issuer")?,
            subject: rows::get(row, "o_subject")?,
        },
        session,
        account: rows::account(row)?,
        profile: rows::json(row, "f_profile")?,
    })
}
