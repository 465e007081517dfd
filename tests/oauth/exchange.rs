//! Exchange (RFC 8693): the result never reaches further, never lives longer, and ends with what it was made from.

use reqwest::Method;
use serde_json::json;

use crate::bench::{ACCESS_TOKEN, Bench, Made, claims};

/// A service that calls on with narrower tokens.
fn agent(bench: &Bench) -> Made {
    bench.client(&["--grant", "token_exchange", "--scope", "READ", "--scope", "ADMIN"])
}

#[tokio::test]
async fn a_login_becomes_a_token_that_is_narrower_and_says_who_acts() {
    let bench = Bench::start();
    let (login, agent) = (bench.login().await, agent(&bench));
    let reply = bench.exchange(&agent, &login, &[("scope", "READ")]).await.expect(200);
    assert_eq!(reply.str("issued_token_type"), ACCESS_TOKEN);
    assert_eq!((reply.str("scope"), reply.str("token_type")), ("READ".into(), "Bearer".into()));
    let token = reply.str("access_token");
    let (before, after) = (claims(&login), claims(&token));
    for name in ["sub", "sid", "username", "roles"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(after["act"], json!({ "sub": agent.id }));
    assert_eq!(after["client_id"], json!(agent.id));
    assert!(after["exp"].as_u64().unwrap() <= before["exp"].as_u64().unwrap());
    assert_ne!(after["jti"], before["jti"]);
    assert_eq!(bench.ask(&token, Method::GET, "/reports/1").await, 200);
    assert_eq!(bench.ask(&token, Method::POST, "/reports/1").await, 403);
    assert_eq!(bench.ask(&login, Method::POST, "/reports/1").await, 200);
    // Of a narrower one an even narrower one, and who acted before is still said.
    let second =
        bench.client(&["--grant", "token_exchange", "--scope", "READ", "--scope", "WRITE"]);
    let again = bench.exchange(&second, &token, &[]).await.expect(200);
    assert_eq!(again.str("scope"), "READ");
    let said = claims(&again.str("access_token"));
    assert_eq!(said["act"], json!({ "sub": second.id, "act": { "sub": agent.id } }));
    assert!(said["exp"].as_u64().unwrap() <= after["exp"].as_u64().unwrap());
}

#[tokio::test]
async fn it_never_widens() {
    let bench = Bench::start();
    let (client, agent) = (bench.service(), agent(&bench));
    let subject = bench.token(&client, &[("grant_type", "client_credentials"), ("scope", "READ")]);
    let subject = subject.await.expect(200).str("access_token");
    for (more, error) in [
        // The exchanging client has ADMIN, the subject not.
        (&[("scope", "ADMIN")][..], "invalid_scope"),
        // The other way round.
        (&[("scope", "WRITE")], "invalid_scope"),
        (&[("resource", "https://other.example")], "invalid_target"),
        (&[("audience", "https://other.example")], "invalid_target"),
        (
            &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
        (&[("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
    ] {
        let refused = bench.exchange(&agent, &subject, more).await.expect(400);
        assert_eq!(refused.str("error"), error, "{more:?}");
    }
    let mut forged = subject.clone();
    forged.replace_range(subject.len() - 4.., "AAAA");
    for odd in ["x", "a.b.c", &forged] {
        assert_eq!(
            bench.exchange(&agent, odd, &[]).await.expect(400).str("error"),
            "invalid_grant"
        );
    }
    let elsewhere = bench.client(&[
        "--grant",
        "client_credentials",
        "--scope",
        "READ",
        "--resource",
        "https://other.example",
    ]);
    let grant = [("grant_type", "client_credentials"), ("resource", "https://other.example")];
    let foreign = bench.token(&elsewhere, &grant).await.expect(200).str("access_token");
    let refused = bench.exchange(&agent, &foreign, &[]).await.expect(400);
    assert_eq!(refused.str("error"), "invalid_target");
}

#[tokio::test]
async fn it_lives_no_longer_than_what_it_was_made_from() {
    let bench = Bench::of(|places, upstream| {
        crate::bench::configuration(places, upstream, "").mount("access_token_lifetime", "\"2s\"")
    });
    let (login, agent) = (bench.login().await, agent(&bench));
    let reply = bench.exchange(&agent, &login, &[]).await.expect(200);
    assert!(reply.int("expires_in") <= 2);
    assert_eq!(claims(&reply.str("access_token"))["exp"], claims(&login)["exp"]);
}

// requirement: 10
#[tokio::test]
async fn it_ends_with_the_token_the_session_and_either_client() {
    let bench = Bench::start();
    let (client, agent) = (bench.service(), agent(&bench));
    let made = async |subject: &str| {
        bench.exchange(&agent, subject, &[("scope", "READ")]).await.expect(200).str("access_token")
    };
    let subject = bench.own_token(&client).await;
    let (first, kept) = (made(&subject).await, bench.own_token(&client).await);
    let further = made(&first).await;
    bench.post("/oauth/revoke", Some(&client), &[("token", &subject)]).await.expect(200);
    for ended in [&subject, &first, &further] {
        assert!(!bench.passes(ended).await);
    }
    assert!(bench.passes(&kept).await);
    let login = bench.login().await;
    let derived = made(&login).await;
    let out = bench.caller().bearer(&login).call(Method::POST, "/api/v1/auth/logout", None).await;
    assert!(out.status < 300);
    assert!(!bench.passes(&derived).await, "it ends with the logout");
    let refused = bench.exchange(&agent, &login, &[]).await.expect(400);
    assert_eq!(refused.str("error"), "invalid_grant");
    // The client it was made from, and the one it was made for.
    let derived = made(&kept).await;
    bench.gateway.cli_ok(&["client", "disable", &client.id]);
    assert!(!bench.passes(&derived).await);
    let derived = made(&bench.login().await).await;
    bench.gateway.cli_ok(&["client", "disable", &agent.id]);
    assert!(!bench.passes(&derived).await);
}
