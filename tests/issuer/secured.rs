//! Providers over TLS: who signed their certificate, for which name, and until when.

use crate::{
    rig::{AUDIENCE, Rig, issuer, token},
    support::{
        conf::quoted,
        provider::Provider,
        signer::{Signer, claims, jwks},
        tls::{Authority, Pair},
    },
};

const SECRET: &str = "what-the-gateway-shows-the-provider";

/// A provider behind TLS with this certificate, which calls itself what it is reached by.
async fn secured(key: &Signer, authority: &Authority, pair: &Pair) -> (Provider, String) {
    let provider = Provider::new(jwks(&[key]));
    let port = authority.front_with(pair, provider.address()).await;
    let iss = format!("https://localhost:{port}");
    provider.call_itself(&iss);
    (provider, iss)
}

/// A gateway that believes the provider, whose certificates these authorities sign; `None`: whom the machine trusts.
fn rig(iss: &str, authorities: Option<&Authority>, asked: bool) -> Rig {
    let ca = authorities.map(|_| r#"ca = "ca.pem""#);
    let mut table = issuer("corp", iss);
    table = match (asked, ca) {
        (true, ca) => {
            let url = quoted(&format!("{iss}/introspect"));
            let ca = ca.map_or_else(String::new, |ca| format!(", {ca}"));
            let secret = r#"client_id = "gateway", secret = "file:corp.secret""#;
            table.with("introspection", format!("{{ url = {url}, {secret}{ca} }}"))
        }
        (false, None) => table.with("discovery", "true"),
        (false, Some(_)) => table.with("discovery", "true").with("ca", quoted("ca.pem")),
    };
    Rig::with(&[table], |conf, places| {
        std::fs::write(places.dir.join("corp.secret"), SECRET).unwrap();
        if let Some(authority) = authorities {
            authority.write(&places.dir, "ca.pem");
        }
        conf
    })
}

// requirement: 8
// The other half speaks while the gateway starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_from_servers_that_the_named_authorities_vouch_for_and_from_no_other() {
    let key = Signer::curve("one", "ES256");
    let (own, other) = (Authority::new(), Authority::new());
    let good = own.server(&["localhost"]);
    for (what, pair, believed, status) in [
        ("the right one", good.clone(), Some(&own), 200),
        ("another authority", good.clone(), Some(&other), 503),
        ("whom the machine trusts", good, None, 503),
        ("past its time", own.expired("localhost"), Some(&own), 503),
        ("another name", own.server(&["elsewhere.example"]), Some(&own), 503),
    ] {
        let (provider, iss) = secured(&key, &own, &pair).await;
        let rig = rig(&iss, believed, false);
        let reply = rig.get("/closed/x", &token(&key, &iss, "ada")).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        let asked = provider.lookups().len() + provider.fetches().len();
        assert_eq!(asked > 0, status == 200, "{what}: nothing is said to a stranger");
        let state = &rig.gateway.cli_json(&["jwks", "list"])["issuers"][0];
        assert_eq!(state["error"].is_null(), status == 200, "{what}: {state}");
    }
}

// requirement: 8
// The other half speaks while the gateway starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_that_came_over_tls_cannot_have_keys_fetched_without() {
    let key = Signer::curve("one", "ES256");
    let own = Authority::new();
    let (provider, iss) = secured(&key, &own, &own.server(&["localhost"])).await;
    let rig = rig(&iss, Some(&own), false);
    rig.get("/closed/x", &token(&key, &iss, "ada")).await.expect(200);
    let fetches = provider.fetches().len();
    // Plain, on this machine, where an operator might have written it himself.
    provider.point(&format!("http://{}/jwks", provider.address()));
    // Where the keys are is asked again after a failure.
    provider.feel(crate::support::provider::Mood::Failing);
    assert!(!rig.gateway.cli(&["jwks", "refresh"]).status.success());
    provider.feel(crate::support::provider::Mood::Well);
    let said = rig.gateway.cli(&["jwks", "refresh"]);
    assert!(crate::support::gateway::said(&said).contains("origin"), "{said:?}");
    assert_eq!(provider.fetches().len(), fetches + 1, "the failure alone");
    rig.get("/closed/x", &token(&key, &iss, "bob")).await.expect(200);
}

// The other half speaks while the gateway starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_the_secret_are_shown_to_the_right_server_only() {
    let key = Signer::curve("one", "ES256");
    let (own, other) = (Authority::new(), Authority::new());
    let good = own.server(&["localhost"]);
    for (what, pair, believed, status) in [
        ("the right one", good.clone(), Some(&own), 200),
        ("another authority", good, Some(&other), 503),
        ("another name", own.server(&["elsewhere.example"]), Some(&own), 503),
    ] {
        let (provider, iss) = secured(&key, &own, &pair).await;
        provider.know("opaque", claims(&iss, AUDIENCE, "ada"));
        let rig = rig(&iss, believed, true);
        let reply = rig.get("/closed/x", "opaque").await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert_eq!(provider.questions().len(), usize::from(status == 200), "{what}");
        assert!(!rig.gateway.output().contains(SECRET), "{what}");
    }
}
