//! Organisations, who belongs to them, their groups and permissions.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::AccountRecord;
use crate::model::{AccountId, OrganisationId, PermissionId, RealmName, TeamId, Timestamp};

/// An organisation: a wall around everything that bears its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationRecord {
    /// UUID, lower case.
    pub id: OrganisationId,
    /// Realm.
    pub realm: RealmName,
    /// Name as given.
    pub name: String,
    /// Name for paths; unique in the realm.
    pub slug: String,
    /// Made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A new organisation. The first free one of `slugs` becomes its slug.
#[derive(Clone, Debug)]
pub struct NewOrganisation {
    /// The record, whose slug is filled in.
    pub organisation: OrganisationRecord,
    /// Slugs in order of preference; the last one should be unique by itself.
    pub slugs: Vec<String>,
}

/// An account in its organisation.
#[derive(Clone, Debug)]
pub struct MemberRecord {
    /// The account.
    pub account: AccountRecord,
    /// `owner`, `admin`, …
    pub role: String,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A group of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamRecord {
    /// UUID.
    pub id: TeamId,
    /// Whose.
    pub organisation: OrganisationId,
    /// Name, unique in the organisation.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A permission that can be granted.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionRecord {
    /// UUID.
    pub id: PermissionId,
    /// Whose.
    pub organisation: OrganisationId,
    /// Resource; `*` is any.
    pub resource: String,
    /// Action; `*` is any.
    pub action: String,
    /// Every member must equal the context's.
    pub conditions: Arc<Map<String, Value>>,
    /// Made.
    pub created_at: Timestamp,
}

/// To whom a permission is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// One member.
    Account(AccountId),
    /// Everybody in a group.
    Team(TeamId),
}

/// What an account may do, from its membership, direct grants and groups.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessRecord {
    /// Whose.
    pub account: AccountId,
    /// Its organisation.
    pub organisation: OrganisationId,
    /// Its role there.
    pub role: String,
    /// Permissions it was granted directly or through a group; one may stand several times.
    pub granted: Vec<PermissionRecord>,
}
