use super::*;
use crate::pipeline::{
    fixture::{self, Request},
    policy,
};

fn rule(scopes: &[(Option<Method>, &str)], roles: &[&str], all: bool) -> Authz {
    let scopes = scopes.iter().map(|(method, scope)| (method.clone(), Arc::from(*scope))).collect();
    let roles = roles.iter().map(|role| Arc::from(*role)).collect();
    Authz::Rule(RouteRule { scopes, roles, all, capabilities: Vec::new() })
}

fn route(authn: Authn, authz: Authz) -> Arc<Route> {
    let mut route = fixture::route("r");
    let mut mount = fixture::mount("api");
    mount.policy = Arc::new(policy::tests::table());
    route.mount = Arc::new(mount);
    route.authn = authn;
    route.authz = authz;
    Arc::new(route)
}

fn ask(authz: Authz, who: Option<Principal>, method: &str, path: &str) -> Result<Permit, Deny> {
    let required = fixture::route("r").authn;
    let request = Request::new(method, path);
    authorize(&route(required, authz), who.map(Arc::new), &request.view(), path)
}

#[test]
fn a_permit_carries_caller_and_route() {
    let who = fixture::principal(&["USER"], None);
    let permit = ask(Authz::Authenticated, Some(who.clone()), "GET", "/x").unwrap();
    assert_eq!(permit.principal().unwrap().subject, who.subject);
    assert_eq!(&*permit.route().name, "r");
}

#[test]
fn without_a_caller_there_is_no_permit_for_a_protected_route() {
    for authz in [Authz::Authenticated, Authz::Policy, rule(&[(None, "READ")], &[], true)] {
        assert_eq!(ask(authz, None, "GET", "/x").map(drop), Err(Deny::MissingCredential));
    }
}

#[test]
fn a_public_route_permits_nobody_in_particular_and_can_ask_for_nothing() {
    let request = Request::get("/x");
    let who = Some(Arc::new(fixture::principal(&["ADMIN"], None)));
    let open = route(Authn::Public, Authz::Authenticated);
    let permit = authorize(&open, who.clone(), &request.view(), "/x").unwrap();
    assert!(permit.principal().is_none());
    let mistaken = route(Authn::Public, Authz::Policy);
    assert!(authorize(&mistaken, who, &request.view(), "/x").is_err());
}

#[test]
fn a_caller_of_another_mount_is_refused() {
    let mut who = fixture::principal(&["ADMIN"], None);
    who.mount = "other".into();
    assert!(matches!(
        ask(Authz::Authenticated, Some(who), "GET", "/x"),
        Err(Deny::Forbidden { .. })
    ));
}

#[test]
fn the_policy_is_asked_with_the_path_behind_the_prefix() {
    let who = || Some(fixture::principal(&["READONLY"], None));
    assert!(ask(Authz::Policy, who(), "GET", "/tasks").is_ok());
    let refused = ask(Authz::Policy, who(), "POST", "/tasks").map(drop);
    let Err(refused) = refused else { panic!("permitted") };
    let told = (refused.rule(), refused.missing());
    assert_eq!(told, (Some("resource tasks".into()), Some("role USER".into())));
}

