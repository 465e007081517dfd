//! What the operator asks of the tokens of an issuer, and what their claims mean here: each key of `[[issuer]]` by itself.

use serde_json::{Value, json};

use crate::{
    rig::{AUDIENCE, CORP, Rig, issuer},
    support::{
        conf::{Table, quoted},
        signer::{Signer, claims, jwks, now},
    },
};

struct Case {
    key: Signer,
    rig: Rig,
}

/// A gateway that believes `corp` with these keys beside the usual ones.
fn case(keys: &[(&str, &str)]) -> Case {
    let key = Signer::ed25519("d");
    let table = keys.iter().fold(
        issuer("corp", CORP).with("jwks_file", quoted("corp.json")),
        |table: Table, (name, value)| table.with(name, *value),
    );
    let set = jwks(&[&key]).to_string();
    let rig = Rig::with(&[table], |conf, places| {
        std::fs::write(places.dir.join("corp.json"), &set).unwrap();
        conf.section("[limiter]\nfailures_per_address = false")
    });
    Case { key, rig }
}

impl Case {
    /// A token of which these claims are different; `Null` takes one away.
    fn token(&self, changes: Value) -> String {
        let mut all = claims(CORP, AUDIENCE, "ada");
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        self.key.sign(&all)
    }

    #[track_caller]
    fn judged(&self, changes: Value, status: u16) -> impl Future<Output = ()> + '_ {
        let token = self.token(changes.clone());
        async move {
            let reply = self.rig.get("/closed/x", &token).await;
            assert_eq!(reply.status, status, "{changes}: {}", reply.text());
        }
    }

    /// What the upstream is told of the bearer of such a token.
    async fn told(&self, changes: Value, field: &str) -> Option<String> {
        let token = self.token(changes);
        self.rig.get("/closed/told", &token).await.expect(200);
        self.rig.seen("/closed/told").field(field)
    }
}

