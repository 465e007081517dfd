//! Tokens of issuers outside in the other places that judge credentials: questions, policy tests, shadow mode and forward-auth.

use serde_json::{Value, json};

use crate::{
    rig::{AUDIENCE, CORP, Rig, issuer, token},
    support::{
        conf::{Table, closed, quoted},
        gateway::said,
        ports,
        provider::{Mood, Provider},
        signer::{Signer, claims, jwks},
        wait::until,
        wire,
    },
};

const SHADOWED: &str =
    r#"{ scopes = { "*" = "ADMIN" }, mode = "shadow", meanwhile = "authenticated" }"#;

/// `corp` with a key in a file, and `away` whose keys are fetched.
fn rig(key: &Signer, provider: &Provider, front: std::net::SocketAddr) -> Rig {
    let corp = issuer("corp", CORP).with("jwks_file", quoted("corp.json"));
    let away =
        issuer("away", &provider.issuer()).with("discovery", "true").with("floor", r#""1s""#);
    let set = jwks(&[key]).to_string();
    Rig::with(&[corp, away], |conf, places| {
        std::fs::write(places.dir.join("corp.json"), &set).unwrap();
        conf.section("[limiter]\nfailures_per_address = false")
            .route(closed("shadowed", "/shadowed/**", "main").with("authz", SHADOWED))
            .table(
                Table::new("forward_auth", "front")
                    .with("address", quoted(&front.to_string()))
                    .with("style", quoted("traefik"))
                    .with("peers", r#"["127.0.0.1"]"#),
            )
    })
}

/// What `explain` says of a request with this token.
fn explained(rig: &Rig, path: &str, token: &str) -> Value {
    let file = rig.gateway.places.dir.join("asked.token");
    std::fs::write(&file, token).unwrap();
    let (url, file) = (format!("{}{path}", rig.gateway.url()), file.to_str().unwrap().to_owned());
    let output =
        rig.gateway.cli(&["explain", "GET", &url, "--token-file", &file, "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

#[tokio::test]
async fn a_question_is_answered_with_the_keys_in_hand_and_asks_nobody() {
    let (key, fetched) = (Signer::ed25519("d"), Signer::curve("one", "ES256"));
    let provider = Provider::new(jwks(&[&fetched]));
    let rig = rig(&key, &provider, ports::free_address());
    let iss = provider.issuer();
    for token in [token(&key, CORP, "ada"), token(&fetched, &iss, "ada")] {
        let told = explained(&rig, "/closed/x", &token);
        assert_eq!(
            (&told["outcome"], &told["reason"]),
            (&json!("permitted"), &json!("ok")),
            "{told}"
        );
        let fields = told["upstream"]["set"].to_string();
        assert!(fields.contains("|ada"), "{fields}");
        rig.get("/closed/x", &token).await.expect(200);
    }
    let mut late = claims(CORP, AUDIENCE, "ada");
    (late["iat"], late["exp"]) = (1.into(), 600.into());
    let told = explained(&rig, "/closed/x", &key.sign(&late));
    assert_eq!(told["reason"], "token_expired", "{told}");

    // A key that is not in hand: what it is cannot be told, and nobody is asked for it.
    let fetches = provider.fetches().len();
    let unknown = token(&Signer::curve("two", "ES256"), &iss, "ada");
    let told = explained(&rig, "/closed/x", &unknown);
    assert_eq!(told["outcome"], "undetermined", "{told}");
    assert!(told["meaning"].as_str().unwrap().contains("issuer"), "{told}");
    assert_eq!(provider.fetches().len(), fetches);
}

#[tokio::test]
async fn policy_cases_may_bring_tokens_of_issuers() {
    let key = Signer::ed25519("d");
    let provider = Provider::new(jwks(&[&Signer::curve("one", "ES256")]));
    let rig = rig(&key, &provider, ports::free_address());
    let good = token(&key, CORP, "ada");
    let bad = token(&Signer::ed25519("d"), CORP, "ada");
    let cases = format!(
        "[[case]]\nname = \"good\"\nrequest = \"GET {url}/closed/x\"\n\
         headers = {{ Authorization = \"Bearer {good}\" }}\nexpect = {{ outcome = \"permitted\", headers = {{ X-Auth-Subject = \"corp|ada\" }} }}\n\
         [[case]]\nname = \"forged\"\nrequest = \"GET {url}/closed/x\"\n\
         headers = {{ Authorization = \"Bearer {bad}\" }}\nexpect = {{ outcome = \"refused\" }}\n",
        url = rig.gateway.url(),
    );
    let file = rig.gateway.places.dir.join("cases.toml");
    std::fs::write(&file, cases).unwrap();
    rig.gateway.cli_ok(&["test", file.to_str().unwrap()]);
    // Where the file is edited there may be no keys: then nothing is known of any token.
    std::fs::remove_file(rig.gateway.places.dir.join("corp.json")).unwrap();
    let output = rig.gateway.cli(&["test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("undetermined"), "{}", said(&output));
}

#[tokio::test]
async fn what_a_shadowed_rule_would_say_of_them_is_reported() {
    let key = Signer::ed25519("d");
    let provider = Provider::new(jwks(&[&Signer::curve("one", "ES256")]));
    let rig = rig(&key, &provider, ports::free_address());
    for n in 0..3 {
        rig.get("/shadowed/x", &token(&key, CORP, &format!("ada-{n}"))).await.expect(200);
    }
    let line = until("the requests are noted", || async {
        let all = rig.gateway.cli_json(&["shadow", "report"]);
        let lines = all.as_array().unwrap().clone();
        lines.into_iter().find(|line| line["route"] == "shadowed" && line["count"] == 3)
    })
    .await;
    assert!(line["reason"] == "insufficient_scope" && line["callers"] == 3, "{line}");
}

// requirement: 9
#[tokio::test]
async fn a_front_is_told_of_them_what_the_proxy_would_do() {
    let (key, fetched) = (Signer::ed25519("d"), Signer::curve("one", "ES256"));
    let provider = Provider::new(jwks(&[&fetched]));
    let front = ports::free_address();
    let rig = rig(&key, &provider, front);
    let host = rig.gateway.address();
    let asked = async |token: &str| {
        let question = format!(
            "GET / HTTP/1.1\r\nHost: front\r\nX-Forwarded-Method: GET\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Host: {host}\r\n\
             X-Forwarded-Uri: /closed/x\r\nX-Forwarded-For: 127.0.0.1\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        wire::exchange(front, question).await
    };
    let iss = provider.issuer();
    for (token, subject) in
        [(token(&key, CORP, "ada"), "corp|ada"), (token(&fetched, &iss, "bob"), "away|bob")]
    {
        let reply = asked(&token).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("x-auth-subject"), Some(subject));
    }
    let forged = token(&Signer::ed25519("d"), CORP, "ada");
    assert_eq!(asked(&forged).await.status, 401);
    // An outage is none of the caller's doing there, either.
    provider.feel_wholly(Mood::Failing);
    rig.gateway.cli(&["jwks", "refresh", "away"]);
    let unknown = token(&Signer::curve("two", "ES256"), &iss, "ada");
    let (through, told) = (rig.get("/closed/x", &unknown).await, asked(&unknown).await);
    assert_eq!((through.status, told.status), (503, 503), "{}", told.text());
    assert!(told.header("retry-after").is_some());
}
