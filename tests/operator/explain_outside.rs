//! `explain` of what others vouch for: tokens of issuers outside, certificates, and the questions of a proxy.

use serde_json::json;

use crate::{
    explain::{answer, code},
    support::{
        conf::{self, Conf, Table, quoted},
        gateway::{Gateway, said},
        ports,
        signer::{Signer, claims, jwks},
        tls::{Authority, Pair},
        upstream::Upstream,
    },
};

const SHARED: &str = "a-secret-that-both-have-agreed-on-0123456789";

/// A gateway that believes three issuers, asks clients for certificates, and is asked by a proxy.
fn believing(corp: &Signer, authority: &Authority) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let (set, server) = (jwks(&[corp]).to_string(), authority.server(&["a.example"]));
    let gateway = Gateway::start(|places| {
        std::fs::write(places.dir.join("corp.json"), &set).unwrap();
        std::fs::write(places.dir.join("other.secret"), SHARED).unwrap();
        let (cert, key) = server.write(&places.dir, "server");
        let clients = authority.write(&places.dir, "clients.pem");
        let tls = format!(
            "{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}], client_ca = {clients:?} }}"
        );
        let issuer = |name: &str| {
            Table::new("issuer", name)
                .with("issuer", quoted(&format!("https://{name}.example")))
                .with("audiences", r#"["api"]"#)
        };
        Conf::new(places)
            .listener("tls", tls)
            .table(issuer("corp").with("jwks_file", quoted("corp.json")))
            .table(issuer("other").with("secret", quoted("file:other.secret")))
            // Nobody is there.
            .table(issuer("far").with("jwks_url", quoted("http://127.0.0.1:9/keys")))
            .mount("issuers", r#"["corp", "other", "far"]"#)
            .mount(
                "client_cert",
                r#"[{ name = "robot", match = ["CN:robot"], roles = ["ADMIN"] }]"#,
            )
            .upstream("main", &[upstream.address])
            .route(conf::closed("closed", "/closed/**", "main"))
            .route(
                conf::closed("certified", "/certified/**", "main")
                    .with("authn", r#"["client_cert"]"#),
            )
            .table(
                Table::new("forward_auth", "asked")
                    .with("address", quoted(&ports::free_address().to_string()))
                    .with("style", quoted("nginx"))
                    .with("peers", r#"["127.0.0.1"]"#),
            )
            .text()
    });
    (gateway, upstream)
}

#[test]
fn a_token_from_outside_is_judged_where_its_keys_are_known_and_undetermined_elsewhere() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let file = gateway.places.dir.join("a.token");
    let ask = |token: &str, more: &[&str]| {
        std::fs::write(&file, token).unwrap();
        let mut all = vec!["explain", "GET", "https://a.example/closed/x", "--output", "json"];
        all.extend(["--token-file", file.to_str().unwrap()]);
        all.extend_from_slice(more);
        let output = gateway.cli(&all);
        (code(&output), answer(&output))
    };
    let of = |name: &str| corp.sign(&claims(&format!("https://{name}.example"), "api", "ada"));
    let forged = Signer::curve("c", "ES256").sign(&claims("https://corp.example", "api", "ada"));
    for more in [&[][..], &["--offline"]] {
        assert_eq!(ask(&of("corp"), more).0, 0, "{more:?}");
        let (exit, told) = ask(&forged, more);
        assert_eq!((exit, &told["reason"]), (1, &json!("token_invalid")), "{more:?}");
    }
    // Only the issuer knows, and nobody asks it for a question: that is no verdict of a gateway.
    for more in [&[][..], &["--offline"]] {
        let (exit, told) = ask(&of("far"), more);
        assert_eq!((exit, &told["reason"]), (3, &json!("undetermined")), "{told}");
        assert!(told["status"].is_null(), "{told}");
        assert!(told["meaning"].as_str().unwrap().contains("its issuer"), "{told}");
    }
    // A secret is not read without need.
    let shared = Signer::secret("s", SHARED).sign(&claims("https://other.example", "api", "ada"));
    assert_eq!(ask(&shared, &[]).0, 0);
    let (exit, told) = ask(&shared, &["--offline"]);
    assert_eq!((exit, &told["reason"]), (3, &json!("undetermined")), "{told}");
    // A login of our own: its keys are in the store.
    let (exit, told) = ask(&of("nobody"), &["--offline"]);
    assert_eq!((exit, &told["reason"]), (3, &json!("undetermined")), "{told}");
}

#[test]
fn a_certificate_is_asked_about_where_the_listener_asks_for_one() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let ask = |pair: Option<Pair>, url: &str| {
        let mut all = vec!["explain", "GET", url, "--output", "json", "--listener", "public"];
        let file = pair.map(|pair| pair.write(&gateway.places.dir, "client").0);
        let file = file.map(|file| file.to_str().unwrap().to_owned());
        all.extend(file.iter().flat_map(|file| ["--certificate", file]));
        answer(&gateway.cli(&all))
    };
    let url = "https://a.example/certified/x";
    let robot = || authority.client("robot", "spiffe://test/robot");
    let told = ask(Some(robot()), url);
    assert_eq!(told["outcome"], "permitted", "{told}");
    let set = told["upstream"]["set"].as_array().unwrap();
    assert!(set.contains(&json!(["x-auth-subject", "service:robot"])), "{told}");
    let stranger = authority.client("stranger", "spiffe://test/stranger");
    assert_eq!(ask(Some(stranger), url)["reason"], "certificate_unknown");
    assert_eq!(ask(None, url)["reason"], "credential_missing");
    let output = gateway.cli(&["explain", "GET", url, "--certificate", "Cargo.toml"]);
    assert_eq!(code(&output), 2, "{}", said(&output));
}

#[test]
fn a_question_of_a_proxy_is_explained_as_the_request_it_is_about() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let bearer = format!(
        "Authorization: Bearer {}",
        corp.sign(&claims("https://corp.example", "api", "ada"))
    );
    let facts = [
        "X-Original-Method: GET",
        "X-Original-URI: /closed/x",
        "X-Original-Host: a.example",
        "X-Original-Proto: https",
        "X-Original-For: 192.0.2.7",
    ];
    let ask = |fields: &[&str], client: &str| {
        let mut all = vec!["explain", "GET", "http://asked/", "--listener", "asked"];
        all.extend(["--output", "json", "--client", client]);
        all.extend(fields.iter().flat_map(|field| ["--header", *field]));
        let output = gateway.cli(&all);
        (code(&output), answer(&output))
    };
    let (exit, told) = ask(&[&facts[..], &[&bearer]].concat(), "127.0.0.1");
    assert_eq!((exit, &told["route"]), (0, &json!("closed")), "{told}");
    assert_eq!(told["upstream"]["path"], "/closed/x");
    let (exit, told) = ask(&facts, "127.0.0.1");
    assert_eq!(
        (exit, &told["reason"], &told["status"]),
        (1, &json!("credential_missing"), &json!(401))
    );
    let (exit, told) = ask(&facts[1..], "127.0.0.1");
    assert_eq!((exit, &told["reason"]), (1, &json!("forward_auth_question")), "{told}");
    // Nobody else is believed, or even heard.
    let (exit, told) = ask(&facts, "192.0.2.1");
    assert_eq!((exit, &told["reason"]), (1, &json!("connection_closed")), "{told}");
    assert!(told["status"].is_null(), "{told}");
}
