//! Requests and answers about organisations, in the core's words.

use std::sync::Arc;

use serde_json::{Map, Value};

pub use crate::store::Grantee;
use crate::{
    identity::Account,
    model::{OrganisationId, PermissionId, SecretString, TeamId, Timestamp},
    store,
};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// UUID.
    pub id: OrganisationId,
    /// Name as given.
    pub name: String,
    /// Name for paths; unique in the realm.
    pub slug: String,
    /// Made.
    pub created_at: Timestamp,
}

/// An account in an organisation.
#[derive(Clone, Debug)]
pub struct Member {
    /// The account.
    pub account: Account,
    /// Its organisation.
    pub organisation: OrganisationId,
    /// `owner`, `admin`, …
    pub role: String,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A new account in the caller's organisation.
#[derive(Debug)]
pub struct NewMember {
    /// Address.
    pub email: String,
    /// Password.
    pub password: SecretString,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
}

/// What changes about a member.
#[derive(Clone, Debug, Default)]
pub struct MemberChange {
    /// Address.
    pub email: Option<String>,
    /// Whether it may log in.
    pub enabled: Option<bool>,
}

/// A group of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// UUID.
    pub id: TeamId,
    /// Whose.
    pub organisation: OrganisationId,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Made.
    pub created_at: Timestamp,
}

/// What changes about a group; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TeamChange {
    /// Name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// A permission that can be granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
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

/// A new permission.
#[derive(Clone, Debug, Default)]
pub struct NewPermission {
    /// Resource.
    pub resource: String,
    /// Action.
    pub action: String,
    /// Conditions; empty: always.
    pub conditions: Map<String, Value>,
}

/// What changes about a permission; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct PermissionChange {
    /// Resource.
    pub resource: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// Conditions, as a whole.
    pub conditions: Option<Map<String, Value>>,
}

impl From<store::OrganisationRecord> for Organisation {
    fn from(record: store::OrganisationRecord) -> Self {
        Self { id: record.id, name: record.name, slug: record.slug, created_at: record.created_at }
    }
}

impl From<store::TeamRecord> for Team {
    fn from(record: store::TeamRecord) -> Self {
        Self {
            id: record.id,
            organisation: record.organisation,
            name: record.name,
            description: record.description,
            created_at: record.created_at,
        }
    }
}

impl From<store::PermissionRecord> for Permission {
    fn from(record: store::PermissionRecord) -> Self {
        Self {
            id: record.id,
            organisation: record.organisation,
            resource: record.resource,
            action: record.action,
            conditions: record.conditions,
            created_at: record.created_at,
        }
    }
}
