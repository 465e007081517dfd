//! Permissions of an organisation and to whom they are granted. Every verb names the organisation: what is another's is
//! not found.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    AuditRecord, Connection, Grantee, PermissionRecord, Row, Store, StoreError,
    organisations::is_member, rows, teams, within::room,
};
use crate::model::{AccountId, OrganisationId, PermissionId, TeamId, Timestamp};

/// Most permissions of one organisation: so many at most does a member's place in memory hold, several times over.
const MOST: i64 = 2_000;

macro_rules! permission_columns {
    () => {
        "p.id AS p_id, p.organisation_id AS p_organisation_id, p.resource AS p_resource, \
         p.action AS p_action, p.conditions AS p_conditions, p.created_at AS p_created_at"
    };
}

pub(super) use permission_columns;

impl Store {
    /// Makes a permission. [`StoreError::Full`] when the organisation has as many as it may have.
    pub async fn insert_permission(
        &self,
        permission: &PermissionRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_permission", async {
            let mut tx = self.begin().await?;
            let count = "SELECT COUNT(*) FROM permission WHERE organisation_id = $1";
            room(&mut tx, count, &permission.organisation, MOST).await?;
            sqlx::query(
                "INSERT INTO permission (id, organisation_id, resource, action, conditions, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(permission.id.as_str())
            .bind(permission.organisation.as_str())
            .bind(&permission.resource)
            .bind(&permission.action)
            .bind(rows::to_json(&permission.conditions)?)
            .bind(permission.created_at.millis())
            .execute(&mut *tx)
            .await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Permissions of an organisation, oldest first.
    pub async fn permissions(
        &self,
        organisation: &OrganisationId,
    ) -> Result<Vec<PermissionRecord>, StoreError> {
        let select = concat!(
            "SELECT ",
            permission_columns!(),
            " FROM permission p WHERE p.organisation_id = $1 ORDER BY p.created_at, p.id"
        );
        self.listed("permissions", select, &[organisation.as_str()], permission).await
    }

    /// Changes what is given, and gives the permission back.
    pub async fn update_permission(
        &self,
        organisation: &OrganisationId,
        id: &PermissionId,
        resource: Option<&str>,
        action: Option<&str>,
        conditions: Option<&Map<String, Value>>,
        audit: &[AuditRecord],
    ) -> Result<PermissionRecord, StoreError> {
        self.bounded("update_permission", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE permission SET resource = COALESCE($3, resource), \
                 action = COALESCE($4, action), conditions = COALESCE($5, conditions) \
                 WHERE id = $1 AND organisation_id = $2",
            )
            .bind(id.as_str())
            .bind(organisation.as_str())
            .bind(resource)
            .bind(action)
            .bind(conditions.map(rows::to_json).transpose()?)
            .execute(&mut *tx)
            .await?;
            let changed = by_id(&mut tx, organisation, id).await?.ok_or(StoreError::NotFound)?;
            self.commit(tx, audit).await?;
            Ok(changed)
        })
        .await
    }

    /// Removes a permission and all its grants.
    pub async fn delete_permission(
        &self,
        organisation: &OrganisationId,
        id: &PermissionId,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        let delete = "DELETE FROM permission WHERE id = $1 AND organisation_id = $2";
        self.remove_within("delete_permission", delete, organisation, id.as_str(), audit).await
    }

    /// Grants a permission to a member or a group of the same organisation; a second time changes and records nothing.
    pub async fn grant_permission(
        &self,
        organisation: &OrganisationId,
        id: &PermissionId,
        to: &Grantee,
        grant: &str,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("grant_permission", async {
            let mut tx = self.begin().await?;
            by_id(&mut tx, organisation, id).await?.ok_or(StoreError::NotFound)?;
            let (account, team) = match to {
                Grantee::Account(account) => {
                    if !is_member(&mut tx, organisation, account).await? {
                        return Err(StoreError::NotFound);
                    }
                    (Some(account), None)
                }
                Grantee::Team(team) => {
                    teams::by_id(&mut tx, organisation, team).await?.ok_or(StoreError::NotFound)?;
                    (None, Some(team))
                }
            };
            let added = sqlx::query(
                "INSERT INTO permission_grant (id, permission_id, account_id, team_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(grant)
            .bind(id.as_str())
            .bind(account.map(AccountId::as_str))
            .bind(team.map(TeamId::as_str))
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            self.commit(tx, if added > 0 { audit } else { &[] }).await
        })
        .await
    }
}

/// Columns of [`permission_columns`].
pub(super) fn permission(row: &Row) -> Result<PermissionRecord, StoreError> {
    Ok(PermissionRecord {
        id: rows::get::<String>(row, "p_id")?.into(),
        organisation: rows::get::<String>(row, "p_organisation_id")?.into(),
        resource: rows::get(row, "p_resource")?,
        action: rows::get(row, "p_action")?,
        conditions: Arc::new(rows::json(row, "p_conditions")?),
        created_at: rows::time(row, "p_created_at")?,
    })
}

async fn by_id(
    connection: &mut Connection,
    organisation: &OrganisationId,
    id: &PermissionId,
) -> Result<Option<PermissionRecord>, StoreError> {
    sqlx::query(concat!(
        "SELECT ",
        permission_columns!(),
        " FROM permission p WHERE p.id = $1 AND p.organisation_id = $2"
    ))
    .bind(id.as_str())
    .bind(organisation.as_str())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(permission)
    .transpose()
}
