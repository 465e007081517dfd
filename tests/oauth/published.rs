//! What everybody may read: metadata, keys, and where a challenge points to.

use serde_json::json;

use crate::{
    bench::{Bench, configuration, header},
    support::{gateway::Gateway, upstream::Upstream},
};

#[tokio::test]
async fn the_issuer_describes_itself_and_everything_it_names_is_there() {
    let bench = Bench::start();
    let issuer = bench.issuer();
    let told = bench.caller().get("/.well-known/oauth-authorization-server").await.expect(200);
    let about = told.json();
    assert_eq!(about["issuer"], json!(issuer));
    for (name, path) in [
        ("token_endpoint", "/oauth/token"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("introspection_endpoint", "/oauth/introspect"),
        ("jwks_uri", "/oauth/jwks"),
    ] {
        assert_eq!(about[name], json!(format!("{issuer}{path}")), "{name}");
    }
    assert_eq!(
        about["token_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post", "private_key_jwt"])
    );
    let keys = bench.caller().get("/oauth/jwks").await.expect(200);
    assert_eq!(keys.header("content-type"), Some("application/jwk-set+json"));
    let keys = keys.json();
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("ES256"), &json!("sig"))
    );
    assert!(key.get("d").is_none());
    let token = bench.own_token(&bench.service()).await;
    assert_eq!(header(&token), json!({ "alg": "ES256", "typ": "at+jwt", "kid": key["kid"] }));
}

#[tokio::test]
async fn an_issuer_with_a_path_is_described_between_host_and_path() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        let issuer = format!("http://{}/x", places.public);
        configuration(places, &upstream, "")
            .mount("at", r#"[{ prefixes = ["/x"] }]"#)
            .mount("authorization_server", &format!("{{ issuer = \"{issuer}\" }}"))
            .mount("protected_resource", &format!("{{ resource = \"{issuer}\" }}"))
            .text()
    });
    let caller = crate::support::tmws::caller(&gateway);
    let about = caller.get("/.well-known/oauth-authorization-server/x").await.expect(200).json();
    assert_eq!(about["jwks_uri"], json!(format!("{}/x/oauth/jwks", gateway.url())));
    caller.get("/x/oauth/jwks").await.expect(200);
    caller.get("/.well-known/oauth-authorization-server").await.expect(404);
    let about = caller.get("/.well-known/oauth-protected-resource/x").await.expect(200).json();
    assert_eq!(about["authorization_servers"], json!([format!("{}/x", gateway.url())]));
    let refused = caller.get("/x/anybody/y").await.expect(401);
    let metadata = format!("{}/.well-known/oauth-protected-resource/x", gateway.url());
    let challenge = format!("Bearer resource_metadata=\"{metadata}\"");
    assert_eq!(refused.all("www-authenticate"), [challenge.as_str()]);
}

// requirement: 12
#[tokio::test]
async fn a_challenge_says_where_to_learn_which_tokens_are_taken() {
    let bench = Bench::start();
    let metadata = format!("{}/.well-known/oauth-protected-resource/api", bench.issuer());
    let refused = bench.caller().bearer("a.b.c").get("/anybody/x").await.expect(401);
    let expected = format!("Bearer error=\"invalid_token\", resource_metadata=\"{metadata}\"");
    assert_eq!(refused.all("www-authenticate"), [expected.as_str()]);
    let about = bench.caller().get("/.well-known/oauth-protected-resource/api").await.expect(200);
    assert_eq!(
        about.json(),
        json!({
            "resource": format!("{}/api", bench.issuer()), "bearer_methods_supported": ["header"],
            "authorization_servers": [bench.issuer()], "scopes_supported": ["READ", "WRITE"],
        })
    );
}

#[tokio::test]
async fn without_its_table_there_is_no_issuer() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        configuration(places, &upstream, "")
            .mount("authorization_server", "false")
            .mount("protected_resource", "false")
            .text()
    });
    let caller = crate::support::tmws::caller(&gateway);
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/api",
        "/oauth/jwks",
        "/oauth/token",
        "/oauth/introspect",
    ] {
        caller.get(path).await.expect(404);
    }
}
