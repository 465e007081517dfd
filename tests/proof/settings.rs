//! What may be written under `proof`.

use super::bench::Bench;
use crate::support::{
    conf::{self, Conf, quoted},
    gateway::{self, Places},
};

/// What `check` says to a route with these keys.
fn told(mount: Option<&str>, authn: &str, proof: Option<&str>) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let places = Places {
        public: "127.0.0.1:18081".parse().unwrap(),
        operator: "127.0.0.1:18082".parse().unwrap(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let mut route = conf::closed("a", "/a/**", "main").with("authn", authn);
    if authn.contains("public") {
        route = route.without("authz");
    }
    if let Some(proof) = proof {
        route = route.with("proof", quoted(proof));
    }
    let mut file = Conf::new(&places).upstream("main", &["127.0.0.1:1".parse().unwrap()]);
    if let Some(proof) = mount {
        file = file.mount("proof", &quoted(proof));
    }
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, file.route(route).text()).unwrap();
    let output = gateway::run_with("", &["check", "--config", path.to_str().unwrap()]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_proof_is_asked_for_beside_tokens_only() {
    for (mount, authn, proof, fault) in [
        (None, r#"["jwt"]"#, Some("dpop"), ""),
        (None, r#"["jwt"]"#, Some("none"), ""),
        (Some("any"), r#"["jwt"]"#, None, ""),
        (Some("any"), r#"["public"]"#, None, ""),
        (Some("any"), r#"["jwt", "api_key"]"#, Some("none"), ""),
        (None, r#"["jwt"]"#, Some("DPoP"), "dpop"),
        (None, r#"["jwt", "api_key"]"#, Some("dpop"), "proof beside other credentials"),
        (Some("dpop"), r#"["api_key"]"#, None, "proof beside other credentials"),
        (None, r#"["public"]"#, Some("certificate"), "proof on a public route"),
    ] {
        let (good, text) = told(mount, authn, proof);
        assert_eq!(good, fault.is_empty(), "{mount:?} {authn} {proof:?}\n{text}");
        assert!(text.contains(fault), "{text}");
    }
}

#[tokio::test]
async fn a_mount_may_ask_for_all_its_routes() {
    let bench = Bench::with(|places, upstream| {
        Conf::new(places)
            .mount("proof", &quoted("dpop"))
            .upstream("main", &[upstream])
            .route(conf::closed("own", "/own/**", "main").with("authn", r#"["jwt"]"#))
            .text()
    });
    // A login of the contract is bound to nothing.
    let client = crate::support::tmws::caller(&bench.gateway);
    let name = crate::support::operate::someone(&bench.gateway, "USER");
    let tokens =
        crate::support::tmws::login(&client, &name, crate::support::tmws::GOOD_PASSWORD).await;
    let bearer = format!("Bearer {}", tokens.access);
    assert_eq!(bench.ask("/own/a", &[("authorization", &bearer)]).await.status, 401);
    assert_eq!(bench.reason("/own/a").await, "proof_unbound");
    // The contract's own endpoints ask for what they always asked for.
    assert_eq!(client.bearer(&tokens.access).get("/api/v1/auth/me").await.status, 200);
}
