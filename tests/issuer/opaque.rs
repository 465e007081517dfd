//! Tokens that only their issuer can tell about (RFC 7662).

use serde_json::json;

use crate::{
    rig::{AUDIENCE, Rig, futures_of, issuer},
    support::{
        conf::{Table, closed, quoted},
        provider::{Mood, Provider},
        signer::{Signer, claims, jwks, now},
        wait::until,
    },
};

const SECRET: &str = "what-the-gateway-shows-the-provider";

/// One that is asked about each token, and holds an answer for so long.
fn asked(provider: &Provider, cache: &str) -> Table {
    let url = quoted(&format!("{}/introspect", provider.issuer()));
    issuer("corp", &provider.issuer()).with(
        "introspection",
        format!(
            r#"{{ url = {url}, client_id = "gateway", secret = "file:corp.secret", cache = {cache:?} }}"#
        ),
    )
}

fn rig(table: Table) -> Rig {
    Rig::with(&[table], |conf, places| {
        std::fs::write(places.dir.join("corp.secret"), SECRET).unwrap();
        conf.section("[limiter]\nfailures_per_address = false")
            .route(closed("own", "/own/**", "main").with("issuers", "[]"))
    })
}

#[tokio::test]
async fn an_opaque_token_is_what_its_issuer_says_it_is() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    let iss = provider.issuer();
    provider.know("good-one", claims(&iss, AUDIENCE, "ada"));
    provider.know("for-others", claims(&iss, "web", "ada"));
    provider.know("of-others", claims("https://other.example", AUDIENCE, "ada"));
    let mut refresh = claims(&iss, AUDIENCE, "ada");
    refresh["token_type"] = "refresh_token".into();
    provider.know("refresh", refresh);
    let mut past = claims(&iss, AUDIENCE, "ada");
    past["exp"] = (now() - 600).into();
    provider.know("past", past);

    for _ in 0..3 {
        rig.get("/closed/opaque", "good-one").await.expect(200);
    }
    let seen = rig.seen("/closed/opaque");
    assert_eq!(seen.field("x-auth-subject").as_deref(), Some("corp|ada"));
    assert_eq!(seen.field("x-auth-issuer").as_deref(), Some(&*iss));
    for token in ["for-others", "of-others", "refresh", "past", "made-up", "made-up"] {
        rig.get("/closed/x", token).await.expect(401);
    }
    rig.get("/own/x", "good-one").await.expect(401);
    rig.get("/own/x", "never-shown").await.expect(401);
    let questions = provider.questions();
    let tokens: Vec<&str> = questions.iter().map(|(token, _)| token.as_str()).collect();
    assert_eq!(tokens, ["good-one", "for-others", "of-others", "refresh", "past", "made-up"]);
    // gateway:what-the-gateway-shows-the-provider
    let proof = "Basic Z2F0ZXdheTp3aGF0LXRoZS1nYXRld2F5LXNob3dzLXRoZS1wcm92aWRlcg==";
    assert!(questions.iter().all(|(_, shown)| shown == proof), "{questions:?}");
    let metrics = rig.gateway.operator().get("/metrics").await.expect(200).text();
    for line in [
        "portcullis_introspections_total{issuer=\"corp\",result=\"active\"} 5",
        "portcullis_introspections_total{issuer=\"corp\",result=\"inactive\"} 1",
        "portcullis_credential_cache_lookups_total{kind=\"introspection\",result=\"hit\"} 4",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!rig.gateway.output().contains(SECRET) && !rig.gateway.output().contains("good-one"));
}

#[tokio::test]
async fn requests_with_one_token_ask_once() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    provider.know("good", claims(&provider.issuer(), AUDIENCE, "ada"));
    let asked = (0..20).map(|_| rig.get("/closed/x", "good"));
    for reply in futures_of(asked).await {
        reply.expect(200);
    }
    assert_eq!(provider.questions().len(), 1);
}

