use proptest::{collection::vec, prelude::*};

use super::*;
use crate::pipeline::{Deny, fixture};

pub(in crate::pipeline) fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap()
}

fn words(text: &str) -> Vec<Arc<str>> {
    text.split_whitespace().map(Arc::from).collect()
}

fn action(methods: &[Method], path: Option<&str>, action: &str) -> ActionRule {
    ActionRule { methods: methods.to_vec(), path: path.map(pattern), action: action.into() }
}

fn resource(name: &str, paths: &[&str], grants: &[(&str, &str)]) -> ResourceRule {
    ResourceRule {
        resource: name.into(),
        paths: paths.iter().map(|path| pattern(path)).collect(),
        grants: grants.iter().map(|(role, actions)| (Arc::from(*role), words(actions))).collect(),
    }
}

fn scope(
    name: &str,
    actions: &str,
    methods: &[Method],
    paths: &[&str],
    except: &[&str],
) -> ScopeRule {
    ScopeRule {
        scope: name.into(),
        actions: words(actions),
        methods: methods.to_vec(),
        paths: paths.iter().map(|path| pattern(path)).collect(),
        except: except.iter().map(|path| pattern(path)).collect(),
    }
}

/// A small table in the manner of tmws.
pub(in crate::pipeline) fn table() -> Policy {
    use Method as M;
    Policy {
        scopes: vec![
            scope("READ", "read", &[], &[], &[]),
            scope("WRITE", "read create update", &[], &[], &["/users/**"]),
            scope("FULL", "", &[], &[], &["/users/**"]),
            scope("TASKS", "", &[], &["/tasks/**"], &[]),
            scope("GETTER", "", &[M::GET], &[], &[]),
        ],
        actions: vec![
            action(&[M::POST], Some("**/search"), "read"),
            action(&[M::POST], Some("**/execute"), "execute"),
            action(&[M::GET], None, "read"),
            action(&[M::POST], None, "create"),
            action(&[M::PUT, M::PATCH], None, "update"),
            action(&[M::DELETE], None, "delete"),
        ],
        resources: vec![
            resource("tasks", &["/tasks/**"], &[("USER", "*"), ("READONLY", "read")]),
            resource("locked", &["/tasks/{id}/locked"], &[("ADMIN", "*")]),
            resource("users", &["/users/**"], &[("ADMIN", "create read update")]),
        ],
        role_scopes: vec![("USER".into(), words("WRITE")), ("READONLY".into(), words("READ"))],
        includes: vec![("FULL".into(), words("WRITE")), ("WRITE".into(), words("READ"))],
    }
}

fn ask(roles: &[&str], scopes: Option<&[&str]>, method: Method, path: &str) -> Result<(), String> {
    let who = fixture::principal(roles, scopes);
    table().authorize(&who, &method, path).map_err(|deny| match deny {
        Deny::Forbidden { action, .. } => action.into_owned(),
        other => other.reason().into(),
    })
}

#[test]
fn the_first_action_rule_that_fits_names_the_request() {
    let table = table();
    for (method, path, wanted) in [
        (Method::GET, "/tasks", Some("read")),
        (Method::HEAD, "/tasks", Some("read")),
        (Method::POST, "/tasks", Some("create")),
        (Method::POST, "/tasks/search", Some("read")),
        (Method::POST, "/tasks/search/", Some("read")),
        (Method::POST, "/tasks/search/x", Some("create")),
        (Method::POST, "/tasks/research", Some("create")),
        (Method::POST, "/workflows/7/execute", Some("execute")),
        (Method::PATCH, "/tasks/1", Some("update")),
        (Method::OPTIONS, "/tasks", None),
    ] {
        assert_eq!(table.action(&method, path).map(|action| &**action), wanted, "{method} {path}");
    }
}

#[test]
fn roles_grant_actions_on_the_most_specific_resource() {
    let forbidden = |action: &str| Err(action.to_owned());
    for (roles, method, path, wanted) in [
        (&["USER"][..], Method::DELETE, "/tasks/1", Ok(())),
        (&["READONLY"], Method::GET, "/tasks", Ok(())),
        (&["READONLY"], Method::POST, "/tasks/search", Ok(())),
        (&["READONLY"], Method::POST, "/tasks", forbidden("create")),
        (&["READONLY", "USER"], Method::POST, "/tasks", Ok(())),
        (&["USER"], Method::GET, "/tasks/1/locked", forbidden("read")),
        (&["ADMIN"], Method::GET, "/tasks/1/locked", Ok(())),
        (&["ADMIN"], Method::GET, "/tasks/1", forbidden("read")),
        (&["ADMIN"], Method::DELETE, "/users/1", forbidden("delete")),
        (&["USER"], Method::GET, "/nowhere", forbidden("read")),
        (&["USER"], Method::OPTIONS, "/tasks", forbidden("options")),
        (&["user"], Method::GET, "/tasks", forbidden("read")),
        (&[], Method::GET, "/tasks", forbidden("read")),
    ] {
        assert_eq!(ask(roles, None, method.clone(), path), wanted, "{roles:?} {method} {path}");
    }
}

