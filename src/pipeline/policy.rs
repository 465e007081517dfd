//! Authorization as data: which role may do which action on which resource, and which scope reaches where.
//! A contract brings its table; an operator may replace rows in TOML.

use std::sync::Arc;

use http::Method;

pub(super) mod decide;
mod path_pattern;

pub use path_pattern::PathPattern;

/// Method and path give the action of a request; the first rule that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRule {
    /// Methods; empty means any.
    pub methods: Vec<Method>,
    /// Path; `None` means any.
    pub path: Option<PathPattern>,
    /// `read`, `create`, `update`, `delete`, `execute`, …
    pub action: Arc<str>,
}

/// What a scope reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRule {
    /// Upper-case scope name.
    pub scope: Arc<str>,
    /// Actions; empty means all.
    pub actions: Vec<Arc<str>>,
    /// Methods; empty means all.
    pub methods: Vec<Method>,
    /// Paths; empty means all.
    pub paths: Vec<PathPattern>,
    /// Paths taken out again.
    pub except: Vec<PathPattern>,
}

/// What roles may do on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRule {
    /// Resource name, for the log.
    pub resource: Arc<str>,
    /// Its paths.
    pub paths: Vec<PathPattern>,
    /// Role to actions; `*` is all.
    pub grants: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

/// The whole table of a realm or mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Known scopes; a scope not listed reaches nothing. Several rules may share a scope.
    pub scopes: Vec<ScopeRule>,
    /// How actions are named.
    pub actions: Vec<ActionRule>,
    /// Resources; a path in none of them is refused.
    pub resources: Vec<ResourceRule>,
    /// Which scopes a role holds when a route asks for scopes and the credential carries none (a login token).
    pub role_scopes: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Scope names and what they include: `("FULL", ["READ", "WRITE"])`, for routes that ask for scopes by name.
    pub includes: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

#[cfg(test)]
pub(super) mod tests;
