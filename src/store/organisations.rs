//! Organisations and who belongs to them. An account has one organisation, whose id is its `tenant`.

use super::{
    AccountRecord, AuditRecord, Connection, MemberRecord, NewOrganisation, OrganisationRecord, Row,
    Store, StoreError, accounts,
    rows::{self, account_columns},
};
use crate::model::{AccountId, OrganisationId, Timestamp};

/// The role of whoever an organisation belongs to.
pub const OWNER: &str = "owner";

impl Store {
    /// Makes an account that belongs to an organisation. [`StoreError::NotFound`] if there is no such organisation.
    pub async fn insert_member(
        &self,
        account: &AccountRecord,
        organisation: &OrganisationId,
        role: &str,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_member", async {
            let mut tx = self.begin().await?;
            let found = by_id(&mut tx, organisation).await?.ok_or(StoreError::NotFound)?;
            if found.realm != account.realm {
                return Err(StoreError::NotFound);
            }
            add_account(&mut tx, account).await?;
            join(&mut tx, organisation, &account.id, role, account.created_at).await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// The organisation of an account that has none yet is made, with the account as its owner. One that has its
    /// organisation keeps it, and nothing is recorded.
    pub async fn ensure_organisation(
        &self,
        account: &AccountId,
        new: &NewOrganisation,
        audit: &[AuditRecord],
    ) -> Result<OrganisationRecord, StoreError> {
        self.bounded("ensure_organisation", async {
            let mut tx = self.begin().await?;
            if let Some(known) = of_account(&mut tx, account).await? {
                return Ok(known);
            }
            let organisation = found(&mut tx, new, account).await?;
            let now = organisation.created_at;
            sqlx::query("UPDATE account SET tenant = $2, updated_at = $3 WHERE id = $1")
                .bind(account.as_str())
                .bind(organisation.id.as_str())
                .bind(now.millis())
                .execute(&mut *tx)
                .await?;
            self.commit(tx, audit).await?;
            Ok(organisation)
        })
        .await
    }

    /// One organisation.
    pub async fn organisation(
        &self,
        id: &OrganisationId,
    ) -> Result<Option<OrganisationRecord>, StoreError> {
        self.bounded("organisation", async {
            let mut connection = self.readers().acquire().await?;
            by_id(&mut connection, id).await
        })
        .await
    }

    /// Members of an organisation, the first ones first, behind `after`.
    pub async fn members(
        &self,
        organisation: &OrganisationId,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<MemberRecord>, StoreError> {
        self.bounded("members", async {
            sqlx::query(concat!(
                "SELECT ",
                account_columns!(),
                ", m.role AS m_role, m.created_at AS m_created_at FROM membership m \
                 JOIN account a ON a.id = m.account_id \
                 WHERE m.organisation_id = $1 AND a.status <> 'deleted' \
                 AND (CAST($2 AS TEXT) IS NULL OR (a.created_at, a.id) > \
                 (SELECT b.created_at, b.id FROM account b WHERE b.id = $2)) \
                 ORDER BY a.created_at, a.id LIMIT $3"
            ))
            .bind(organisation.as_str())
            .bind(after.map(AccountId::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?
            .iter()
            .map(member)
            .collect()
        })
        .await
    }

    /// One member; an account of another organisation is none.
    pub async fn member(
        &self,
        organisation: &OrganisationId,
        account: &AccountId,
    ) -> Result<Option<MemberRecord>, StoreError> {
        self.bounded("member", async {
            sqlx::query(concat!(
                "SELECT ",
                account_columns!(),
                ", m.role AS m_role, m.created_at AS m_created_at FROM membership m \
                 JOIN account a ON a.id = m.account_id \
                 WHERE m.organisation_id = $1 AND m.account_id = $2 AND a.status <> 'deleted'"
            ))
            .bind(organisation.as_str())
            .bind(account.as_str())
            .fetch_optional(self.readers())
            .await?
            .as_ref()
            .map(member)
            .transpose()
        })
        .await
    }
}

/// Whether an account is a member, inside a transaction.
pub(super) async fn is_member(
    connection: &mut Connection,
    organisation: &OrganisationId,
    account: &AccountId,
) -> Result<bool, StoreError> {
    let found: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM membership m JOIN account a ON a.id = m.account_id \
         WHERE m.organisation_id = $1 AND m.account_id = $2 AND a.status <> 'deleted'",
    )
    .bind(organisation.as_str())
    .bind(account.as_str())
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}

/// Adds an organisation that this account owns.
pub(super) async fn found(
    tx: &mut Connection,
    new: &NewOrganisation,
    owner: &AccountId,
) -> Result<OrganisationRecord, StoreError> {
    let organisation = add(tx, new).await?;
    join(tx, &organisation.id, owner, OWNER, organisation.created_at).await?;
    Ok(organisation)
}

async fn add_account(tx: &mut Connection, account: &AccountRecord) -> Result<(), StoreError> {
    if let Some(field) = accounts::taken(tx, account, None).await? {
        return Err(StoreError::Conflict { field });
    }
    accounts::insert(tx, account).await
}

/// Adds an organisation under the first slug that is free.
async fn add(tx: &mut Connection, new: &NewOrganisation) -> Result<OrganisationRecord, StoreError> {
    let mut organisation = new.organisation.clone();
    for slug in &new.slugs {
        let taken: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM organisation WHERE realm = $1 AND slug = $2")
                .bind(organisation.realm.as_str())
                .bind(slug)
                .fetch_one(&mut *tx)
                .await?;
        if taken > 0 {
            continue;
        }
        organisation.slug.clone_from(slug);
        sqlx::query(
            "INSERT INTO organisation (id, realm, name, slug, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(organisation.id.as_str())
        .bind(organisation.realm.as_str())
        .bind(&organisation.name)
        .bind(&organisation.slug)
        .bind(organisation.created_at.millis())
        .bind(organisation.updated_at.millis())
        .execute(&mut *tx)
        .await?;
        return Ok(organisation);
    }
    Err(StoreError::Conflict { field: "slug" })
}

async fn join(
    tx: &mut Connection,
    organisation: &OrganisationId,
    account: &AccountId,
    role: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO membership (organisation_id, account_id, role, created_at) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(organisation.as_str())
    .bind(account.as_str())
    .bind(role)
    .bind(now.millis())
    .execute(tx)
    .await?;
    Ok(())
}

async fn by_id(
    connection: &mut Connection,
    id: &OrganisationId,
) -> Result<Option<OrganisationRecord>, StoreError> {
    sqlx::query(
        "SELECT id, realm, name, slug, created_at, updated_at FROM organisation WHERE id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(organisation)
    .transpose()
}

async fn of_account(
    connection: &mut Connection,
    account: &AccountId,
) -> Result<Option<OrganisationRecord>, StoreError> {
    sqlx::query(
        "SELECT o.id, o.realm, o.name, o.slug, o.created_at, o.updated_at FROM membership m \
         JOIN organisation o ON o.id = m.organisation_id WHERE m.account_id = $1 \
         ORDER BY m.created_at, o.id LIMIT 1",
    )
    .bind(account.as_str())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(organisation)
    .transpose()
}

fn organisation(row: &Row) -> Result<OrganisationRecord, StoreError> {
    Ok(OrganisationRecord {
        id: rows::get::<String>(row, "id")?.into(),
        realm: rows::get::<String>(row, "realm")?.into(),
        name: rows::get(row, "name")?,
        slug: rows::get(row, "slug")?,
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
    })
}

fn member(row: &Row) -> Result<MemberRecord, StoreError> {
    Ok(MemberRecord {
        account: rows::account(row)?,
        role: rows::get(row, "m_role")?,
        joined_at: rows::time(row, "m_created_at")?,
    })
}