// requirement: 6
#[tokio::test]
async fn dates_are_held_to_leeway_and_the_longest_life() {
    let case = case(&[("leeway", r#""60s""#), ("max_life", r#""10m""#)]);
    let at = |seconds: i64| now().saturating_add_signed(seconds);
    for (changes, status) in [
        (json!({}), 200),
        // Within the leeway, and beyond it.
        (json!({ "iat": at(-300), "exp": at(-40) }), 200),
        (json!({ "iat": at(-300), "exp": at(-62) }), 401),
        (json!({ "nbf": at(40) }), 200),
        (json!({ "nbf": at(90) }), 401),
        (json!({ "iat": at(40), "exp": at(300) }), 200),
        (json!({ "iat": at(90), "exp": at(300) }), 401),
        // Ten minutes from its begin, or from now where it has none.
        (json!({ "iat": at(-100), "exp": at(500) }), 200),
        (json!({ "iat": at(-100), "exp": at(501) }), 401),
        (json!({ "iat": null, "exp": at(590) }), 200),
        (json!({ "iat": null, "exp": at(620) }), 401),
        (json!({ "exp": null }), 401),
        (json!({ "exp": at(300).to_string() }), 401),
        (json!({ "nbf": "now" }), 401),
    ] {
        case.judged(changes, status).await;
    }
    let strict = self::case(&[("leeway", r#""0s""#)]);
    strict.judged(json!({ "iat": at(-300), "exp": at(-1) }), 401).await;
    strict.judged(json!({ "exp": at(60) }), 200).await;
}

// requirement: 6, 7
#[tokio::test]
async fn a_token_is_what_the_operator_says_that_it_must_be() {
    let case = case(&[
        ("audiences", r#"["api", "https://api.example"]"#),
        ("required", r#"["client_id", "/org/id"]"#),
        ("required_values", r#"{ verified = true, level = 3, "/org/kind" = "lab" }"#),
    ]);
    let org = json!({ "id": 7, "kind": "lab" });
    let with = |name: &str, value: Value| {
        let mut all = json!({ "org": org.clone(), "verified": true, "level": 3 });
        all[name] = value;
        all
    };
    for (changes, status) in [
        (with("x", json!(1)), 200),
        (with("aud", json!(["web", "https://api.example"])), 200),
        (with("aud", json!("https://api.example/")), 401),
        (with("aud", json!({ "api": true })), 401),
        (with("aud", Value::Null), 401),
        (with("client_id", Value::Null), 401),
        (with("org", json!({ "kind": "lab" })), 401),
        (with("org", json!({ "id": null, "kind": "lab" })), 401),
        (with("org", json!({ "id": 7, "kind": "Lab" })), 401),
        (with("verified", json!("true")), 401),
        (with("verified", json!(false)), 401),
        (with("level", json!(3.0)), 401),
        (with("level", json!("3")), 401),
        (with("iss", json!("https://corp.example/")), 401),
        (with("iss", json!(["https://corp.example"])), 401),
    ] {
        case.judged(changes, status).await;
    }
    // Which kinds of tokens there may be is the operator's to say as well.
    let plain = self::case(&[("typ", r#"["JWT", "x+jwt"]"#)]);
    let good = claims(CORP, AUDIENCE, "ada");
    for (kind, status) in [
        (json!("JWT"), 200),
        (json!("X+JWT"), 200),
        (json!("application/x+jwt"), 200),
        (Value::Null, 200),
        (json!("at+jwt"), 401),
        (json!("dpop+jwt"), 401),
        (json!(7), 401),
    ] {
        let mut header = json!({ "alg": "EdDSA", "kid": "d", "typ": kind });
        if kind.is_null() {
            header.as_object_mut().unwrap().remove("typ");
        }
        let reply = plain.rig.get("/closed/x", &plain.key.sign_as(&header, &good)).await;
        assert_eq!(reply.status, status, "{kind}");
    }
    // Where typ does not tell, claims may.
    for other in [json!({ "at_hash": "x" }), json!({ "events": {} }), json!({ "typ": "Refresh" })] {
        let header = json!({ "alg": "EdDSA", "kid": "d", "typ": "JWT" });
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        plain.rig.get("/closed/x", &plain.key.sign_as(&header, &claims)).await.expect(401);
    }
}

// requirement: 9
#[tokio::test]
async fn claims_are_taken_from_where_the_operator_says_and_nowhere_else() {
    let case = case(&[
        (
            "claims",
            r#"{ subject = "/who/id", username = "login", email = "mail", tenant = "/org/name",
                 scopes = "scp", roles = "/realm/roles" }"#,
        ),
        ("scopes", r#"{ "api.read" = "READ", "api.all" = ["READ", "WRITE"] }"#),
        ("roles", r#"{ boss = ["ADMIN", "USER"], guest = "READONLY" }"#),
        ("base_roles", "[]"),
    ]);
    let with = |name: &str, value: Value| {
        let mut all = json!({
            "who": { "id": "7" }, "login": "ada", "mail": "ada@corp.example",
            "org": { "name": "lab" }, "scp": ["api.read"], "realm": { "roles": ["guest"] },
        });
        all[name] = value;
        all
    };
    for (changes, field, told) in [
        (with("x", json!(1)), "x-auth-subject", Some("corp|7")),
        (with("sub", json!("root")), "x-auth-subject", Some("corp|7")),
        (with("sub", Value::Null), "x-auth-subject", Some("corp|7")),
        (with("x", json!(1)), "x-auth-username", Some("ada")),
        (with("login", Value::Null), "x-auth-username", None),
        (with("x", json!(1)), "x-auth-tenant", Some("lab")),
        (with("x", json!(1)), "x-auth-scopes", Some("READ")),
        (with("scp", json!("api.read other")), "x-auth-scopes", Some("READ")),
        (with("scp", json!(["api.all"])), "x-auth-scopes", Some("READ WRITE")),
        (with("scp", json!("api.all api.read")), "x-auth-scopes", Some("READ WRITE")),
        (with("x", json!(1)), "x-auth-roles", Some("READONLY")),
        (
            with("realm", json!({ "roles": "guest boss" })),
            "x-auth-roles",
            Some("ADMIN,USER,READONLY"),
        ),
        (with("realm", json!({ "roles": ["boss"] })), "x-auth-roles", Some("ADMIN,USER")),
    ] {
        let found = case.told(changes.clone(), field).await;
        let sorted = |text: &str| {
            let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
            parts.sort_unstable();
            parts
        };
        assert_eq!(found.as_deref().map(sorted), told.map(sorted), "{field}: {changes}");
    }
    // Names of ours are none of theirs, and scopes and roles that nobody named are none.
    for changes in [
        with("scp", json!("READ WRITE")),
        with("scp", json!([])),
        with("scp", Value::Null),
        with("realm", json!({ "roles": ["ADMIN", "SUPER_ADMIN", "Boss"] })),
    ] {
        let token = case.token(changes.clone());
        let reply = case.rig.get("/api/v1/tasks/1", &token).await;
        assert_eq!(reply.status, 403, "{changes}");
    }
    for changes in [
        with("who", json!({ "id": 7 })),
        with("who", json!({ "id": "" })),
        with("who", json!("7")),
        with("login", json!(["ada"])),
        with("org", json!({ "name": 1 })),
        with("scp", json!({ "api.read": true })),
        with("scp", json!(["api.read", 1])),
        with("realm", json!({ "roles": ["guest", null] })),
    ] {
        case.judged(changes, 401).await;
    }
    // Where nobody asks for scopes, roles decide alone.
    let roles = self::case(&[("claims", "{ scopes = false }"), ("base_roles", r#"["USER"]"#)]);
    let token = roles.token(json!({ "scope": null }));
    roles.rig.get("/api/v1/tasks/1", &token).await.expect(200);
}
