//! From rows to records. Every query names its columns through the macros here, under one alias per table, so that
//! joined rows decode with the same functions.

use serde::de::DeserializeOwned;
use sqlx::{Decode, Row as _, Type};

use super::{
    AccountRecord, AccountStatus, Ciphertext, Db, FamilyRecord, KeyRecord, RefreshRecord, Row,
    SessionRecord, SigningKeyRecord, StoreError,
};
use crate::model::{Digest, Timestamp};

macro_rules! account_columns {
    () => {
        "a.id AS a_id, a.realm AS a_realm, a.username AS a_username, a.email AS a_email, \
         a.password_hash AS a_password_hash, a.password_changed_at AS a_password_changed_at, \
         a.status AS a_status, a.roles AS a_roles, a.tenant AS a_tenant, a.full_name AS a_full_name, \
         a.first_name AS a_first_name, a.last_name AS a_last_name, \
         a.email_verified AS a_email_verified, a.totp_secret AS a_totp_secret, \
         a.totp_enabled_at AS a_totp_enabled_at, a.preferences AS a_preferences, \
         a.version AS a_version, a.created_at AS a_created_at, a.updated_at AS a_updated_at, \
         a.last_login_at AS a_last_login_at"
    };
}

macro_rules! session_columns {
    () => {
        "s.id AS s_id, s.secret AS s_secret, s.realm AS s_realm, s.mount AS s_mount, \
         s.account_id AS s_account_id, s.created_at AS s_created_at, \
         s.last_seen_at AS s_last_seen_at, s.expires_at AS s_expires_at, \
         s.ended_at AS s_ended_at, s.ip AS s_ip, s.user_agent AS s_user_agent, \
         s.device AS s_device, COALESCE(a.username, a.email) AS s_name"
    };
}

macro_rules! family_columns {
    () => {
        "f.id AS f_id, f.session_id AS f_session_id, f.reusable AS f_reusable, \
         f.generation AS f_generation, f.created_at AS f_created_at, \
         f.expires_at AS f_expires_at, f.ended_at AS f_ended_at"
    };
}

macro_rules! refresh_columns {
    () => {
        "t.id AS t_id, t.family_id AS t_family_id, t.generation AS t_generation, \
         t.digest AS t_digest, t.issued_at AS t_issued_at, t.expires_at AS t_expires_at, \
         t.spent_at AS t_spent_at"
    };
}

macro_rules! key_columns {
    () => {
        "k.id AS k_id, k.mount AS k_mount, k.realm AS k_realm, k.owner_id AS k_owner_id, \
         k.name AS k_name, k.description AS k_description, k.hint AS k_hint, k.digest AS k_digest, \
         k.scopes AS k_scopes, k.allowed_ips AS k_allowed_ips, \
         k.rate_limit_per_hour AS k_rate_limit_per_hour, k.created_at AS k_created_at, \
         k.expires_at AS k_expires_at, k.revoked_at AS k_revoked_at, \
         k.replaced_by AS k_replaced_by, k.last_used_at AS k_last_used_at, \
         k.usage_count AS k_usage_count"
    };
}

pub(super) use {account_columns, family_columns, key_columns, refresh_columns, session_columns};

/// Columns of [`account_columns`].
pub(super) fn account(row: &Row) -> Result<AccountRecord, StoreError> {
    let text = |name| get::<Option<String>>(row, name);
    Ok(AccountRecord {
        id: get::<String>(row, "a_id")?.into(),
        realm: get::<String>(row, "a_realm")?.into(),
        username: text("a_username")?,
        email: text("a_email")?,
        password_hash: text("a_password_hash")?.map(Into::into),
        password_changed_at: maybe_time(row, "a_password_changed_at")?,
        status: AccountStatus::parse(&get::<String>(row, "a_status")?)
            .ok_or(StoreError::Corrupt)?,
        roles: json(row, "a_roles")?,
        tenant: text("a_tenant")?,
        full_name: text("a_full_name")?,
        first_name: text("a_first_name")?,
        last_name: text("a_last_name")?,
        email_verified: get::<i64>(row, "a_email_verified")? != 0,
        totp_secret: get::<Option<Vec<u8>>>(row, "a_totp_secret")?.map(Ciphertext),
        totp_enabled_at: maybe_time(row, "a_totp_enabled_at")?,
        preferences: json(row, "a_preferences")?,
        version: get(row, "a_version")?,
        created_at: time(row, "a_created_at")?,
        updated_at: time(row, "a_updated_at")?,
        last_login_at: maybe_time(row, "a_last_login_at")?,
    })
}

/// Columns of [`session_columns`].
pub(super) fn session(row: &Row) -> Result<SessionRecord, StoreError> {
    Ok(SessionRecord {
        id: get::<String>(row, "s_id")?.into(),
        secret: get::<Option<Vec<u8>>>(row, "s_secret")?
            .map(|bytes| to_digest(&bytes))
            .transpose()?,
        realm: get::<String>(row, "s_realm")?.into(),
        mount: get::<String>(row, "s_mount")?.into(),
        account: get::<String>(row, "s_account_id")?.into(),
        name: get(row, "s_name")?,
        created_at: time(row, "s_created_at")?,
        last_seen_at: time(row, "s_last_seen_at")?,
        expires_at: time(row, "s_expires_at")?,
        ended_at: maybe_time(row, "s_ended_at")?,
        ip: parsed(row, "s_ip")?,
        user_agent: get(row, "s_user_agent")?,
        device: maybe_json(row, "s_device")?,
    })
}

