use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    model::Principal,
    pipeline::{
        Authn, CanonicalPath, Route, authz,
        fixture::{self, Request, values},
        route::PathAllowances,
    },
};

fn full_caller() -> Principal {
    let mut who = fixture::principal(&["USER", "OPS"], Some(&["READ", "WRITE"]));
    who.key = Some("tmws_key_1".into());
    who.tenant = Some("lab".into());
    who
}

struct Case {
    route: Route,
    who: Option<Principal>,
    prefix_len: usize,
    host: &'static str,
    names: IdentityHeaders,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            route: fixture::route("r"),
            who: Some(full_caller()),
            prefix_len: 0,
            host: "api.example.org:8000",
            names: IdentityHeaders::default(),
        }
    }
}

impl Case {
    fn patch(self, request: &Request) -> HeaderPatch {
        let view = request.view();
        let permit =
            authz::authorize(&Arc::new(self.route), self.who.map(Arc::new), &view, "/").unwrap();
        let hop = HopFacts { scheme: "http", host: self.host };
        patch(&permit, &view, self.prefix_len, &self.names, &hop, |who| {
            IdentityFields::of(&self.names, who)
        })
    }
}

fn removed(patch: &HeaderPatch) -> Vec<&str> {
    let mut names: Vec<&str> = patch.remove.iter().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

const SPOOFED: [&str; 40] = [
    "x-forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "x-original-host",
    "x-original-uri",
    "x-host",
    "x-auth-subject",
    "X-Auth-Username",
    "x-auth-roles",
    "x-auth-scopes",
    "x-auth-method",
    "x-auth-key-id",
    "x-auth-realm",
    "x-auth-tenant",
    "x-auth-issuer",
    "x-auth-anything",
    "x_auth_subject",
    "X-Auth_Subject",
    "x.auth.subject",
    "x~auth!subject",
    "x-forwarded-for",
    "x-forwarded-prefix",
    "x-forwarded-unheard-of",
    "forwarded",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-request-id",
    "x-portcullis-context",
    "x-portcullis-verdict",
    "proxy-authorization",
    "harmless_but_underscored",
    "authorization",
    "x-api-key",
];

#[test]
fn spoofed_fields_go_in_every_spelling_on_every_route() {
    let start = Request::get("/").header("accept", "a").header("cookie", "c").header("x-own", "o");
    let request = SPOOFED.iter().fold(start, |request, name| request.header(name, "spoof"));
    let mut wanted: Vec<String> = SPOOFED.iter().map(|name| name.to_ascii_lowercase()).collect();
    wanted.sort_unstable();
    let mut public = fixture::route("public");
    public.authn = Authn::Public;
    let mut identity = fixture::route("identity");
    identity.target = Target::Identity;
    for route in [fixture::route("protected"), public, identity] {
        let patch = Case { route, ..Case::default() }.patch(&request);
        assert_eq!(removed(&patch), wanted);
    }
}

#[test]
fn renamed_identity_headers_are_stripped_in_every_spelling_too() {
    let names =
        IdentityHeaders { subject: HeaderName::from_static("x-user"), ..Default::default() };
    let request =
        Request::get("/").header("x-user", "a").header("x.user", "b").header("x_user", "c");
    let patch = Case { names, ..Case::default() }.patch(&request);
    assert_eq!(removed(&patch), ["x-user", "x.user", "x_user"]);
    assert_eq!(values(&patch, "x-user"), ["0190aaaa-0000-7000-8000-000000000001"]);
}

#[test]
fn credentials_go_on_only_where_the_route_says_so() {
    let request = Request::get("/").header("authorization", "a").header("x-api-key", "b");
    let mut keeping = fixture::route("r");
    keeping.forward_credential = true;
    assert_eq!(removed(&Case { route: keeping, ..Case::default() }.patch(&request)), [""; 0]);
}

#[test]
fn the_callers_facts_are_set_once() {
    let patch = Case::default().patch(&Request::get("/"));
    for (name, wanted) in [
        ("x-auth-subject", "0190aaaa-0000-7000-8000-000000000001"),
        ("x-auth-username", "ada"),
        ("x-auth-roles", "USER,OPS"),
        ("x-auth-scopes", "READ WRITE"),
        ("x-auth-method", "api_key"),
        ("x-auth-key-id", "tmws_key_1"),
        ("x-auth-realm", "main"),
        ("x-auth-tenant", "lab"),
        ("x-request-id", "req_1"),
    ] {
        assert_eq!(values(&patch, name), [wanted], "{name}");
    }
}

#[test]
fn nothing_of_identity_is_set_without_a_caller_or_toward_identity_itself() {
    let mut public = fixture::route("public");
    public.authn = Authn::Public;
    let mut identity = fixture::route("identity");
    identity.target = Target::Identity;
    for route in [public, identity] {
        let patch = Case { route, ..Case::default() }.patch(&Request::get("/"));
        patch.each(|name, _| assert!(!name.as_str().starts_with("x-auth-"), "{name}"));
        assert_eq!(values(&patch, "x-request-id"), ["req_1"]);
    }
}

#[test]
fn facts_that_are_no_header_text_are_escaped() {
    let mut who = full_caller();
    who.username = Some("jörg\r\nX-Auth-Roles: ADMIN%41".into());
    who.roles = vec!["A,B".into(), "C D".into()];
    let patch = Case { who: Some(who), ..Case::default() }.patch(&Request::get("/"));
    let name = values(&patch, "x-auth-username");
    assert_eq!(name, ["j%C3%B6rg%0D%0AX-Auth-Roles:%20ADMIN%2541"]);
    assert_eq!(values(&patch, "x-auth-roles"), ["A%2CB,C%20D"]);
}

#[test]
fn the_outer_hop_is_told_afresh() {
    let request = Request::get("/").header("x-forwarded-for", "6.6.6.6").from("2001:db8::7");
    let patch = Case::default().patch(&request);
    assert_eq!(values(&patch, "x-forwarded-for"), ["2001:db8::7"]);
    assert_eq!(values(&patch, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&patch, "x-forwarded-host"), ["api.example.org:8000"]);
    let forwarded = "for=\"[2001:db8::7]\";host=\"api.example.org:8000\";proto=http";
    assert_eq!(values(&patch, "forwarded"), [forwarded]);
}

#[test]
fn a_host_that_would_break_the_quotes_is_left_out() {
    let patch = Case { host: "a\";for=1.1.1.1;x=\"", ..Case::default() }.patch(&Request::get("/"));
    assert_eq!(values(&patch, "forwarded"), ["for=192.0.2.7;proto=http"]);
    assert_eq!(values(&patch, "x-forwarded-host"), [""; 0]);
}

#[test]
fn the_operators_rules_come_before_our_own() {
    let mut route = fixture::route("r");
    route.headers.request_remove = vec![HeaderName::from_static("x-own")];
    let own = (HeaderName::from_static("x-added"), HeaderValue::from_static("1"));
    route.headers.request_set = vec![own.clone()];
    let patch = Case { route, ..Case::default() }.patch(&Request::get("/").header("x-own", "o"));
    assert_eq!(removed(&patch), ["x-own"]);
    assert_eq!(patch.set.first(), Some(&own));
}

#[test]
fn the_upstream_gets_the_path_it_wants() {
    use TrailingSlash::*;
    for (target, prefix_len, form, wanted) in [
        ("/v2/a?b=c%20d", 3, Keep, "/a?b=c%20d"),
        ("/v2", 3, Keep, "/"),
        ("/v2/", 3, Keep, "/"),
        ("/v2?x", 3, Keep, "/?x"),
        ("/a/", 0, Keep, "/a/"),
        ("/a?", 0, Keep, "/a?"),
        ("/a", 0, Add, "/a/"),
        ("/a/", 0, Add, "/a/"),
        ("/", 0, Add, "/"),
        ("/a/?q", 0, Strip, "/a?q"),
        ("/", 0, Strip, "/"),
        ("/v2/", 3, Strip, "/"),
        ("/%61%2f", 0, Keep, "/a%2F"),
        ("//evil.example.org/x", 0, Keep, "/evil.example.org/x"),
        ("/v2//evil.example.org/x", 3, Keep, "/evil.example.org/x"),
        ("/a//", 0, Keep, "/a//"),
        ("/a//", 0, Strip, "/a//"),
        ("/a//", 0, Add, "/a//"),
        ("/v2//", 3, Strip, "/"),
    ] {
        let mut route = fixture::route("r");
        route.trailing_slash = form;
        route.allows = PathAllowances { encoded_slash: true, semicolon: true, empty_segment: true };
        let patch = Case { route, prefix_len, ..Case::default() }.patch(&Request::get(target));
        assert_eq!(patch.path_and_query, wanted, "{target} {form:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// Route and policy judge what stands behind the prefix; the upstream must get just that.
    #[test]
    fn the_path_sent_is_the_path_judged(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec!["/", "//", "a", "admin", "%2f", ";x", "%61", "%c3%a4", "."]),
            0..7,
        ),
        prefixed in any::<bool>(),
        form in proptest::sample::select(vec![
            TrailingSlash::Keep, TrailingSlash::Add, TrailingSlash::Strip,
        ]),
    ) {
        let (prefix, prefix_len) = if prefixed { ("/v2", 3) } else { ("", 0) };
        let request = Request::get(&format!("{prefix}/{}?q=//", pieces.concat()));
        let Ok(view) = request.try_view() else { return Ok(()) };
        let judged = view.path.behind(prefix_len).to_owned();
        drop(view);
        let mut route = fixture::route("r");
        route.trailing_slash = form;
        route.allows = PathAllowances { encoded_slash: true, semicolon: true, empty_segment: true };
        let patch = Case { route, prefix_len, ..Case::default() }.patch(&request);
        let sent = patch.path_and_query.strip_suffix("?q=//").unwrap();
        let wanted = match form {
            TrailingSlash::Add if !judged.ends_with('/') => format!("{judged}/"),
            TrailingSlash::Strip if judged.len() > 1 && !judged.ends_with("//") => {
                judged.strip_suffix('/').unwrap_or(&judged).to_owned()
            }
            _ => judged.clone(),
        };
        prop_assert_eq!(sent, &wanted);
        // One leading slash, and the same segments for whoever reads it.
        prop_assert!(!sent.starts_with("//"));
        let segments = |path: &str| {
            crate::pipeline::pattern::segments(path).map(str::to_owned).collect::<Vec<_>>()
        };
        prop_assert_eq!(segments(sent), segments(&judged));
        let again = CanonicalPath::parse(sent).unwrap();
        prop_assert_eq!(again.as_str(), sent);
    }
}
