//! Groups of an organisation and their members. Every verb names the organisation: what is another's is not found.

use super::{
    AuditRecord, Connection, Row, Store, StoreError, TeamRecord, organisations::is_member, rows,
    within::room,
};
use crate::model::{AccountId, OrganisationId, TeamId, Timestamp};

/// Most groups of one organisation.
const MOST: i64 = 1_000;

impl Store {
    /// Makes a group. [`StoreError::Full`] when the organisation has as many as it may have.
    pub async fn insert_team(
        &self,
        team: &TeamRecord,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("insert_team", async {
            let mut tx = self.begin().await?;
            let count = "SELECT COUNT(*) FROM team WHERE organisation_id = $1";
            room(&mut tx, count, &team.organisation, MOST).await?;
            sqlx::query(
                "INSERT INTO team (id, organisation_id, name, description, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(team.id.as_str())
            .bind(team.organisation.as_str())
            .bind(&team.name)
            .bind(&team.description)
            .bind(team.created_at.millis())
            .bind(team.updated_at.millis())
            .execute(&mut *tx)
            .await?;
            self.commit(tx, audit).await
        })
        .await
    }

    /// Groups of an organisation, oldest first.
    pub async fn teams(
        &self,
        organisation: &OrganisationId,
    ) -> Result<Vec<TeamRecord>, StoreError> {
        let select = "SELECT id, organisation_id, name, description, created_at, updated_at FROM team \
                      WHERE organisation_id = $1 ORDER BY created_at, id";
        self.listed("teams", select, &[organisation.as_str()], team).await
    }

    /// Changes name and description where given, and gives the group back.
    pub async fn update_team(
        &self,
        organisation: &OrganisationId,
        id: &TeamId,
        name: Option<&str>,
        description: Option<&str>,
        now: Timestamp,
        audit: &[AuditRecord],
    ) -> Result<TeamRecord, StoreError> {
        self.bounded("update_team", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE team SET name = COALESCE($3, name), \
                 description = COALESCE($4, description), updated_at = $5 \
                 WHERE id = $1 AND organisation_id = $2",
            )
            .bind(id.as_str())
            .bind(organisation.as_str())
            .bind(name)
            .bind(description)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?;
            let changed = by_id(&mut tx, organisation, id).await?.ok_or(StoreError::NotFound)?;
            self.commit(tx, audit).await?;
            Ok(changed)
        })
        .await
    }

    /// Removes a group, its memberships and what was granted to it.
    pub async fn delete_team(
        &self,
        organisation: &OrganisationId,
        id: &TeamId,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        let delete = "DELETE FROM team WHERE id = $1 AND organisation_id = $2";
        self.remove_within("delete_team", delete, organisation, id.as_str(), audit).await
    }

    /// Puts a member of the organisation into a group; a second time changes and records nothing.
    pub async fn add_to_team(
        &self,
        organisation: &OrganisationId,
        id: &TeamId,
        account: &AccountId,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("add_to_team", async {
            let mut tx = self.begin().await?;
            by_id(&mut tx, organisation, id).await?.ok_or(StoreError::NotFound)?;
            if !is_member(&mut tx, organisation, account).await? {
                return Err(StoreError::NotFound);
            }
            let added = sqlx::query(
                "INSERT INTO team_member (team_id, account_id) VALUES ($1, $2) \
                 ON CONFLICT (team_id, account_id) DO NOTHING",
            )
            .bind(id.as_str())
            .bind(account.as_str())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            self.commit(tx, if added > 0 { audit } else { &[] }).await
        })
        .await
    }

    /// Takes an account out of a group. [`StoreError::NotFound`] if it is not in it.
    pub async fn remove_from_team(
        &self,
        organisation: &OrganisationId,
        id: &TeamId,
        account: &AccountId,
        audit: &[AuditRecord],
    ) -> Result<(), StoreError> {
        self.bounded("remove_from_team", async {
            let mut tx = self.begin().await?;
            by_id(&mut tx, organisation, id).await?.ok_or(StoreError::NotFound)?;
            let removed =
                sqlx::query("DELETE FROM team_member WHERE team_id = $1 AND account_id = $2")
                    .bind(id.as_str())
                    .bind(account.as_str())
                    .execute(&mut *tx)
                    .await?;
            rows::met(&removed, StoreError::NotFound)?;
            self.commit(tx, audit).await
        })
        .await
    }
}

/// One group of an organisation, inside a transaction.
pub(super) async fn by_id(
    connection: &mut Connection,
    organisation: &OrganisationId,
    id: &TeamId,
) -> Result<Option<TeamRecord>, StoreError> {
    sqlx::query(
        "SELECT id, organisation_id, name, description, created_at, updated_at FROM team \
         WHERE id = $1 AND organisation_id = $2",
    )
    .bind(id.as_str())
    .bind(organisation.as_str())
    .fetch_optional(connection)
    .await?
    .as_ref()
    .map(team)
    .transpose()
}

fn team(row: &Row) -> Result<TeamRecord, StoreError> {
    Ok(TeamRecord {
        id: rows::get::<String>(row, "id")?.into(),
        organisation: rows::get::<String>(row, "organisation_id")?.into(),
        name: rows::get(row, "name")?,
        description: rows::get(row, "description")?,
        created_at: rows::time(row, "created_at")?,
        updated_at: rows::time(row, "updated_at")?,
    })
}
