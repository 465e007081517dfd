use std::sync::Arc;

use http::Method;
use proptest::prelude::*;

use super::{tree::Tree, *};
use crate::pipeline::{
    Deny,
    deny::Malformed,
    fixture::{self, Request},
    pattern::{Pattern, Segment},
};

mod overlaps;

#[derive(Default)]
struct Table(RouteTableBuilder);

fn place(hosts: &[&str], prefix: &str) -> Place {
    let hosts = hosts.iter().map(|host| Arc::from(*host)).collect();
    Place { listener: "public".into(), hosts, prefix: prefix.into() }
}

impl Table {
    fn at(self, place: Place, methods: &str, path: &str) -> Self {
        self.named(place, methods, path, format!("{methods} {path}").trim(), false)
    }

    fn add(self, methods: &str, path: &str) -> Self {
        self.at(place(&[], ""), methods, path)
    }

    fn owned(self, methods: &str, path: &str) -> Self {
        self.named(place(&[], ""), methods, path, &format!("owned {methods} {path}"), true)
    }

    fn named(mut self, place: Place, methods: &str, path: &str, name: &str, owned: bool) -> Self {
        let methods = methods.split_whitespace().map(|method| method.parse().unwrap()).collect();
        let matches = RouteMatch { path: path.into(), methods, owned, overlap: Overlap::None };
        self.0.route(place, matches, Arc::new(fixture::route(name)));
        self
    }

    fn build(self) -> RouteTable {
        self.0.build().unwrap()
    }

    fn conflicts(self) -> Vec<(String, String, String)> {
        let errors = self.0.build().unwrap_err();
        let told = errors.into_iter().map(|error| match error {
            RouteError::Conflict(conflict) => {
                (conflict.first.to_string(), conflict.second.to_string(), conflict.what)
            }
            RouteError::Pattern { route, why } => (route.to_string(), String::new(), why),
        });
        told.collect()
    }
}

/// The found route's name, or the refusal.
fn ask(table: &RouteTable, method: &str, target: &str) -> Result<String, Deny> {
    let request = Request::new(method, target);
    let view = request.view();
    table.find("public", &view).map(|found| found.route.name.to_string()).map_err(|miss| miss.deny)
}

fn not_allowed(allow: &str) -> Result<String, Deny> {
    Err(Deny::MethodNotAllowed { allow: allow.into() })
}

