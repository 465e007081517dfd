//! Every trouble of the provider while requests come in without a pause: with known keys, with made-up ones, and with keys that
//! it has only just published.
//!
//! `PORTCULLIS_FAULT_SECONDS` makes each trouble longer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    rig::{AUDIENCE, Rig, issuer, token},
    support::{
        conf::Table,
        load::{self, Outcome},
        provider::{Mood, Provider},
        signer::{Signer, claims, jwks},
        wait::until,
    },
};

pub(crate) const FLOOR: Duration = Duration::from_secs(1);
/// Connections of honest callers, and of those who make key ids up.
const HONEST: usize = 12;
const GUESSING: usize = 12;

fn rig(provider: &Provider, keep: &str) -> Rig {
    let table: Table = issuer("corp", &provider.issuer())
        .with("discovery", "true")
        .with("refresh", r#""1s""#)
        .with("floor", r#""1s""#)
        .with("keep", format!("{keep:?}"));
    // All callers come from one address here, the guessers too.
    Rig::with(&[table], |conf, _| conf.section("[limiter]\nfailures_per_address = false"))
}

/// How long each trouble lasts, at least.
fn span() -> Duration {
    let written = std::env::var("PORTCULLIS_FAULT_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_millis(written.map_or(1200, |seconds: u64| seconds * 1000))
}

/// Requests on several connections, one after the other on each, until told to stop.
pub(crate) struct Load {
    done: Arc<AtomicBool>,
    running: JoinHandle<Outcome>,
}

impl Load {
    pub(crate) fn start(
        rig: &Rig,
        connections: usize,
        token: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let (done, to) = (Arc::new(AtomicBool::new(false)), rig.gateway.address());
        let request = move |n: usize| {
            let token = token(n);
            let head = "GET /closed/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ";
            format!("{head}{token}\r\n\r\n").into_bytes()
        };
        let running = tokio::spawn(load::run(to, 0, done.clone(), connections, request));
        Load { done, running }
    }

    /// How often each status came. Whoever was told to come back was told when.
    pub(crate) async fn end(self) -> BTreeMap<u16, usize> {
        self.done.store(true, Ordering::SeqCst);
        let outcome = self.running.await.unwrap();
        assert!(outcome.lost.is_empty(), "{:?}", outcome.lost);
        let mut counted = BTreeMap::new();
        for reply in &outcome.replies {
            let told = reply.header("retry-after").is_some();
            assert_eq!(told, reply.status == 503, "{}", reply.text());
            *counted.entry(reply.status).or_default() += 1;
        }
        counted
    }
}

/// Good tokens of one key: mostly such as were seen before, some new ones. Each of those takes a place in the cache of tokens,
/// which is not what is measured here.
fn honest(key: &Arc<Signer>, iss: &str) -> impl Fn(usize) -> String + Send + Sync + 'static {
    let known: Vec<String> = (0..20).map(|n| token(key, iss, &format!("known-{n}"))).collect();
    let (key, iss) = (key.clone(), iss.to_owned());
    move |n| match n % 40 {
        0 => token(&key, &iss, &format!("new-{}", n / 40 % 400)),
        _ => known[n % known.len()].clone(),
    }
}

fn guessed(key: &Arc<Signer>, iss: &str) -> impl Fn(usize) -> String + Send + Sync + 'static {
    let (key, iss) = (key.clone(), iss.to_owned());
    move |n| {
        let header = json!({ "alg": "ES256", "kid": format!("made-up-{n}"), "typ": "at+jwt" });
        key.sign_as(&header, &claims(&iss, AUDIENCE, "mallory"))
    }
}

/// No two of these began within the floor.
#[track_caller]
pub(crate) fn paced(times: &[Instant], what: &str) {
    for pair in times.windows(2) {
        let gap = pair[1] - pair[0];
        // They are timed where they arrive: a slow machine may bring the second one sooner after a late first one.
        assert!(gap > FLOOR * 7 / 10, "{what}: two fetches within {gap:?}");
    }
}

/// What the process takes under the same load with a provider that is well, in KiB.
async fn warm(rig: &Rig, key: &Arc<Signer>, iss: &str) -> u64 {
    for _ in 0..2 {
        let good = Load::start(rig, HONEST, honest(key, iss));
        let guessing = Load::start(rig, GUESSING, guessed(key, iss));
        tokio::time::sleep(FLOOR * 3 / 2).await;
        let counted = good.end().await;
        assert_eq!(counted.keys().collect::<Vec<_>>(), [&200]);
        assert!(guessing.end().await.keys().all(|status| matches!(status, 401 | 503)));
    }
    rig.gateway.resident_kib()
}

/// One kind of trouble from its begin to its end. Gives requests, made-up ones, and fetches.
async fn trouble(rig: &Rig, provider: &Provider, key: &Arc<Signer>, mood: (Mood, bool)) {
    let iss = provider.issuer();
    let good = Load::start(rig, HONEST, honest(key, &iss));
    match mood {
        (mood, true) => provider.feel_wholly(mood),
        (mood, false) => provider.feel(mood),
    }
    // The operator asks out of turn; from then on the floor holds.
    let first = (provider.fetches().len(), provider.lookups().len());
    assert!(!rig.gateway.cli(&["jwks", "refresh", "corp"]).status.success(), "{mood:?}");
    let guessing = Load::start(rig, GUESSING, guessed(key, &iss));
    let (start, asked) = (Instant::now(), || provider.fetches().len() + provider.lookups().len());
    let before = asked();
    until("it is asked under a flood of made-up key ids", || async {
        (asked() > before && start.elapsed() >= span()).then_some(())
    })
    .await;
    let (guesses, counted) = (guessing.end().await, good.end().await);
    let (fetches, lookups) = (provider.fetches(), provider.lookups());
    let (fetches, lookups) = (&fetches[first.0..], &lookups[first.1..]);
    println!(
        "{mood:?}: good {counted:?}, made up {guesses:?}, {} fetches of keys and {} of metadata in {:?}",
        fetches.len(),
        lookups.len(),
        start.elapsed()
    );
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&200], "{mood:?}: {counted:?}");
    assert!(guesses.keys().all(|status| matches!(status, 401 | 503)), "{mood:?}: {guesses:?}");
    paced(fetches, "keys");
    paced(lookups, "metadata");
}

