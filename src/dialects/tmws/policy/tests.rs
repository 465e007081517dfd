//! Every row of the contract's two tables, asked of the decision core.

use super::*;
use crate::{
    model::{AuthMethod, Principal, ScopeSet},
    pipeline::Deny,
};

const ROLES: [&str; 5] = ["SUPER_ADMIN", "ADMIN", "USER", "READONLY", "SERVICE"];

fn caller(role: &str, scopes: Option<&[&str]>) -> Principal {
    Principal {
        subject: "3f0c0000-0000-4000-8000-000000000001".into(),
        username: None,
        email: None,
        realm: "main".into(),
        mount: "api".into(),
        tenant: None,
        method: if scopes.is_some() { AuthMethod::ApiKey } else { AuthMethod::Jwt },
        roles: vec![role.into()],
        scopes: scopes.map(ScopeSet::new),
        session: None,
        token: None,
        key: None,
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: None,
        issuer: None,
        bound: None,
    }
}

fn may(role: &str, scopes: Option<&[&str]>, method: &Method, path: &str) -> bool {
    policy().authorize(&caller(role, scopes), method, path).is_ok()
}

/// One request per action that a method can stand for.
fn requests(base: &str) -> Vec<(&'static str, Method, String)> {
    vec![
        ("read", Method::GET, base.to_owned()),
        ("read", Method::HEAD, format!("{base}/7")),
        ("create", Method::POST, base.to_owned()),
        ("update", Method::PUT, format!("{base}/7")),
        ("update", Method::PATCH, format!("{base}/7")),
        ("delete", Method::DELETE, format!("{base}/7")),
        ("execute", Method::POST, format!("{base}/7/execute")),
        ("read", Method::POST, format!("{base}/search")),
    ]
}

#[test]
fn roles_reach_exactly_what_the_table_says() {
    const ANY: &str = "create read update delete execute";
    let table: [(&[&str], [&str; 5]); 8] = [
        (&["/api/v1/users"], [ANY, "create read update", "", "", ""]),
        (&["/api/v1/auth/api-keys"], [ANY, ANY, ANY, "read", ""]),
        (&["/api/v1/agents"], [ANY, "read update", "read", "read", "read"]),
        (&["/api/v1/memory", "/api/v1/memories"], [ANY, ANY, ANY, "read", "create read update"]),
        (&["/api/v1/tasks"], [ANY, ANY, ANY, "read", "create read update execute"]),
        (&["/api/v1/workflows"], [ANY, ANY, ANY, "read", "create read execute"]),
        (&["/api/v1/audit", "/api/v1/audit-logs"], ["read", "read", "", "", ""]),
        (&["/api/v1/config", "/api/v1/system"], [ANY, "read", "", "", ""]),
    ];
    for (bases, columns) in table {
        for base in bases {
            for (role, granted) in ROLES.iter().zip(columns) {
                for (action, method, path) in requests(base) {
                    let expected = granted.split(' ').any(|own| own == action);
                    assert_eq!(may(role, None, &method, &path), expected, "{role} {method} {path}");
                }
            }
        }
    }
}

#[test]
fn everyone_but_services_reads_the_own_account() {
    for role in ROLES {
        let expected = role != "SERVICE";
        assert_eq!(may(role, None, &Method::GET, "/api/v1/users/me"), expected, "{role}");
    }
    assert!(!may("USER", None, &Method::GET, "/api/v1/users/7"));
}

#[test]
fn a_path_in_no_row_is_refused_even_to_the_mightiest() {
    for path in ["/", "/api/v1/other", "/api/v1/tasksx", "/api/v2/tasks", "/tasks"] {
        assert!(!may("SUPER_ADMIN", None, &Method::GET, path), "{path}");
    }
}

#[test]
fn an_unknown_role_or_no_role_reaches_nothing() {
    assert!(!may("admin", None, &Method::GET, "/api/v1/tasks"));
    assert!(!may("", None, &Method::GET, "/api/v1/tasks"));
}

