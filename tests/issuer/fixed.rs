//! Issuers whose keys stand in a file or are a shared secret: whose token it is, who judges it, and what comes of it.

use serde_json::json;

use crate::{
    rig::{CORP, Rig, changed, issuer, token},
    support::{
        conf::{closed, quoted},
        operate,
        signer::{Signer, claims, jwks},
        tmws::{GOOD_PASSWORD, caller, login},
    },
};

const OTHER: &str = "https://other.example";
const SECRET: &str = "a-secret-that-both-have-agreed-on-0123456789";

/// Two issuers beside the mount's own: one with public keys, one with a shared secret.
fn rig(corp: &[&Signer]) -> Rig {
    let set = jwks(corp).to_string();
    let tables = [
        issuer("corp", CORP)
            .with("jwks_file", quoted("corp.json"))
            .with("claims", r#"{ username = "name", tenant = "/org/id", roles = "/access/roles" }"#)
            .with("roles", r#"{ boss = ["ADMIN"] }"#),
        issuer("other", OTHER).with("secret", quoted("file:other.secret")),
    ];
    Rig::with(&tables, |conf, places| {
        std::fs::write(places.dir.join("corp.json"), &set).unwrap();
        std::fs::write(places.dir.join("other.secret"), SECRET).unwrap();
        conf.route(closed("narrow", "/narrow/**", "main").with("issuers", r#"["other"]"#))
            .route(closed("own", "/own/**", "main").with("issuers", "[]"))
    })
}

// requirement: 9
#[tokio::test]
async fn each_token_is_judged_by_the_issuer_it_names_and_by_no_other() {
    let keys = [
        Signer::rsa("r", "RS256"),
        Signer::rsa("p", "PS256"),
        Signer::curve("e", "ES256"),
        Signer::curve("e3", "ES384"),
        Signer::ed25519("d"),
    ];
    let rig = rig(&keys.iter().collect::<Vec<_>>());
    for key in &keys {
        rig.get("/closed/x", &token(key, CORP, "ada")).await.expect(200);
        rig.get("/closed/x", &token(key, OTHER, "ada")).await.expect(401);
        rig.get("/closed/x", &token(key, "https://nobody.example", "ada")).await.expect(401);
        rig.get("/closed/x", &token(key, "tmws-auth-service", "ada")).await.expect(401);
    }
    let shared = Signer::secret("any", SECRET);
    rig.get("/closed/x", &token(&shared, OTHER, "ada")).await.expect(200);
    rig.get("/closed/x", &token(&shared, CORP, "ada")).await.expect(401);

    // A stranger's key under a known name, and a known key for another algorithm.
    rig.get("/closed/x", &token(&Signer::rsa("r", "RS256"), CORP, "ada")).await.expect(401);
    let header = json!({ "alg": "PS256", "kid": "r", "typ": "at+jwt" });
    rig.get("/closed/x", &keys[0].sign_as(&header, &claims(CORP, "api", "ada"))).await.expect(401);

    // Our own logins go on beside them.
    operate::add_admin(&rig.gateway);
    let own = login(&caller(&rig.gateway), operate::ADMIN, GOOD_PASSWORD).await.access;
    rig.get("/closed/own", &own).await.expect(200);
    assert_eq!(rig.seen("/closed/own").field("x-auth-issuer"), None);
}

// requirement: 9
#[tokio::test]
async fn the_upstream_is_told_who_vouches_and_nobody_is_taken_for_an_account() {
    let key = Signer::curve("e", "ES256");
    let rig = rig(&[&key]);
    let admin = operate::add_admin(&rig.gateway);
    let id = admin["id"].as_str().unwrap();
    let mut theirs = claims(CORP, "api", id);
    theirs["name"] = "ada".into();
    theirs["org"] = json!({ "id": "lab" });
    theirs["access"] = json!({ "roles": ["boss", "SUPER_ADMIN"] });
    let theirs = key.sign(&theirs);
    rig.get("/closed/told", &theirs).await.expect(200);
    let seen = rig.seen("/closed/told");
    let field = |name: &str| seen.field(name).unwrap_or_default();
    assert_eq!(field("x-auth-subject"), format!("corp|{id}"));
    assert_eq!(field("x-auth-issuer"), CORP);
    assert_eq!((field("x-auth-username"), field("x-auth-tenant")), ("ada".into(), "lab".into()));
    assert_eq!(
        (field("x-auth-roles"), field("x-auth-scopes")),
        ("USER,ADMIN".into(), "READ WRITE".into())
    );
    assert!(seen.field("authorization").is_none(), "the token stays here");
    // The endpoints of the contract are for accounts of ours, whatever the subject is called.
    rig.get("/api/v1/auth/me", &theirs).await.expect(401);
    rig.get("/api/v1/auth/api-keys", &theirs).await.expect(401);
    rig.get("/closed/told", &theirs).await.expect(200);
}

// requirement: 9
#[tokio::test]
async fn scopes_and_roles_of_a_token_are_judged_as_those_of_an_account() {
    let key = Signer::ed25519("d");
    let rig = rig(&[&key]);
    rig.get("/api/v1/tasks/1", &token(&key, CORP, "ada")).await.expect(200);
    for scope in [json!("openid profile"), json!("READER"), json!([])] {
        let token = key.sign(&changed("scope", scope));
        rig.get("/api/v1/tasks/1", &token).await.expect(403);
    }
}

#[tokio::test]
async fn a_route_may_believe_fewer_issuers_than_its_mount() {
    let key = Signer::ed25519("d");
    let rig = rig(&[&key]);
    let (corp, other) =
        (token(&key, CORP, "ada"), token(&Signer::secret("x", SECRET), OTHER, "ada"));
    // Twice, and the narrow one first: what is kept of a token must not depend on the route that saw it first.
    for _ in 0..2 {
        rig.get("/narrow/x", &corp).await.expect(401);
        rig.get("/own/x", &corp).await.expect(401);
        rig.get("/own/x", &other).await.expect(401);
        rig.get("/narrow/x", &other).await.expect(200);
        rig.get("/closed/x", &corp).await.expect(200);
    }
}

// requirement: 6, 7
#[tokio::test]
async fn tokens_that_are_not_for_us_are_refused() {
    let key = Signer::ed25519("d");
    let rig = rig(&[&key]);
    let good = claims(CORP, "api", "ada");
    for claims in [
        changed("aud", "web".into()),
        changed("exp", 1.into()),
        changed("exp", (crate::support::signer::now() + 90_000).into()),
        changed("cnf", json!({ "jkt": "x" })),
        changed("access", json!({ "roles": [1] })),
    ] {
        rig.get("/closed/x", &key.sign(&claims)).await.expect(401);
    }
    for kind in ["JWT", "logout+jwt"] {
        let header = json!({ "alg": "EdDSA", "kid": "d", "typ": kind });
        rig.get("/closed/x", &key.sign_as(&header, &good)).await.expect(401);
    }
    rig.get("/closed/x", &key.sign(&good)).await.expect(200);
}
