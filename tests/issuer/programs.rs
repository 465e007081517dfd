//! A real provider: `oidc-provider` (npm), whose signed tokens are verified by discovery and whose opaque ones by
//! introspection.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    time::Instant,
};

use crate::{
    loaded::{FLOOR, Load, paced},
    rig::{Rig, issuer},
    support::{
        conf::{Table, quoted},
        programs,
        provider::{self as faulty, Mood, TROUBLE},
        wait::until,
    },
};

const SECRET: &str = "gateway-secret-of-the-tests-0123456789";

/// The running provider; ends with the test.
struct Provider {
    child: Child,
    address: String,
    // Whoever writes to nobody is ended.
    _out: BufReader<ChildStdout>,
}

impl Provider {
    /// `None`, and a message: there is no Node on this machine.
    fn start() -> Option<Self> {
        let name = "oidc_provider.mjs";
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/issuer/clients").join(name);
        // Modules are looked for beside the script.
        let copy = programs::package("node/node_modules").with_file_name(format!("issuer-{name}"));
        std::fs::copy(source, &copy).expect("copy the script");
        let mut command = programs::command("node");
        command.arg(copy).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            programs::missing("node");
            return None;
        };
        let mut address = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut address).expect("it says where it listens");
        let address = address.trim().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "{address:?}");
        Some(Provider { child, address, _out: out })
    }

    /// An access token by client credentials.
    async fn token(&self, resource: &str, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let reply = self.post("/token", "app", "app-secret-of-the-tests-0123456789", body).await;
        let reply: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
        reply["access_token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    async fn post(&self, path: &str, id: &str, secret: &str, body: String) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client
            .post(format!("{}{path}", self.address))
            .basic_auth(id, Some(secret))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
        request.send().await.expect("an answer").text().await.expect("a text")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn believed(provider: &Provider) -> Table {
    let url = quoted(&format!("{}/token/introspection", provider.address));
    issuer("op", &provider.address)
        .with("discovery", "true")
        // A service that acts for itself has no sub in what the provider says of its opaque tokens.
        .with("claims", r#"{ subject = "client_id" }"#)
        .with(
            "introspection",
            format!(r#"{{ url = {url}, client_id = "gateway", secret = "file:op.secret", cache = "0s" }}"#),
        )
}

/// Until the issuer `op` is this.
async fn until_is(rig: &Rig, state: &str) {
    until(state, || async {
        let told = rig.gateway.cli_json(&["jwks", "list"])["issuers"][0]["state"] == state;
        told.then_some(())
    })
    .await;
}

// requirement: 8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn whatever_stands_between_oidc_provider_and_here_refuses_none_of_its_tokens() {
    const CONNECTIONS: usize = 3;
    let Some(provider) = Provider::start() else { return };
    let origin = provider.address.trim_start_matches("http://").parse().expect("an address");
    let faults = faulty::Provider::in_front_of(origin);
    let table = issuer("op", &provider.address)
        .with("jwks_url", quoted(&format!("http://{}/jwks", faults.address())))
        .with("claims", r#"{ subject = "client_id" }"#)
        .with("refresh", r#""1s""#)
        .with("floor", r#""1s""#)
        .with("keep", r#""6s""#);
    let rig =
        Rig::with(&[table], |conf, _| conf.section("[limiter]\nfailures_per_address = false"));
    let tokens = [provider.token("urn:jwt", "READ").await, provider.token("urn:ec", "READ").await];
    let load = || {
        let tokens = tokens.clone();
        Load::start(&rig, CONNECTIONS, move |n| tokens[n % 2].clone())
    };
    for mood in TROUBLE {
        until_is(&rig, "fresh").await;
        let before = faults.fetches().len();
        let running = load();
        faults.feel(mood);
        let began = Instant::now();
        until("it is asked in its trouble", || async {
            let asked = faults.fetches().len() > before;
            (asked && began.elapsed() > FLOOR * 3 / 2).then_some(())
        })
        .await;
        let counted = running.end().await;
        faults.feel(Mood::Well);
        println!("{mood:?}: {counted:?}");
        assert_eq!(counted.keys().collect::<Vec<_>>(), [&200], "{mood:?}: {counted:?}");
        paced(&faults.fetches()[before..], "keys");
    }
    faults.feel(Mood::Down);
    until_is(&rig, "too_old").await;
    let running = load();
    tokio::time::sleep(FLOOR / 4).await;
    let counted = running.end().await;
    assert_eq!(counted.keys().collect::<Vec<_>>(), [&503], "{counted:?}");
    faults.feel(Mood::Well);
    until_is(&rig, "fresh").await;
    rig.get("/closed/x", &tokens[0]).await.expect(200);
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn tokens_of_oidc_provider_are_verified_by_discovery_and_by_introspection() {
    let Some(provider) = Provider::start() else { return };
    let rig = Rig::with(&[believed(&provider)], |conf, places| {
        std::fs::write(places.dir.join("op.secret"), SECRET).expect("write the secret");
        conf
    });
    for resource in ["urn:jwt", "urn:ec", "urn:opaque"] {
        let read = provider.token(resource, "READ").await;
        assert_eq!(read.split('.').count() == 3, resource != "urn:opaque", "{read}");
        rig.get("/api/v1/tasks/1", &read).await.expect(200);
        let seen = rig.seen("/api/v1/tasks/1");
        assert_eq!(seen.field("x-auth-subject").as_deref(), Some("op|app"));
        assert_eq!(seen.field("x-auth-issuer").as_deref(), Some(&*provider.address));
        assert_eq!(seen.field("x-auth-scopes").as_deref(), Some("READ"));
        // The last sign of the signature has bits that say nothing; the first has not.
        let broken = format!("{}x{}", &read[..read.len() - 20], &read[read.len() - 19..]);
        if broken != read {
            rig.get("/api/v1/tasks/1", &broken).await.expect(401);
        }
    }
    let opaque = provider.token("urn:opaque", "READ WRITE").await;
    rig.get("/closed/x", &opaque).await.expect(200);
    let body = format!("token={opaque}");
    provider.post("/token/revocation", "app", "app-secret-of-the-tests-0123456789", body).await;
    rig.get("/closed/x", &opaque).await.expect(401);
}