#[test]
fn scopes_reach_exactly_what_the_table_says() {
    let tasks = "/api/v1/tasks";
    // Held by SUPER_ADMIN, so that the scope alone decides.
    type Row<'a> = (&'a str, &'a [(Method, &'a str, bool)]);
    let rows: &[Row<'_>] = &[
        (
            "FULL",
            &[
                (Method::GET, tasks, true),
                (Method::POST, tasks, true),
                (Method::DELETE, "/api/v1/memory/1", true),
                (Method::POST, "/api/v1/workflows/1/execute", true),
                (Method::GET, "/api/v1/users", true),
                (Method::POST, "/api/v1/users", false),
                (Method::DELETE, "/api/v1/users/7", false),
                (Method::PUT, "/api/v1/config", false),
                (Method::POST, "/api/v1/system/restart", false),
            ],
        ),
        (
            "READ",
            &[
                (Method::GET, tasks, true),
                (Method::HEAD, tasks, true),
                (Method::GET, "/api/v1/users", true),
                (Method::GET, "/api/v1/config", true),
                (Method::POST, "/api/v1/memory/search", true),
                (Method::POST, tasks, false),
                (Method::PUT, "/api/v1/tasks/1", false),
                (Method::DELETE, "/api/v1/tasks/1", false),
                (Method::POST, "/api/v1/workflows/1/execute", false),
            ],
        ),
        (
            "WRITE",
            &[
                (Method::GET, tasks, true),
                (Method::POST, tasks, true),
                (Method::PUT, "/api/v1/tasks/1", true),
                (Method::PATCH, "/api/v1/tasks/1", true),
                (Method::POST, "/api/v1/workflows/1/execute", true),
                (Method::DELETE, "/api/v1/tasks/1", false),
                (Method::POST, "/api/v1/users", false),
                (Method::PUT, "/api/v1/users/7", false),
                (Method::PUT, "/api/v1/config", false),
            ],
        ),
        (
            "ADMIN",
            &[
                (Method::POST, "/api/v1/users", true),
                (Method::DELETE, "/api/v1/users/7", true),
                (Method::PUT, "/api/v1/config", true),
                (Method::GET, "/api/v1/audit", true),
                (Method::GET, tasks, false),
                (Method::POST, "/api/v1/memory/search", false),
            ],
        ),
        (
            "MEMORY",
            &[
                (Method::GET, "/api/v1/memory", true),
                (Method::POST, "/api/v1/memories", true),
                (Method::DELETE, "/api/v1/memory/1", true),
                (Method::POST, "/api/v1/memory/search", true),
                (Method::GET, "/api/v1/memoryx", false),
                (Method::GET, tasks, false),
            ],
        ),
        (
            "TASKS",
            &[
                (Method::GET, tasks, true),
                (Method::DELETE, "/api/v1/tasks/1", true),
                (Method::POST, "/api/v1/tasks/1/execute", true),
                (Method::GET, "/api/v1/workflows", false),
                (Method::POST, "/api/v1/memory/search", false),
            ],
        ),
        (
            "WORKFLOWS",
            &[
                (Method::GET, "/api/v1/workflows", true),
                (Method::DELETE, "/api/v1/workflows/1", true),
                (Method::GET, tasks, false),
            ],
        ),
        ("UNHEARD_OF", &[(Method::GET, tasks, false)]),
    ];
    for (scope, requests) in rows {
        for (method, path, expected) in *requests {
            let allowed = may("SUPER_ADMIN", Some(&[*scope]), method, path);
            assert_eq!(allowed, *expected, "{scope}: {method} {path}");
        }
    }
}

#[test]
fn several_scopes_add_up_and_never_exceed_the_owners_role() {
    let both: &[&str] = &["READ", "TASKS"];
    assert!(may("USER", Some(both), &Method::DELETE, "/api/v1/tasks/1"));
    assert!(may("USER", Some(both), &Method::GET, "/api/v1/workflows"));
    assert!(!may("READONLY", Some(&["FULL"]), &Method::POST, "/api/v1/tasks"));
    assert!(!may("USER", Some(&["ADMIN"]), &Method::POST, "/api/v1/users"));
    assert!(!may("SUPER_ADMIN", Some(&[]), &Method::GET, "/api/v1/tasks"));
}

#[test]
fn a_refusal_names_the_action() {
    let denied = policy()
        .authorize(&caller("READONLY", None), &Method::POST, "/api/v1/tasks/1/execute")
        .unwrap_err();
    assert!(matches!(denied, Deny::Forbidden { action, .. } if action == "execute"));
}

#[test]
fn a_key_gets_at_most_the_scopes_its_owners_role_holds() {
    let policy = policy();
    for (role, scope, held) in [
        ("SUPER_ADMIN", "ADMIN", true),
        ("ADMIN", "ADMIN", true),
        ("USER", "ADMIN", false),
        ("USER", "FULL", true),
        ("READONLY", "READ", true),
        ("READONLY", "WRITE", false),
        ("SERVICE", "WRITE", true),
        ("SERVICE", "FULL", false),
    ] {
        assert_eq!(policy.roles_hold(&[role.into()], scope), held, "{role} {scope}");
    }
    assert!(policy.covers(["FULL"].into_iter(), "TASKS"));
    assert!(policy.covers(["WRITE"].into_iter(), "READ"));
    assert!(!policy.covers(["FULL"].into_iter(), "ADMIN"));
}