#[test]
fn scopes_narrow_roles_and_never_widen_them() {
    for (roles, scopes, method, path, allowed) in [
        (&["USER"][..], &["READ"][..], Method::GET, "/tasks", true),
        (&["USER"], &["read"], Method::HEAD, "/tasks", true),
        (&["USER"], &["READ"], Method::POST, "/tasks", false),
        (&["USER"], &["READ"], Method::POST, "/tasks/search", true),
        (&["USER"], &["WRITE"], Method::POST, "/tasks", true),
        (&["USER"], &["WRITE"], Method::DELETE, "/tasks/1", false),
        (&["USER"], &["READ", "TASKS"], Method::DELETE, "/tasks/1", true),
        (&["USER"], &["FULL"], Method::DELETE, "/tasks/1", true),
        (&["ADMIN"], &["FULL"], Method::GET, "/users", false),
        (&["ADMIN"], &["READ"], Method::GET, "/users", true),
        (&["READONLY"], &["FULL"], Method::POST, "/tasks", false),
        (&["USER"], &["GETTER"], Method::HEAD, "/tasks", true),
        (&["USER"], &["GETTER"], Method::POST, "/tasks/search", false),
        (&["USER"], &["READX"], Method::GET, "/tasks", false),
        (&["USER"], &[], Method::GET, "/tasks", false),
    ] {
        let found = ask(roles, Some(scopes), method.clone(), path).is_ok();
        assert_eq!(found, allowed, "{roles:?} {scopes:?} {method} {path}");
    }
}

#[test]
fn inclusion_goes_down_all_the_way_and_survives_a_circle() {
    let mut table = table();
    let covers = |table: &Policy, own: &[&str], wanted| table.covers(own.iter().copied(), wanted);
    assert!(covers(&table, &["FULL"], "READ"));
    assert!(covers(&table, &["WRITE"], "read"));
    assert!(!covers(&table, &["READ"], "WRITE"));
    assert!(!covers(&table, &["FULLER"], "READ"));
    table.includes.push(("READ".into(), words("FULL")));
    assert!(covers(&table, &["READ"], "WRITE"));
    assert!(!covers(&table, &["READ"], "ADMIN"));
}

#[test]
fn patterns_of_policies_are_read_strictly() {
    for (text, path, fits) in [
        ("**/search", "/search", true),
        ("**/search", "/a/b/search/", true),
        ("**/search", "/a/search/b", false),
        ("/users/**", "/users", true),
        ("/users/**", "/usersx", false),
    ] {
        assert_eq!(pattern(text).matches(path), fits, "{text} {path}");
    }
    for text in ["", "users", "**/", "**/a/b", "**/**", "**/{x}", "/a/**/b", "**"] {
        assert!(PathPattern::parse(text).is_err(), "{text}");
    }
    assert_eq!(pattern("/a/**").as_str(), "/a/**");
}

/// The rules again, without any shortcut: is there a resource, a grant, a reach?
fn model(policy: &Policy, who: &crate::model::Principal, method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut action = None;
    for rule in &policy.actions {
        let fits = (rule.methods.is_empty() || rule.methods.contains(method))
            && rule.path.as_ref().is_none_or(|pattern| naive_match(pattern.as_str(), path));
        if fits && action.is_none() {
            action = Some(rule.action.clone());
        }
    }
    let Some(action) = action else { return false };
    let mut ranked: Vec<(Vec<u8>, std::cmp::Reverse<usize>)> = Vec::new();
    for (at, resource) in policy.resources.iter().enumerate() {
        for pattern in &resource.paths {
            if naive_match(pattern.as_str(), path) {
                ranked.push((naive_rank(pattern.as_str()), std::cmp::Reverse(at)));
            }
        }
    }
    let Some((_, std::cmp::Reverse(at))) = ranked.into_iter().max() else { return false };
    let granted = policy.resources[at].grants.iter().any(|(role, actions)| {
        who.roles.contains(role) && (actions.contains(&"*".into()) || actions.contains(&action))
    });
    let reached = match &who.scopes {
        None => true,
        Some(scopes) => policy.scopes.iter().any(|rule| {
            scopes.iter().any(|own| own == &*rule.scope)
                && (rule.actions.is_empty() || rule.actions.contains(&action))
                && (rule.methods.is_empty() || rule.methods.contains(method))
                && (rule.paths.is_empty()
                    || rule.paths.iter().any(|own| naive_match(own.as_str(), path)))
                && rule.except.iter().all(|own| !naive_match(own.as_str(), path))
        }),
    };
    granted && reached
}

