//! What an upstream is told of the caller under our signature.

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, configuration, header},
    support::{conf, operate},
};

const FIELD: &str = "x-portcullis-assertion";
const AUDIENCE: &str = "https://reports.internal";

fn bench() -> Bench {
    Bench::of(|places, upstream| {
        let rule = format!("{{ audience = \"{AUDIENCE}\", lifetime = \"60s\" }}");
        configuration(places, upstream, ", publish_ahead = \"0s\"")
            .route(conf::closed("told", "/told/**", "main").with("assertion", rule))
    })
}

/// As the upstream would: with the published keys, for its own name.
async fn verified(bench: &Bench, text: &str) -> Value {
    portcullis::pipeline::jwt::install_crypto_provider();
    let set = bench.caller().get("/oauth/jwks").await.expect(200).json();
    let set: JwkSet = serde_json::from_value(set).unwrap();
    let key = set.find(header(text)["kid"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[bench.issuer()]);
    let key = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(text, &key, &rules).unwrap().claims
}

// requirement: 18
#[tokio::test]
async fn an_upstream_can_prove_who_calls_and_nobody_can_forge_it() {
    let bench = bench();
    let token = bench.login().await;
    let mut texts = Vec::new();
    for spelling in [FIELD, "X-Portcullis-Assertion", "X-PORTCULLIS-ASSERTION"] {
        let caller = bench.caller().bearer(&token).with(spelling, "forged");
        caller.get("/told/1").await.expect(200);
        let seen = bench.upstream.only();
        assert!(!String::from_utf8_lossy(&seen.head).contains("forged"), "{spelling}");
        texts.push(seen.field(FIELD).unwrap());
    }
    // It is kept: a request does not cost a signature each time.
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
    let said = verified(&bench, &texts[0]).await;
    assert_eq!(said["username"], json!(operate::ADMIN));
    assert_eq!(said["sub"], crate::bench::claims(&token)["sub"]);
    assert_eq!((&said["method"], &said["realm"]), (&json!("jwt"), &json!("main")));
    let lives = said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap();
    assert!(lives <= 60, "{lives}");
    assert_eq!(header(&texts[0])["typ"], json!("assertion+jwt"));
    // It is no credential.
    bench.caller().bearer(&texts[0]).get("/anybody/1").await.expect(401);
    // Another caller, another statement; another route, none, whatever the client sends.
    let service = bench.service();
    let own = bench.own_token(&service).await;
    bench.caller().bearer(&own).get("/told/1").await.expect(200);
    let other = verified(&bench, &bench.upstream.only().field(FIELD).unwrap()).await;
    assert_eq!((&other["sub"], &other["scope"]), (&json!(service.id), &json!("READ WRITE")));
    bench.caller().bearer(&own).with(FIELD, "forged").get("/anybody/1").await.expect(200);
    assert_eq!(bench.upstream.only().field(FIELD), None);
    // After a rotation both the kept one and a new one are verified.
    bench.gateway.cli_ok(&["signing-key", "rotate"]);
    verified(&bench, &texts[0]).await;
    bench.caller().bearer(&token).get("/told/1").await.expect(200);
    verified(&bench, &bench.upstream.only().field(FIELD).unwrap()).await;
}

#[test]
fn an_assertion_needs_an_issuer_and_a_caller() {
    let bench = bench();
    let text = std::fs::read_to_string(&bench.gateway.config).unwrap();
    let check = |text: &str| {
        let file = bench.gateway.places.dir.join("other.toml");
        std::fs::write(&file, text).unwrap();
        let output = crate::support::gateway::run(&["check", "--config", file.to_str().unwrap()]);
        (output.status.success(), crate::support::gateway::said(&output))
    };
    assert!(check(&text).0);
    let issuer = text.lines().find(|line| line.starts_with("authorization_server")).unwrap();
    let (ok, said) = check(&text.replace(issuer, ""));
    assert!(!ok && said.contains("assertion without an issuer"), "{said}");
    let (ok, said) = check(&text.replace("lifetime = \"60s\"", "lifetime = \"10m\""));
    assert!(!ok && said.contains("out of range"), "{said}");
}