#[test]
fn the_most_specific_path_wins() {
    let table = Table::default()
        .add("", "/**")
        .add("", "/a/**")
        .add("", "/a/{id}")
        .add("", "/a/b")
        .add("", "/a/{id}/c")
        .add("", "/{x}/b/d")
        .build();
    for (target, route) in [
        ("/", "/**"),
        ("/z", "/**"),
        ("/a", "/a/**"),
        ("/a/", "/a/**"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b"),
        ("/a/7", "/a/{id}"),
        ("/a/7/c", "/a/{id}/c"),
        ("/a/b/c", "/a/{id}/c"),
        ("/a/b/d", "/a/**"),
        ("/z/b/d", "/{x}/b/d"),
        ("/a/7/8/9", "/a/**"),
        ("/A/b", "/**"),
    ] {
        assert_eq!(ask(&table, "GET", target).as_deref(), Ok(route), "{target}");
    }
}

#[test]
fn a_route_that_names_the_method_beats_one_that_takes_any() {
    let table = Table::default().add("", "/a").add("POST", "/a").add("GET", "/b").build();
    assert_eq!(ask(&table, "POST", "/a").as_deref(), Ok("POST /a"));
    assert_eq!(ask(&table, "PUT", "/a").as_deref(), Ok("/a"));
    assert_eq!(ask(&table, "PURGE", "/a").as_deref(), Ok("/a"));
    assert_eq!(ask(&table, "HEAD", "/b").as_deref(), Ok("GET /b"));
    assert_eq!(ask(&table, "PUT", "/b"), not_allowed("GET, HEAD"));
}

#[test]
fn head_goes_with_get_unless_it_is_named() {
    let table = Table::default().add("GET", "/a").add("HEAD", "/a").build();
    assert_eq!(ask(&table, "HEAD", "/a").as_deref(), Ok("HEAD /a"));
}

#[test]
fn a_method_missing_on_a_narrow_path_is_looked_for_on_a_wider_one_unless_the_contract_owns_it() {
    let open = Table::default().add("POST", "/a/b").add("", "/a/**").build();
    assert_eq!(ask(&open, "GET", "/a/b").as_deref(), Ok("/a/**"));
    let owned = Table::default().owned("POST", "/a/b").add("", "/a/**").build();
    assert_eq!(ask(&owned, "GET", "/a/b"), not_allowed("POST"));
    assert_eq!(ask(&owned, "GET", "/a/b/"), not_allowed("POST"));
    assert_eq!(ask(&owned, "GET", "/a/c").as_deref(), Ok("/a/**"));
}

#[test]
fn owned_endpoints_of_one_path_share_it() {
    let table = Table::default()
        .owned("GET", "/keys")
        .owned("POST", "/keys")
        .owned("DELETE", "/keys/{id}")
        .owned("GET", "/keys/current")
        .build();
    assert_eq!(ask(&table, "POST", "/keys").as_deref(), Ok("owned POST /keys"));
    assert_eq!(ask(&table, "PUT", "/keys"), not_allowed("GET, HEAD, POST"));
    assert_eq!(ask(&table, "DELETE", "/keys/x").as_deref(), Ok("owned DELETE /keys/{id}"));
    assert_eq!(ask(&table, "DELETE", "/keys/current"), not_allowed("GET, HEAD"));
}

#[test]
fn an_unknown_path_is_refused_and_a_listener_or_host_unknown_has_no_mount() {
    let table = Table::default().at(place(&["api.example.org"], ""), "", "/a").build();
    assert_eq!(ask(&table, "GET", "/b"), Err(Deny::NoRoute));
    let request = Request::get("/a");
    assert!(table.find("other", &request.view()).unwrap_err().mount.is_none());
    let mut stranger = Request::get("/a");
    stranger.headers.insert("host", "other.example.org".parse().unwrap());
    let missed = table.find("public", &stranger.view()).unwrap_err();
    assert_eq!((missed.deny, missed.mount.is_none()), (Deny::NoRoute, true));
}

#[test]
fn an_exact_host_hides_the_places_of_any_host() {
    let table = Table::default()
        .at(place(&["api.example.org"], ""), "", "/a")
        .at(place(&[], ""), "", "/b")
        .build();
    assert_eq!(ask(&table, "GET", "/a").as_deref(), Ok("/a"));
    assert_eq!(ask(&table, "GET", "/b"), Err(Deny::NoRoute));
}

#[test]
fn the_longest_prefix_wins_even_without_a_route() {
    let table = Table::default()
        .at(place(&[], ""), "", "/**")
        .at(place(&[], "/v2"), "", "/a")
        .at(place(&[], "/v2/deep"), "", "/**")
        .build();
    assert_eq!(ask(&table, "GET", "/v2/a").as_deref(), Ok("/a"));
    assert_eq!(ask(&table, "GET", "/v2/b"), Err(Deny::NoRoute));
    assert_eq!(ask(&table, "GET", "/v22/a").as_deref(), Ok("/**"));
    let request = Request::get("/v2/deep/x");
    assert_eq!(table.find("public", &request.view()).unwrap().prefix_len, 8);
}

#[test]
fn the_default_mount_renders_what_no_route_claims() {
    let mut builder = RouteTableBuilder::default();
    builder.default_mount(place(&[], ""), Arc::new(fixture::mount("root")));
    builder.default_mount(place(&[], ""), Arc::new(fixture::mount("later")));
    builder.default_mount(place(&[], "/v2"), Arc::new(fixture::mount("inner")));
    let table = builder.build().unwrap();
    for (target, mount) in [("/x", "root"), ("/v2/x", "inner"), ("/v2", "inner")] {
        let request = Request::get(target);
        let missed = table.find("public", &request.view()).unwrap_err();
        assert_eq!(missed.mount.unwrap().name.as_str(), mount, "{target}");
        assert_eq!(
            table.mount_of("public", &request.view(), &Method::GET).unwrap().name.as_str(),
            mount
        );
    }
}

#[test]
fn path_forms_are_refused_after_matching_unless_the_route_takes_them() {
    let mut builder = RouteTableBuilder::default();
    let mut open = fixture::route("open");
    open.allows = PathAllowances { encoded_slash: true, semicolon: true, empty_segment: true };
    for (path, route) in [("/closed/**", fixture::route("closed")), ("/open/**", open)] {
        let matches = RouteMatch {
            path: path.into(),
            methods: Vec::new(),
            owned: false,
            overlap: Overlap::None,
        };
        builder.route(place(&[], ""), matches, Arc::new(route));
    }
    let table = builder.build().unwrap();
    for form in ["a%2Fb", "a;b", "a%3Bb", "a//b", "a//"] {
        let refused = Err(Deny::Malformed(Malformed::PathNotAllowedHere));
        assert_eq!(ask(&table, "GET", &format!("/closed/{form}")), refused, "{form}");
        assert_eq!(ask(&table, "GET", &format!("/open/{form}")).as_deref(), Ok("open"), "{form}");
        assert_eq!(ask(&table, "GET", &format!("/nowhere/{form}")), Err(Deny::NoRoute), "{form}");
    }
}

#[test]
fn an_encoded_slash_is_no_separator_and_an_empty_segment_no_parameter() {
    let table = Table::default().add("", "/a/{id}").build();
    assert_eq!(ask(&table, "GET", "/a//b"), Err(Deny::NoRoute));
    assert_eq!(ask(&table, "GET", "/a%2Fb"), Err(Deny::NoRoute));
}

#[test]
fn methods_are_told_for_preflights() {
    let table =
        Table::default().add("DELETE GET", "/a").owned("POST", "/login").add("", "/x/**").build();
    let methods = |target: &str| {
        let request = Request::new("OPTIONS", target);
        let names = table.methods_of("public", &request.view());
        names.iter().map(Method::as_str).collect::<Vec<_>>().join(",")
    };
    assert_eq!(methods("/a"), "GET,HEAD,DELETE");
    assert_eq!(methods("/login"), "POST");
    assert_eq!(methods("/x/1"), "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS");
    assert_eq!(methods("/none"), "");
    let request = Request::new("OPTIONS", "/a");
    let missed = table.find("public", &request.view()).unwrap_err();
    assert_eq!(missed.deny, Deny::MethodNotAllowed { allow: "GET, HEAD, DELETE".into() });
}

#[test]
fn equal_routes_are_told_with_both_names() {
    let clashes = Table::default()
        .named(place(&[], ""), "GET POST", "/a/{x}", "one", false)
        .named(place(&[], ""), "POST GET", "/a/{y}/", "two", false)
        .named(place(&[], ""), "", "/b/**", "three", false)
        .named(place(&[], ""), "", "/b/**", "four", false)
        .conflicts();
    let told = |first: &str, second: &str, what: &str| (first.into(), second.into(), what.into());
    assert_eq!(
        clashes,
        [
            told("one", "two", "POST /a/{y}/ on listener \"public\""),
            told("three", "four", "any method /b/** on listener \"public\""),
        ]
    );
}

#[test]
fn only_equal_routes_at_overlapping_places_conflict() {
    let _ = Table::default()
        .add("", "/a/{x}")
        .add("", "/a/**")
        .add("", "/a")
        .add("GET", "/a")
        .add("POST", "/a")
        .at(place(&["h1"], ""), "", "/a")
        .at(place(&["h2"], ""), "", "/a")
        .at(place(&[], "/p"), "", "/a")
        .build();
    let overlapping = Table::default()
        .named(place(&["h1", "h2"], "/p"), "", "/", "one", false)
        .named(place(&["h2", "h3"], "/p"), "", "/", "two", false)
        .conflicts();
    assert_eq!(overlapping[0].2, "any method /p on listener \"public\", host \"h2\"");
}

#[test]
fn an_operators_route_on_a_path_of_the_contract_is_a_conflict_whatever_its_method() {
    for methods in ["POST", "PUT", ""] {
        let after = Table::default().owned("POST", "/login").add(methods, "/login").conflicts();
        let before = Table::default().add(methods, "/login").owned("POST", "/login").conflicts();
        assert_eq!((after.len(), before.len()), (1, 1), "{methods}");
    }
}

#[test]
fn every_pattern_that_cannot_be_read_is_told() {
    let errors = Table::default()
        .named(place(&[], ""), "", "a", "one", false)
        .named(place(&[], ""), "", "/**/a", "two", false)
        .named(place(&[], "v2/"), "", "/a", "three", false)
        .conflicts();
    let names: Vec<_> = errors.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert!(errors[1].2.contains("`/**/a`"));
}

/// Segment by segment: end before literal before parameter before `**`.
fn specificity(pattern: &Pattern) -> Vec<u8> {
    let mut ranks: Vec<u8> = Vec::new();
    for segment in &pattern.segments {
        ranks.push(if *segment == Segment::Parameter { 2 } else { 3 });
    }
    ranks.push(if pattern.open { 0 } else { 4 });
    ranks
}

fn paths() -> impl Strategy<Value = String> {
    let segment = proptest::sample::select(vec!["a", "b", "{p}", "c"]);
    let open = proptest::bool::ANY;
    (proptest::collection::vec(segment, 0..4), open).prop_map(|(segments, open)| {
        let named = segments.iter().enumerate().map(|(at, name)| match *name {
            "{p}" => format!("/{{p{at}}}"),
            name => format!("/{name}"),
        });
        let text: String = named.collect();
        if open {
            format!("{text}/**")
        } else if text.is_empty() {
            "/".into()
        } else {
            text
        }
    })
}

proptest! {
    #[test]
    fn the_tree_agrees_with_trying_every_pattern(
        patterns in proptest::collection::vec((paths(), 0..3usize), 1..12),
        asked in proptest::collection::vec(proptest::sample::select(vec!["a", "b", "x"]), 0..5),
        method in 0..2usize,
    ) {
        let sets: [&[Method]; 3] = [&[], &[Method::GET], &[Method::POST]];
        let method = [Method::GET, Method::POST][method].clone();
        let path = format!("/{}", asked.join("/"));
        let mut tree = Tree::default();
        let mut best: Option<((Vec<u8>, bool), String)> = None;
        let mut allowed = false;
        for (at, (text, set)) in patterns.iter().enumerate() {
            let pattern = Pattern::parse(text).unwrap();
            let methods = sets[*set];
            let route = Arc::new(fixture::route(&at.to_string()));
            let matches = RouteMatch {
                path: text.clone(),
                methods: methods.to_vec(),
                owned: false,
                overlap: Overlap::None,
            };
            if !tree.insert(&pattern, &matches, &route).is_empty() || !pattern.matches(&path) {
                continue;
            }
            allowed = true;
            if methods.is_empty() || methods.contains(&method) {
                let rank = (specificity(&pattern), !methods.is_empty());
                if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                    best = Some((rank, at.to_string()));
                }
            }
        }
        let found = tree.find(&path, &method, None).map(|hit| hit.route.name.to_string());
        prop_assert_eq!(found, best.map(|(_, name)| name));
        prop_assert_eq!(!tree.methods(&path).is_empty(), allowed);
    }
}