fn naive_match(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> =
        path.trim_matches('/').split('/').filter(|part| !part.is_empty()).collect();
    if let Some(last) = pattern.strip_prefix("**/") {
        return path.last() == Some(&last);
    }
    let own: Vec<&str> =
        pattern.trim_matches('/').split('/').filter(|part| !part.is_empty()).collect();
    let (own, open) = match own.split_last() {
        Some((&"**", rest)) => (rest, true),
        _ => (&own[..], false),
    };
    let fits = |(own, given): (&&str, &&str)| own.starts_with('{') || own == given;
    (path.len() == own.len() || (open && path.len() > own.len())) && own.iter().zip(&path).all(fits)
}

fn naive_rank(pattern: &str) -> Vec<u8> {
    if pattern.starts_with("**/") {
        return vec![1];
    }
    let parts = pattern.split('/').filter(|part| !part.is_empty());
    let mut rank: Vec<u8> = parts
        .map(|part| {
            if part == "**" {
                0
            } else if part.starts_with('{') {
                2
            } else {
                3
            }
        })
        .collect();
    if rank.last() != Some(&0) {
        rank.push(4);
    }
    rank
}

fn choice(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(of)
}

const PATTERNS: &[&str] = &[
    "/",
    "/**",
    "/a",
    "/a/**",
    "/a/{x}",
    "/a/b",
    "/a/b/**",
    "/{x}/b",
    "**/b",
    "**/search",
    "/{x}/**",
];
const PATHS: &[&str] =
    &["/", "/a", "/a/", "/a/b", "/a/c", "/a/b/search", "/c/b", "/search", "/c", "/a/b/c/d"];

fn actions() -> impl Strategy<Value = Vec<Arc<str>>> {
    let one = choice(&["read", "create", "delete", "*"]).prop_map(Arc::from);
    vec(one, 0..3)
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    let one = proptest::sample::select(vec![Method::GET, Method::POST, Method::DELETE]);
    vec(one, 0..3)
}

fn patterns(least: usize) -> impl Strategy<Value = Vec<PathPattern>> {
    vec(choice(PATTERNS).prop_map(pattern), least..3)
}

fn policies() -> impl Strategy<Value = Policy> {
    let role = || choice(&["USER", "ADMIN"]).prop_map(Arc::<str>::from);
    let action = (
        methods(),
        proptest::option::of(choice(PATTERNS).prop_map(pattern)),
        choice(&["read", "create", "delete"]),
    )
        .prop_map(|(methods, path, action)| ActionRule {
            methods,
            path,
            action: action.into(),
        });
    let scope = (choice(&["READ", "WRITE"]), actions(), methods(), patterns(0), patterns(0))
        .prop_map(|(scope, actions, methods, paths, except)| {
            let actions = actions.into_iter().filter(|action| &**action != "*").collect();
            ScopeRule { scope: scope.into(), actions, methods, paths, except }
        });
    let grants = vec((role(), actions()), 0..3);
    let resource = (patterns(1), grants).prop_map(|(paths, grants)| ResourceRule {
        resource: "r".into(),
        paths,
        grants,
    });
    (vec(action, 0..5), vec(scope, 0..4), vec(resource, 0..5)).prop_map(
        |(actions, scopes, resources)| Policy { actions, scopes, resources, ..Policy::default() },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_table_agrees_with_the_plain_model(
        policy in policies(),
        roles in proptest::sample::subsequence(vec!["USER", "ADMIN"], 0..=2),
        scopes in proptest::option::of(proptest::sample::subsequence(vec!["READ", "WRITE"], 0..=2)),
        method in proptest::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::DELETE]),
        path in choice(PATHS),
    ) {
        let who = fixture::principal(&roles, scopes.as_deref());
        prop_assert_eq!(policy.authorize(&who, &method, path).is_ok(), model(&policy, &who, &method, path));
    }
}