#[test]
fn rules_of_routes() {
    use Method as M;
    let by_method = &[(Some(M::GET), "READ"), (None, "WRITE")][..];
    let get_only = &[(Some(M::GET), "READ")][..];
    let key = |scopes: &'static [&'static str]| Some(scopes);
    for (scopes, roles, all, own_roles, own_scopes, method, allowed) in [
        (by_method, &[][..], true, &["USER"][..], key(&["READ"]), "GET", true),
        (by_method, &[], true, &["USER"], key(&["READ"]), "HEAD", true),
        (by_method, &[], true, &["USER"], key(&["READ"]), "POST", false),
        (by_method, &[], true, &["USER"], key(&["WRITE"]), "POST", true),
        (by_method, &[], true, &["USER"], key(&["WRITE"]), "GET", true),
        (by_method, &[], true, &["USER"], key(&["FULL"]), "DELETE", true),
        (by_method, &[], true, &["READONLY"], key(&["FULL"]), "DELETE", false),
        (by_method, &[], true, &["USER"], key(&[]), "GET", false),
        (by_method, &[], true, &["USER"], None, "POST", true),
        (by_method, &[], true, &["READONLY"], None, "GET", true),
        (by_method, &[], true, &["READONLY"], None, "POST", false),
        (by_method, &[], true, &["ADMIN"], None, "GET", false),
        (get_only, &[], true, &["USER"], key(&["WRITE"]), "POST", false),
        (get_only, &["USER"], false, &["USER"], key(&[]), "POST", true),
        (&[], &["ADMIN"], true, &["ADMIN"], None, "POST", true),
        (&[], &["ADMIN"], true, &["USER"], None, "POST", false),
        (&[], &["ADMIN"], true, &["ADMINX"], None, "POST", false),
        (&[], &["ADMIN", "USER"], true, &["USER"], None, "POST", true),
        (by_method, &["ADMIN"], true, &["USER"], key(&["WRITE"]), "POST", false),
        (by_method, &["USER"], true, &["USER"], key(&["READ"]), "POST", false),
        (by_method, &["USER"], true, &["USER"], key(&["WRITE"]), "POST", true),
        (by_method, &["ADMIN"], false, &["USER"], key(&["WRITE"]), "POST", true),
        (by_method, &["USER"], false, &["USER"], key(&["READ"]), "POST", true),
        (&[], &[], true, &["ADMIN"], None, "GET", false),
        (&[], &[], false, &["ADMIN"], None, "GET", false),
    ] {
        let who = fixture::principal(own_roles, own_scopes);
        let found = ask(rule(scopes, roles, all), Some(who), method, "/tasks");
        let told = format!("{scopes:?} {roles:?} {all} | {own_roles:?} {own_scopes:?} {method}");
        match found {
            Ok(_) => assert!(allowed, "{told}"),
            Err(deny) => {
                assert!(!allowed, "{told}");
                assert!(matches!(deny, Deny::Forbidden { .. }), "{told}");
            }
        }
    }
}

fn agent(capabilities: &[&str]) -> Principal {
    let capabilities = capabilities.iter().map(|name| Arc::from(*name)).collect();
    let agent = crate::model::Agent { kind: "code_implementer".into(), capabilities };
    Principal {
        method: crate::model::AuthMethod::Agent,
        agent: Some(Arc::new(agent)),
        ..fixture::principal(&[], None)
    }
}

#[test]
fn an_agent_needs_the_capability_of_the_method_and_nothing_else_helps_it() {
    let mapped = |roles: &[&str]| {
        let capabilities =
            vec![(Some(Method::GET), "file:read".into()), (Some(Method::PUT), "file:write".into())];
        let roles = roles.iter().map(|role| Arc::from(*role)).collect();
        Authz::Rule(RouteRule { capabilities, roles, all: true, ..RouteRule::default() })
    };
    for (capabilities, method, allowed) in [
        (&["file:read"][..], "GET", true),
        (&["file:read"], "HEAD", true),
        (&["file:read"], "PUT", false),
        (&["file:read", "file:write"], "PUT", true),
        (&["file:read", "file:write"], "DELETE", false),
        (&["FILE:READ", "file:", "file:*", "*"], "GET", false),
        (&[], "GET", false),
    ] {
        let found = ask(mapped(&["ADMIN"]), Some(agent(capabilities)), method, "/tasks");
        assert_eq!(found.is_ok(), allowed, "{capabilities:?} {method}");
    }
    // Rules that say nothing of agents are none for them, whatever roles the token may claim.
    let mut mighty = agent(&["file:read"]);
    mighty.roles = vec!["ADMIN".into()];
    assert!(ask(rule(&[], &["ADMIN"], true), Some(mighty), "GET", "/tasks").is_err());
    assert!(ask(Authz::Policy, Some(agent(&["file:read"])), "GET", "/tasks").is_err());
}

#[test]
fn a_rule_for_agents_only_leaves_people_to_the_policy() {
    let capabilities = vec![(None, "file:read".into())];
    let only =
        || Authz::Rule(RouteRule { capabilities: capabilities.clone(), ..RouteRule::default() });
    let reader = || Some(fixture::principal(&["READONLY"], None));
    assert!(ask(only(), reader(), "GET", "/tasks").is_ok());
    assert!(ask(only(), reader(), "POST", "/tasks").is_err());
}
