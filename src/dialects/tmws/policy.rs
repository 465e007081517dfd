//! The scope and role tables of the tmws contract ("Scopes and roles") as data. The pipeline decides with them; an
//! operator may replace rows in TOML.

use http::Method;

use crate::{
    dialects::table::{self, ALL, action, resource, rows, scope},
    pipeline::{
        Policy,
        policy::{ActionRule, ResourceRule, ScopeRule},
    },
};

/// What the ADMIN scope is for, and what FULL and WRITE do not reach.
const ADMINISTRATIVE: &[&str] = &[
    "/api/v1/users/**",
    "/api/v1/config/**",
    "/api/v1/system/**",
    "/api/v1/audit/**",
    "/api/v1/audit-logs/**",
];
const MEMORIES: &[&str] = &["/api/v1/memory/**", "/api/v1/memories/**"];
const TASKS: &[&str] = &["/api/v1/tasks/**"];
const WORKFLOWS: &[&str] = &["/api/v1/workflows/**"];

/// All seven scopes; a key of an administrator may carry any of them.
const ALL_SCOPES: &[&str] = &["FULL", "READ", "WRITE", "ADMIN", "MEMORY", "TASKS", "WORKFLOWS"];

const READ: &[&str] = &["read"];

/// The contract's table.
pub(super) fn policy() -> Policy {
    Policy {
        scopes: scopes(),
        actions: actions(),
        resources: resources(),
        role_scopes: rows(&[
            ("SUPER_ADMIN", ALL_SCOPES),
            ("ADMIN", ALL_SCOPES),
            ("USER", &["FULL", "READ", "WRITE", "MEMORY", "TASKS", "WORKFLOWS"]),
            ("READONLY", &["READ"]),
            ("SERVICE", &["READ", "WRITE", "MEMORY", "TASKS", "WORKFLOWS"]),
        ]),
        includes: rows(&[
            ("FULL", &["READ", "WRITE", "MEMORY", "TASKS", "WORKFLOWS"]),
            ("WRITE", &["READ"]),
        ]),
    }
}

/// FULL and WRITE hold two rules each: READ reaches every resource, administrative ones too, and both include READ.
/// So a wider scope never reaches less than a narrower one.
fn scopes() -> Vec<ScopeRule> {
    let writes = [Method::POST, Method::PUT, Method::PATCH];
    vec![
        scope("FULL", &[], &[], &[], ADMINISTRATIVE),
        scope("FULL", READ, &[], &[], &[]),
        scope("READ", READ, &[], &[], &[]),
        scope("WRITE", &[], &writes, &[], ADMINISTRATIVE),
        scope("WRITE", READ, &[], &[], &[]),
        scope("ADMIN", &[], &[], ADMINISTRATIVE, &[]),
        scope("MEMORY", &[], &[], MEMORIES, &[]),
        scope("TASKS", &[], &[], TASKS, &[]),
        scope("WORKFLOWS", &[], &[], WORKFLOWS, &[]),
    ]
}

/// Method to action; the first that fits counts, so the two POST forms stand before POST.
fn actions() -> Vec<ActionRule> {
    let mut actions = vec![
        action(&[Method::POST], Some("**/search"), "read"),
        action(&[Method::POST], Some("**/execute"), "execute"),
    ];
    actions.extend(table::actions());
    actions
}

/// The role table. "Own" and "own namespace" are about the object: the handler or the upstream looks at it.
fn resources() -> Vec<ResourceRule> {
    const CRU: &[&str] = &["create", "read", "update"];
    vec![
        // "read self" is a path of its own; it stands before the resource that would hide it.
        resource(
            "users",
            &["/api/v1/users/me"],
            &[("SUPER_ADMIN", ALL), ("ADMIN", CRU), ("USER", READ), ("READONLY", READ)],
        ),
        resource("users", &["/api/v1/users/**"], &[("SUPER_ADMIN", ALL), ("ADMIN", CRU)]),
        resource(
            "api_keys",
            &["/api/v1/auth/api-keys/**"],
            &[("SUPER_ADMIN", ALL), ("ADMIN", ALL), ("USER", ALL), ("READONLY", READ)],
        ),
        resource(
            "agents",
            &["/api/v1/agents/**"],
            &[
                ("SUPER_ADMIN", ALL),
                ("ADMIN", &["read", "update"]),
                ("USER", READ),
                ("READONLY", READ),
                ("SERVICE", READ),
            ],
        ),
        resource(
            "memories",
            MEMORIES,
            &[
                ("SUPER_ADMIN", ALL),
                ("ADMIN", ALL),
                ("USER", ALL),
                ("READONLY", READ),
                ("SERVICE", CRU),
            ],
        ),
        resource(
            "tasks",
            TASKS,
            &[
                ("SUPER_ADMIN", ALL),
                ("ADMIN", ALL),
                ("USER", ALL),
                ("READONLY", READ),
                ("SERVICE", &["create", "read", "update", "execute"]),
            ],
        ),
        resource(
            "workflows",
            WORKFLOWS,
            &[
                ("SUPER_ADMIN", ALL),
                ("ADMIN", ALL),
                ("USER", ALL),
                ("READONLY", READ),
                ("SERVICE", &["create", "read", "execute"]),
            ],
        ),
        resource(
            "audit_logs",
            &["/api/v1/audit/**", "/api/v1/audit-logs/**"],
            &[("SUPER_ADMIN", &["read", "audit"]), ("ADMIN", READ)],
        ),
        resource(
            "system_config",
            &["/api/v1/config/**", "/api/v1/system/**"],
            &[("SUPER_ADMIN", ALL), ("ADMIN", READ)],
        ),
    ]
}

#[cfg(test)]
mod tests;
