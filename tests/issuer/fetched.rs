//! Keys that are fetched: in every trouble of the provider, through rotations, and under floods of made-up key ids.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    rig::{AUDIENCE, Rig, futures_of, issuer, token},
    support::{
        conf::Table,
        gateway::said,
        provider::{Mood, Provider, TROUBLE},
        signer::{Signer, claims, jwks, now},
        wait::until,
    },
};

const FLOOR: Duration = Duration::from_secs(1);

fn believed(provider: &Provider) -> Table {
    issuer("corp", &provider.issuer())
        .with("discovery", "true")
        .with("refresh", r#""1s""#)
        .with("floor", r#""1s""#)
}

fn rig(table: Table) -> Rig {
    // All callers come from one address here, the guessers too.
    Rig::with(&[table], |conf, _| conf.section("[limiter]\nfailures_per_address = false"))
}

/// No two fetches began within the floor.
#[track_caller]
fn paced(provider: &Provider) -> usize {
    let fetches = provider.fetches();
    for pair in fetches.windows(2) {
        let gap = pair[1] - pair[0];
        // They are timed where they arrive: a slow machine may bring the second one sooner after a late first one.
        assert!(gap > FLOOR * 7 / 10, "two fetches within {gap:?}");
    }
    fetches.len()
}

async fn fetched_again(provider: &Provider) {
    let before = provider.fetches().len();
    until("another fetch", || async { (provider.fetches().len() > before).then_some(()) }).await;
}

// requirement: 8
#[tokio::test]
async fn keys_are_found_by_discovery_and_shown_to_operators() {
    let (one, two) = (Signer::curve("one", "ES256"), Signer::ed25519("two"));
    let provider = Provider::new(jwks(&[&one, &two]));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#));
    let iss = provider.issuer();
    for signer in [&one, &two] {
        rig.get("/closed/x", &token(signer, &iss, "ada")).await.expect(200);
    }
    let listed = rig.gateway.cli_json(&["jwks", "list"]);
    let found = &listed["issuers"][0];
    assert_eq!((&found["name"], &found["state"]), (&json!("corp"), &json!("fresh")));
    let keys = json!([{ "kid": "one", "alg": "ES256" }, { "kid": "two", "alg": "EdDSA" }]);
    assert_eq!((&found["keys"], &found["error"]), (&keys, &Value::Null));
    let table = rig.gateway.cli_ok(&["jwks", "list"]);
    assert!(table.contains("one ES256,two EdDSA"), "{table}");

    assert_eq!(provider.fetches().len(), 1);
    assert_eq!(rig.gateway.cli_ok(&["jwks", "refresh"]), "keys of corp fetched\n");
    assert_eq!(rig.gateway.cli_ok(&["jwks", "refresh", "corp"]), "keys of corp fetched\n");
    assert_eq!(provider.fetches().len(), 3, "the operator does not wait for the floor");
    provider.feel(Mood::Twice);
    let refused = rig.gateway.cli(&["jwks", "refresh", "corp"]);
    assert!(!refused.status.success() && said(&refused).contains("two keys have one id"));
    assert!(said(&rig.gateway.cli(&["jwks", "refresh", "nobody"])).contains("nobody"));
    assert_eq!(rig.gateway.cli_json(&["jwks", "list"])["issuers"][0]["state"], "stale");

    let metrics = rig.gateway.operator().get("/metrics").await.expect(200).text();
    for line in [
        "portcullis_issuer_fetches_total{issuer=\"corp\",result=\"ok\"} 3",
        "portcullis_issuer_fetches_total{issuer=\"corp\",result=\"duplicate_kid\"} 1",
        "portcullis_issuer_keys{issuer=\"corp\"} 2",
        "portcullis_issuer_keys_age_seconds{issuer=\"corp\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

// requirement: 8
#[tokio::test]
async fn no_trouble_of_the_provider_refuses_a_good_token_while_its_last_keys_are_young_enough() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let rig = rig(believed(&provider));
    let iss = provider.issuer();
    let known = token(&key, &iss, "known");
    rig.get("/closed/x", &known).await.expect(200);
    let memory = warm(&rig, &key, &iss).await;
    for mood in TROUBLE {
        provider.feel(mood);
        rig.gateway.cli(&["jwks", "refresh"]);
        for n in 0..20 {
            let fresh = token(&key, &iss, &format!("{mood:?}-{n}"));
            rig.get("/closed/x", &fresh).await.expect(200);
            rig.get("/closed/x", &known).await.expect(200);
        }
    }
    let peak = rig.gateway.peak_kib();
    println!("trouble: resident {memory} KiB before, {peak} KiB at most");
    assert!(peak <= memory + 2048, "{memory} KiB grew to {peak} KiB");
    let found = rig.gateway.cli_json(&["jwks", "list"])["issuers"][0].clone();
    assert_eq!(found["state"], "stale", "{found}");
    provider.feel(Mood::Well);
    until("the keys are fresh again", || async {
        let found = rig.gateway.cli_json(&["jwks", "list"]);
        (found["issuers"][0]["state"] == "fresh").then_some(())
    })
    .await;
    // One line for each change, not for each try.
    let lines =
        |event: &str| rig.gateway.log().iter().filter(|line| line["event"] == event).count();
    assert_eq!(lines("issuer_keys_changed"), 1, "{}", rig.gateway.output());
    assert_eq!(lines("issuer_keys_again"), 1);
    assert!(lines("issuer_keys_not_fetched") <= TROUBLE.len());
}

// requirement: 8
#[tokio::test]
async fn keys_that_are_too_old_make_503_and_never_401() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let rig = rig(believed(&provider).with("keep", r#""2s""#));
    let iss = provider.issuer();
    let known = token(&key, &iss, "known");
    rig.get("/closed/x", &known).await.expect(200);
    provider.feel(Mood::Failing);
    until("the keys are too old", || async {
        let reply = rig.get("/closed/x", &known).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text());
        (reply.status == 503).then(|| assert!(reply.header("retry-after").is_some()))
    })
    .await;
    rig.get("/closed/x", &token(&key, &iss, "fresh")).await.expect(503);
    // What would be refused anyhow asks for nobody's keys.
    let mut stale = claims(&iss, AUDIENCE, "ada");
    stale["exp"] = (now() - 600).into();
    rig.get("/closed/x", &key.sign(&stale)).await.expect(401);
    provider.feel(Mood::Well);
    until("the keys are back", || async {
        (rig.get("/closed/x", &known).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_start_without_the_provider_is_a_start() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    provider.feel(Mood::Failing);
    let rig = rig(believed(&provider));
    let token = token(&key, &provider.issuer(), "ada");
    rig.get("/closed/x", &token).await.expect(503);
    provider.feel(Mood::Well);
    until("the keys are there", || async {
        (rig.get("/closed/x", &token).await.status == 200).then_some(())
    })
    .await;
}

// requirement: 8
#[tokio::test]
async fn a_new_key_is_fetched_for_the_first_token_that_needs_it() {
    let first = Signer::curve("k0", "ES256");
    let provider = Provider::new(jwks(&[&first]));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#));
    let iss = provider.issuer();
    let mut old = token(&first, &iss, "old");
    rig.get("/closed/x", &old).await.expect(200);
    let mut before = first;
    for n in 1..=4 {
        // The provider signs with it at once, and takes the old one away with the next.
        let next = Signer::curve(&format!("k{n}"), "ES256");
        provider.publish(jwks(&[&before, &next]));
        let tokens: Vec<String> =
            (0..8).map(|at| token(&next, &iss, &format!("ada-{n}-{at}"))).collect();
        let asked = tokens.iter().map(|token| rig.get("/closed/x", token));
        for reply in futures_of(asked).await {
            reply.expect(200);
        }
        rig.get("/closed/x", &old).await.expect(200);
        old = tokens[0].clone();
        before = next;
    }
    assert!(paced(&provider) <= 6);
}

// requirement: 8
#[tokio::test]
async fn a_key_that_is_taken_away_verifies_nothing_any_more() {
    let (one, two) = (Signer::curve("one", "ES256"), Signer::curve("two", "ES256"));
    let provider = Provider::new(jwks(&[&one, &two]));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#));
    let iss = provider.issuer();
    let (gone, kept) = (token(&one, &iss, "ada"), token(&two, &iss, "ada"));
    rig.get("/closed/x", &gone).await.expect(200);
    provider.publish(jwks(&[&two]));
    rig.gateway.cli_ok(&["jwks", "refresh"]);
    rig.get("/closed/x", &kept).await.expect(200);
    // Also what was known as good.
    rig.get("/closed/x", &gone).await.expect(401);
}

// requirement: 8
#[tokio::test]
async fn made_up_key_ids_cost_the_provider_one_fetch_per_interval() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#));
    let iss = provider.issuer();
    let memory = warm(&rig, &key, &iss).await;
    let end = Instant::now() + flood();
    let (mut sent, mut round) = (0_usize, 0);
    while Instant::now() < end {
        let made_up: Vec<String> = (0..AT_ONCE)
            .map(|n| {
                let header =
                    json!({ "alg": "ES256", "kid": format!("{round}-{n}"), "typ": "at+jwt" });
                key.sign_as(&header, &claims(&iss, AUDIENCE, "mallory"))
            })
            .collect();
        let good = token(&key, &iss, &format!("ada-{round}"));
        let asked = made_up.iter().map(|token| rig.get("/closed/x", token));
        let (replies, honest) = tokio::join!(futures_of(asked), rig.get("/closed/x", &good));
        honest.expect(200);
        for reply in replies {
            assert!(matches!(reply.status, 401 | 503), "{}", reply.text());
            sent += 1;
        }
        round += 1;
    }
    let (fetches, peak) = (paced(&provider), rig.gateway.peak_kib());
    println!(
        "flood: {sent} made-up ids, {fetches} fetches, {memory} KiB before, {peak} KiB at most"
    );
    assert!(peak <= memory + 2048, "{memory} KiB grew to {peak} KiB");
    // Old tokens, whose key is long gone, ask for nothing at all.
    let before = provider.fetches().len();
    let mut old = claims(&iss, AUDIENCE, "ada");
    old["iat"] = (now() - 300).into();
    let gone = json!({ "alg": "ES256", "kid": "long-gone", "typ": "at+jwt" });
    rig.get("/closed/x", &key.sign_as(&gone, &old)).await.expect(401);
    assert_eq!(provider.fetches().len(), before);
}

/// Requests at once, at most.
const AT_ONCE: usize = 100;

/// What the process takes under as many honest requests: connections, caches, and the allocator's own. In KiB.
async fn warm(rig: &Rig, key: &Signer, iss: &str) -> u64 {
    for round in 0..5 {
        let tokens: Vec<String> =
            (0..=AT_ONCE).map(|n| token(key, iss, &format!("warm-{round}-{n}"))).collect();
        for reply in futures_of(tokens.iter().map(|token| rig.get("/closed/x", token))).await {
            reply.expect(200);
        }
    }
    rig.gateway.reset_peak();
    rig.gateway.resident_kib()
}

/// How long a flood lasts; `PORTCULLIS_FLOOD_SECONDS` makes it longer.
fn flood() -> Duration {
    let written = std::env::var("PORTCULLIS_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(written.unwrap_or(4))
}

// requirement: 2, 8
#[tokio::test]
async fn keys_are_fetched_from_nowhere_else() {
    let key = Signer::curve("one", "ES256");
    let (provider, elsewhere) = (Provider::new(jwks(&[&key])), Provider::new(jwks(&[&key])));
    provider.point(&format!("{}/jwks", elsewhere.issuer()));
    let rig = rig(believed(&provider));
    let iss = provider.issuer();
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(503);
    let listed = rig.gateway.cli_json(&["jwks", "list"]);
    let error = listed["issuers"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("origin"), "{listed}");
    for name in ["jku", "x5u"] {
        let mut header = json!({ "alg": "ES256", "kid": "other", "typ": "at+jwt" });
        header[name] = format!("{}/jwks", elsewhere.issuer()).into();
        rig.get("/closed/x", &key.sign_as(&header, &claims(&iss, AUDIENCE, "ada")))
            .await
            .expect(401);
    }
    assert_eq!(elsewhere.connections(), 0, "nobody may be sent there");
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_what_did_not_change() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#));
    let iss = provider.issuer();
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(200);
    provider.feel(Mood::Failing);
    let fetches = provider.fetches().len();
    let text = std::fs::read_to_string(&rig.gateway.config).unwrap();
    let other = text.replace("base_roles = [\"USER\"]", "base_roles = [\"USER\", \"READONLY\"]");
    assert_ne!(other, text);
    std::fs::write(&rig.gateway.config, other).unwrap();
    rig.gateway.cli_ok(&["reload"]);
    rig.get("/closed/roles", &token(&key, &iss, "bob")).await.expect(200);
    assert_eq!(rig.seen("/closed/roles").field("x-auth-roles").as_deref(), Some("USER,READONLY"));
    assert_eq!(provider.fetches().len(), fetches, "nothing was fetched for it");
}

#[tokio::test]
async fn a_set_says_for_how_long_it_is_fresh_within_bounds() {
    let key = Signer::curve("one", "ES256");
    let provider = Provider::new(jwks(&[&key]));
    provider.say("Cache-Control", "public, max-age=86400");
    let _rig = rig(believed(&provider));
    // A day, says the provider; a second, says the operator.
    fetched_again(&provider).await;
    fetched_again(&provider).await;
    paced(&provider);
}

// requirement: 8
#[tokio::test]
async fn metadata_sends_nobody_anywhere_else() {
    let key = Signer::curve("one", "ES256");
    let (provider, elsewhere) = (Provider::new(jwks(&[&key])), Provider::new(jwks(&[&key])));
    let rig = rig(believed(&provider).with("refresh", r#""1h""#).with("floor", r#""1h""#));
    let (iss, port) = (provider.issuer(), provider.address().port());
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(200);
    let other = elsewhere.address();
    let refused = |word: &str, what: &str| {
        // Where the keys are is asked again after a failure.
        provider.feel(Mood::Failing);
        rig.gateway.cli(&["jwks", "refresh"]);
        provider.feel(Mood::Well);
        let before = provider.fetches().len();
        let output = rig.gateway.cli(&["jwks", "refresh"]);
        assert!(!output.status.success() && said(&output).contains(word), "{what}: {output:?}");
        assert_eq!(provider.fetches().len(), before, "{what}");
    };
    for uri in [
        format!("http://{other}/jwks"),
        // The same machine under another name, and names that only look like it.
        format!("http://localhost:{port}/jwks"),
        format!("http://2130706433:{}/jwks", other.port()),
        format!("http://127.0.0.1:{port}@{other}/jwks"),
        format!("http://user@127.0.0.1:{port}/jwks"),
        format!("http://127.0.0.1:{port}.{other}/jwks"),
        format!("//{other}/jwks"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/jwks".to_owned(),
    ] {
        provider.point(&uri);
        refused("jwks_uri", &uri);
    }
    provider.point(&format!("{iss}/jwks#fragment"));
    assert!(rig.gateway.cli(&["jwks", "refresh"]).status.success());
    // RFC 8414 section 3.3: metadata of somebody else.
    for other in [format!("{iss}/"), format!("http://{other}"), String::new()] {
        provider.call_itself(&other);
        refused("another issuer", &other);
    }
    assert_eq!(elsewhere.connections(), 0, "nobody may be sent there");
    rig.get("/closed/x", &token(&key, &iss, "bob")).await.expect(200);
}