#[tokio::test]
async fn an_answer_ends_with_its_time_and_with_the_token() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "0s").with("leeway", r#""0s""#));
    provider.know("good", claims(&provider.issuer(), AUDIENCE, "ada"));
    rig.get("/closed/x", "good").await.expect(200);
    rig.get("/closed/x", "good").await.expect(200);
    assert_eq!(provider.questions().len(), 2, "nothing is kept where the operator says so");

    let long = Provider::new(json!({ "keys": [] }));
    let kept = self::rig(asked(&long, "5m").with("leeway", r#""0s""#));
    let mut short = claims(&long.issuer(), AUDIENCE, "ada");
    short["exp"] = (now() + 3).into();
    long.know("short", short);
    kept.get("/closed/x", "short").await.expect(200);
    until("the token ends", || async {
        let reply = kept.get("/closed/x", "short").await;
        assert!(matches!(reply.status, 200 | 401), "{}", reply.text());
        (reply.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_issuer_that_cannot_tell_makes_503_and_is_forgotten_at_once() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    let iss = provider.issuer();
    provider.know("kept", claims(&iss, AUDIENCE, "ada"));
    rig.get("/closed/x", "kept").await.expect(200);
    for mood in [
        Mood::Down,
        Mood::Hanging,
        Mood::Failing,
        Mood::Page,
        Mood::WrongShape,
        Mood::Redirect,
        Mood::Huge,
    ] {
        let name = format!("asked-{mood:?}");
        provider.know(&name, claims(&iss, AUDIENCE, "bob"));
        provider.feel(mood);
        let reply = rig.get("/closed/x", &name).await.expect(503);
        assert!(reply.header("retry-after").is_some());
        rig.get("/closed/x", "kept").await.expect(200);
        provider.feel(Mood::Well);
        until("it can be asked again", || async {
            (rig.get("/closed/x", &name).await.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn signed_tokens_are_verified_here_where_there_are_keys_and_asked_about_where_there_are_none()
{
    let key = Signer::ed25519("d");
    let provider = Provider::new(jwks(&[&key]));
    let iss = provider.issuer();
    let token = key.sign(&claims(&iss, AUDIENCE, "ada"));
    let both = rig(asked(&provider, "30s").with("discovery", "true"));
    provider.know("opaque", claims(&iss, AUDIENCE, "bob"));
    both.get("/closed/x", &token).await.expect(200);
    assert_eq!(provider.questions(), []);
    both.get("/closed/x", "opaque").await.expect(200);
    assert_eq!(provider.questions().len(), 1);

    let only = rig(asked(&provider, "30s"));
    only.get("/closed/x", &token).await.expect(401);
    provider.know(&token, claims(&iss, AUDIENCE, "ada"));
    let other = key.sign(&claims("https://other.example", AUDIENCE, "ada"));
    only.get("/closed/x", &other).await.expect(401);
    assert!(
        !provider.questions().iter().any(|(asked, _)| *asked == other),
        "it is none of its own"
    );
}

#[tokio::test]
async fn a_token_at_which_the_issuer_stumbles_costs_no_other_token_anything() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    let iss = provider.issuer();
    for (at, status) in [400, 403, 413, 500].into_iter().enumerate() {
        let (odd, good) = (format!("odd-{status}"), format!("good-{at}"));
        provider.stumble(&odd, status);
        provider.know(&good, claims(&iss, AUDIENCE, "ada"));
        let reply = rig.get("/closed/x", &odd).await.expect(503);
        assert!(reply.header("retry-after").is_some());
        // At once: nobody rests because of what somebody made up.
        rig.get("/closed/x", &good).await.expect(200);
    }
    // What says that nobody is answered holds for a moment for everybody.
    provider.stumble("too-often", 429);
    provider.know("new", claims(&iss, AUDIENCE, "ada"));
    rig.get("/closed/x", "too-often").await.expect(503);
    let before = provider.questions().len();
    rig.get("/closed/x", "new").await.expect(503);
    assert_eq!(provider.questions().len(), before, "it rests");
    until("it is asked again", || async {
        (rig.get("/closed/x", "new").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_the_issuer_has_closed_costs_nobody_anything() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    let iss = provider.issuer();
    provider.feel(Mood::Fickle);
    for n in 0..10 {
        let name = format!("good-{n}");
        provider.know(&name, claims(&iss, AUDIENCE, "ada"));
        rig.get("/closed/x", &name).await.expect(200);
    }
    assert_eq!(provider.questions().len(), 10);
}

#[tokio::test]
async fn more_tokens_than_calls_at_once_wait_for_their_turn() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    let names: Vec<String> = (0..150).map(|n| format!("good-{n}")).collect();
    for name in &names {
        provider.know(name, claims(&provider.issuer(), AUDIENCE, "ada"));
    }
    let asked = names.iter().map(|name| rig.get("/closed/x", name));
    for reply in futures_of(asked).await {
        reply.expect(200);
    }
    assert_eq!(provider.questions().len(), names.len());
}

#[tokio::test]
async fn answers_outlive_a_reload_that_leaves_their_rules_alone() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "5m"));
    provider.know("good", claims(&provider.issuer(), AUDIENCE, "ada"));
    rig.get("/closed/x", "good").await.expect(200);
    let text = std::fs::read_to_string(&rig.gateway.config).unwrap();
    let reload = |from: &str, to: &str| {
        let other = text.replace(from, to);
        assert_ne!(other, text);
        std::fs::write(&rig.gateway.config, other).unwrap();
        rig.gateway.cli_ok(&["reload"]);
    };
    // While the issuer is away nothing else may be lost by it.
    provider.feel(Mood::Down);
    reload("1000000/s", "999999/s");
    rig.get("/closed/x", "good").await.expect(200);
    assert_eq!(provider.questions().len(), 1);
    // Under other rules nobody has said anything yet: of the issuer, and of how it is asked.
    for (from, to) in [
        ("base_roles = [\"USER\"]", "base_roles = [\"READONLY\"]"),
        ("audiences = [\"api\"]", "audiences = [\"api\", \"api-2\"]"),
        ("cache = \"5m\"", "cache = \"4m\""),
        ("client_id = \"gateway\"", "client_id = \"other\""),
    ] {
        reload(from, to);
        rig.get("/closed/x", "good").await.expect(503);
    }
    provider.feel(Mood::Well);
    until("it is asked again", || async {
        (rig.get("/closed/x", "good").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_made_up_tokens_takes_a_bounded_place() {
    let provider = Provider::new(json!({ "keys": [] }));
    let rig = rig(asked(&provider, "30s"));
    provider.know("good", claims(&provider.issuer(), AUDIENCE, "ada"));
    rig.get("/closed/x", "good").await.expect(200);
    let rounds = async |from: usize, to: usize| {
        for round in from..to {
            let made_up: Vec<String> = (0..50).map(|n| format!("made-up-{round}-{n}")).collect();
            let asked = made_up.iter().map(|token| rig.get("/closed/x", token));
            for reply in futures_of(asked).await {
                reply.expect(401);
            }
        }
    };
    rounds(0, 60).await;
    let before = rig.gateway.data_kib();
    rounds(60, 120).await;
    let after = rig.gateway.data_kib();
    println!("3000 made-up tokens: {before} KiB before, {after} KiB after");
    assert!(after <= before + 2048, "{before} KiB grew to {after} KiB");
    let asked = provider.questions().len();
    rig.get("/closed/x", "good").await.expect(200);
    assert_eq!(provider.questions().len(), asked, "what is used stays");
}