async fn troubles(moods: &[(Mood, bool)]) {
    let key = Arc::new(Signer::curve("one", "ES256"));
    let provider = Provider::new(jwks(&[&key]));
    let rig = rig(&provider, "24h");
    let first = warm(&rig, &key, &provider.issuer()).await;
    for mood in moods {
        let before = rig.gateway.resident_kib();
        rig.gateway.reset_peak();
        trouble(&rig, &provider, &key, *mood).await;
        let peak = rig.gateway.peak_kib();
        println!("{mood:?}: resident {before} KiB before, {peak} KiB at most");
        assert!(peak <= before + 2048, "{mood:?}: {before} KiB grew to {peak} KiB");
    }
    // Nor does one trouble after the other leave anything behind; what the load itself takes goes up and down.
    let last = rig.gateway.resident_kib();
    assert!(last <= first + 3072, "{first} KiB grew to {last} KiB");
}

// requirement: 8
#[tokio::test]
async fn a_provider_that_is_away_refuses_no_good_token_under_load() {
    troubles(&[
        (Mood::Down, true),
        (Mood::Down, false),
        (Mood::Hanging, true),
        (Mood::Failing, true),
        (Mood::Redirect, false),
        (Mood::Redirect, true),
    ])
    .await;
}

// requirement: 8
#[tokio::test]
async fn a_provider_that_sends_nonsense_refuses_no_good_token_under_load() {
    troubles(&[
        (Mood::Huge, false),
        (Mood::Endless, true),
        (Mood::Page, true),
        (Mood::ManyKeys, false),
        (Mood::Twice, false),
        (Mood::WrongType, false),
        (Mood::WrongShape, false),
    ])
    .await;
}

// requirement: 8
#[tokio::test]
async fn keys_that_are_too_old_make_every_request_503_until_the_provider_is_well() {
    let key = Arc::new(Signer::curve("one", "ES256"));
    let provider = Provider::new(jwks(&[&key]));
    let (rig, iss) = (rig(&provider, "3s"), provider.issuer());
    let state = || rig.gateway.cli_json(&["jwks", "list"])["issuers"][0]["state"].clone();
    for mood in [Mood::Down, Mood::Hanging, Mood::Page] {
        let through = Load::start(&rig, HONEST, honest(&key, &iss));
        provider.feel_wholly(mood);
        until("the keys are too old", || async { (state() == "too_old").then_some(()) }).await;
        let after = Load::start(&rig, HONEST, honest(&key, &iss));
        tokio::time::sleep(FLOOR).await;
        let (after, through) = (after.end().await, through.end().await);
        println!("{mood:?}: {through:?} while they grew too old, {after:?} then");
        assert_eq!(after.keys().collect::<Vec<_>>(), [&503], "{mood:?}");
        assert_eq!(through.keys().collect::<Vec<_>>(), [&200, &503], "{mood:?}");

        let through = Load::start(&rig, HONEST, honest(&key, &iss));
        provider.feel(Mood::Well);
        until("the keys are back", || async { (state() == "fresh").then_some(()) }).await;
        let again = Load::start(&rig, HONEST, honest(&key, &iss));
        tokio::time::sleep(FLOOR / 2).await;
        let (again, through) = (again.end().await, through.end().await);
        assert_eq!(again.keys().collect::<Vec<_>>(), [&200], "{mood:?}");
        assert!(through.keys().all(|status| matches!(status, 200 | 503)), "{through:?}");
    }
}

// requirement: 8
#[tokio::test]
async fn rotations_under_load_refuse_no_good_token() {
    /// More than come to wait for one fetch on an ordinary day.
    const CALLERS: usize = 150;
    let first = Arc::new(Signer::curve("k0", "ES256"));
    let provider = Provider::new(jwks(&[&first]));
    let (rig, iss) = (rig(&provider, "24h"), provider.issuer());
    // The key that signs, and the one before, whose tokens are still about.
    let about = Arc::new(Mutex::new((first.clone(), first)));
    let shared = about.clone();
    let load = Load::start(&rig, CALLERS, move |n| {
        let (newest, last) = shared.lock().unwrap().clone();
        token(if n % 3 == 0 { &last } else { &newest }, &iss, &format!("ada-{}", n % 500))
    });
    for n in 1..=4 {
        let next = Arc::new(Signer::curve(&format!("k{n}"), "ES256"));
        let (newest, last) = about.lock().unwrap().clone();
        // It signs with the new one at once; what was signed with the one before last may be on its way still.
        let set = if n == 1 { jwks(&[&newest, &next]) } else { jwks(&[&last, &newest, &next]) };
        provider.publish(set);
        *about.lock().unwrap() = (next, newest);
        tokio::time::sleep(FLOOR * 13 / 10).await;
    }
    let counted = load.end().await;
    println!("4 rotations: {counted:?}, {} fetches", provider.fetches().len());
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&200], "{counted:?}");
    paced(&provider.fetches(), "keys");
}