/// Columns of [`family_columns`].
pub(super) fn family(row: &Row) -> Result<FamilyRecord, StoreError> {
    Ok(FamilyRecord {
        id: get(row, "f_id")?,
        session: get::<String>(row, "f_session_id")?.into(),
        reusable: get::<i64>(row, "f_reusable")? != 0,
        generation: get(row, "f_generation")?,
        created_at: time(row, "f_created_at")?,
        expires_at: time(row, "f_expires_at")?,
        ended_at: maybe_time(row, "f_ended_at")?,
    })
}

/// Columns of [`refresh_columns`].
pub(super) fn refresh(row: &Row) -> Result<RefreshRecord, StoreError> {
    Ok(RefreshRecord {
        id: get(row, "t_id")?,
        family: get(row, "t_family_id")?,
        generation: get(row, "t_generation")?,
        digest: digest(row, "t_digest")?,
        issued_at: time(row, "t_issued_at")?,
        expires_at: time(row, "t_expires_at")?,
        spent_at: maybe_time(row, "t_spent_at")?,
    })
}

/// Columns of [`key_columns`].
pub(super) fn key(row: &Row) -> Result<KeyRecord, StoreError> {
    let limit: Option<i64> = get(row, "k_rate_limit_per_hour")?;
    Ok(KeyRecord {
        id: get::<String>(row, "k_id")?.into(),
        mount: get::<String>(row, "k_mount")?.into(),
        realm: get::<String>(row, "k_realm")?.into(),
        owner: get::<String>(row, "k_owner_id")?.into(),
        name: get(row, "k_name")?,
        description: get(row, "k_description")?,
        hint: get(row, "k_hint")?,
        digest: digest(row, "k_digest")?,
        scopes: json(row, "k_scopes")?,
        allowed_ips: json(row, "k_allowed_ips")?,
        rate_limit_per_hour: limit
            .map(|limit| u32::try_from(limit).map_err(|_| StoreError::Corrupt))
            .transpose()?,
        created_at: time(row, "k_created_at")?,
        expires_at: maybe_time(row, "k_expires_at")?,
        revoked_at: maybe_time(row, "k_revoked_at")?,
        replaced_by: get::<Option<String>>(row, "k_replaced_by")?.map(Into::into),
        last_used_at: maybe_time(row, "k_last_used_at")?,
        usage_count: u64::try_from(get::<i64>(row, "k_usage_count")?)
            .map_err(|_| StoreError::Corrupt)?,
    })
}

/// A whole row of `signing_key`.
pub(super) fn signing_key(row: &Row) -> Result<SigningKeyRecord, StoreError> {
    Ok(SigningKeyRecord {
        mount: get::<String>(row, "mount")?.into(),
        kid: get(row, "kid")?,
        algorithm: get(row, "algorithm")?,
        private: Ciphertext(get(row, "private_key")?),
        public: get(row, "public_key")?,
        created_at: time(row, "created_at")?,
        retired_at: maybe_time(row, "retired_at")?,
        expires_at: maybe_time(row, "expires_at")?,
    })
}

/// That a statement met a row; `missed` if it met none.
pub(super) fn met(
    done: &<Db as sqlx::Database>::QueryResult,
    missed: StoreError,
) -> Result<(), StoreError> {
    if done.rows_affected() == 0 { Err(missed) } else { Ok(()) }
}

/// One column.
pub(super) fn get<'r, T: Decode<'r, Db> + Type<Db>>(
    row: &'r Row,
    name: &str,
) -> Result<T, StoreError> {
    Ok(row.try_get(name)?)
}

/// A time.
pub(super) fn time(row: &Row, name: &str) -> Result<Timestamp, StoreError> {
    get(row, name).map(Timestamp)
}

/// A time that may be missing.
pub(super) fn maybe_time(row: &Row, name: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(get::<Option<i64>>(row, name)?.map(Timestamp))
}

/// A value kept as JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &Row, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(&get::<String>(row, name)?).map_err(|_| StoreError::Corrupt)
}

/// A value kept as JSON text that may be missing.
pub(super) fn maybe_json<T: DeserializeOwned>(
    row: &Row,
    name: &str,
) -> Result<Option<T>, StoreError> {
    get::<Option<String>>(row, name)?
        .map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt))
        .transpose()
}

/// A value kept in its usual text form that may be missing.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row, name: &str) -> Result<Option<T>, StoreError> {
    get::<Option<String>>(row, name)?
        .map(|text| text.parse().map_err(|_| StoreError::Corrupt))
        .transpose()
}

/// A digest.
pub(super) fn digest(row: &Row, name: &str) -> Result<Digest, StoreError> {
    to_digest(&get::<Vec<u8>>(row, name)?)
}

/// JSON text of a value.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Internal)
}

fn to_digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    Digest::from_slice(bytes).ok_or(StoreError::Corrupt)
}
