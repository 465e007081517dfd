//! Two mounts at one place: who takes a path that both claim, and who speaks where neither has the method.

use super::*;

struct Both {
    builder: RouteTableBuilder,
    mounts: [Arc<Mount>; 2],
}

impl Both {
    fn new() -> Self {
        let mounts = ["first", "second"].map(|name| Arc::new(fixture::mount(name)));
        let mut builder = RouteTableBuilder::default();
        builder.default_mount(place(&[], ""), mounts[0].clone());
        Self { builder, mounts }
    }

    /// Adds an endpoint of the first or the second mount.
    fn add(mut self, mount: usize, method: &str, path: &str, overlap: Overlap) -> Self {
        let mut route = fixture::route(&format!("{mount} {method} {path}"));
        route.mount = self.mounts[mount].clone();
        let methods = vec![method.parse().unwrap()];
        let matches = RouteMatch { path: path.into(), methods, owned: true, overlap };
        self.builder.route(place(&[], ""), matches, Arc::new(route));
        self
    }

    fn conflict(self) -> bool {
        matches!(self.builder.build().unwrap_err().as_slice(), [RouteError::Conflict(_)])
    }
}

const BY_QUERY: Overlap = Overlap::WhenQuery("session_id");

#[test]
fn a_query_parameter_chooses_whichever_was_declared_first() {
    for order in [[0, 1], [1, 0]] {
        let mut both = Both::new();
        for mount in order {
            let overlap = if mount == 1 { BY_QUERY } else { Overlap::None };
            both = both.add(mount, "GET", "/users/me", overlap);
        }
        let table = both.builder.build().unwrap();
        for (target, mount) in [
            ("/users/me", 0),
            ("/users/me?session=1", 0),
            ("/users/me?x_session_id=1", 0),
            ("/users/me?session_id", 1),
            ("/users/me?a=b&session_id=x", 1),
            ("/users/me/?session%5Fid=x", 1),
        ] {
            for method in ["GET", "HEAD"] {
                let name = format!("{mount} GET /users/me");
                assert_eq!(ask(&table, method, target), Ok(name), "{method} {target}");
            }
        }
        assert_eq!(table.routes().len(), 2, "both have their figures");
    }
}

#[test]
fn alone_at_its_place_the_chosen_one_takes_everything() {
    let table = Both::new().add(1, "GET", "/users/me", BY_QUERY).builder.build().unwrap();
    assert_eq!(ask(&table, "GET", "/users/me").as_deref(), Ok("1 GET /users/me"));
}

#[test]
fn one_answers_for_all_that_agree_to_it() {
    let both = Both::new().add(0, "GET", "/health", Overlap::Union);
    let table = both.add(1, "GET", "/health", Overlap::Union).builder.build().unwrap();
    let request = Request::get("/health");
    let found = table.find("public", &request.view()).unwrap();
    assert_eq!(found.route.mount.name.as_str(), "first");
    let joined: Vec<_> = found.joined.iter().map(|route| route.mount.name.as_str()).collect();
    assert_eq!(joined, ["second"]);
}

#[test]
fn whatever_is_not_declared_so_on_both_sides_is_a_conflict() {
    for (one, two) in [
        (Overlap::None, Overlap::None),
        (Overlap::Union, Overlap::None),
        (Overlap::None, Overlap::Union),
        (BY_QUERY, BY_QUERY),
        (BY_QUERY, Overlap::Union),
    ] {
        let both = Both::new().add(0, "GET", "/x", one).add(1, "GET", "/x", two);
        assert!(both.conflict(), "{one:?} {two:?}");
    }
    let third = Both::new().add(0, "GET", "/x", Overlap::None).add(1, "GET", "/x", BY_QUERY);
    assert!(third.add(1, "GET", "/x", BY_QUERY).conflict());
}

#[test]
fn a_missing_method_is_told_by_the_mount_that_has_the_path() {
    let table = Both::new()
        .add(1, "POST", "/auth/jwt/login", Overlap::None)
        .add(0, "POST", "/auth/login", Overlap::None)
        .add(1, "GET", "/auth/login", Overlap::None)
        .builder
        .build()
        .unwrap();
    for (target, mount) in
        [("/auth/jwt/login", "second"), ("/auth/login", "first"), ("/nothing", "first")]
    {
        let request = Request::new("DELETE", target);
        let missed = table.find("public", &request.view()).unwrap_err();
        assert_eq!(missed.mount.unwrap().name.as_str(), mount, "{target}");
    }
    // Who answers a preflight depends on what it asks for.
    let request = Request::new("OPTIONS", "/auth/login");
    for (method, mount) in [(Method::POST, "first"), (Method::GET, "second")] {
        let found = table.mount_of("public", &request.view(), &method).unwrap();
        assert_eq!(found.name.as_str(), mount);
    }
}
