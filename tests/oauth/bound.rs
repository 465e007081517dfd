//! Tokens that are bound to a key of the client (RFC 9449 section 5) or to its certificate (RFC 8705 section 3): worth nothing
//! without.

use base64::{Engine, prelude::*};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    bench::{ACCESS_TOKEN, Bench, EXCHANGE, Made, claims, configuration},
    login::{BACK, Browser, VERIFIER, answered, application, query},
    support::{
        client::Client as Http,
        conf::{self, quoted},
        dpop::{Client, now},
        tmws::fresh_address,
        wire::Reply,
    },
};

const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// `/bound/` asks for proofs; with `nonces` they must carry one, at the token endpoint as well.
pub fn bench(nonces: bool) -> Bench {
    Bench::of(|places, upstream| {
        let route = conf::closed("bound", "/bound/**", "main").with("authn", r#"["jwt"]"#);
        let conf = configuration(places, upstream, "").route(route.with("proof", quoted("dpop")));
        conf.mount("proof_nonce", if nonces { "true" } else { "false" })
    })
}

/// A proof for the token endpoint.
fn proof(bench: &Bench, key: &Client, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    key.proof_with(&format!("{}/oauth/token", bench.issuer()), "", |header, claims| {
        claims["htm"] = json!("POST");
        claims.as_object_mut().unwrap().remove("ath");
        change(header, claims);
    })
}

async fn ask(bench: &Bench, client: &Made, proof: &str, fields: &[(&str, &str)]) -> Reply {
    let http = Http::from(&bench.gateway.url(), fresh_address()).with("DPoP", proof);
    bench.send(http, "/oauth/token", Some(client), fields).await
}

/// What `/bound/` says to a token with a proof by this key.
async fn passes(bench: &Bench, token: &str, key: &Client) -> u16 {
    let url = format!("{}/bound/x", bench.issuer());
    let http = bench.caller().with("Authorization", &format!("DPoP {token}"));
    http.with("DPoP", &key.proof(&url, token)).get("/bound/x").await.status
}

#[tokio::test]
async fn a_client_that_proves_a_key_is_given_a_token_that_is_bound_to_it() {
    let bench = bench(false);
    let (client, key, thief) = (bench.service(), Client::new(), Client::new());
    let reply = ask(&bench, &client, &proof(&bench, &key, |_, _| {}), &OWN).await.expect(200);
    assert_eq!(reply.str("token_type"), "DPoP");
    let token = reply.str("access_token");
    let bound = json!({ "jkt": key.thumbprint() });
    assert_eq!(claims(&token)["cnf"], bound);
    assert_eq!(passes(&bench, &token, &key).await, 200);
    assert_eq!(passes(&bench, &token, &thief).await, 401);
    assert_eq!(bench.ask(&token, Method::GET, "/bound/x").await, 401, "as Bearer");
    assert!(!bench.passes(&token).await, "where nobody asks for its proof");
    let service = bench.client(&["--grant", "introspection"]);
    let said = bench.introspect(&service, &token).await;
    assert_eq!((&said["active"], &said["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(said["cnf"], bound);
    // Without a proof everything is as ever.
    let free = bench.token(&client, &OWN).await.expect(200);
    assert_eq!(free.str("token_type"), "Bearer");
    assert!(claims(&free.str("access_token")).get("cnf").is_none());
    assert_eq!(passes(&bench, &free.str("access_token"), &key).await, 401);
    // Whoever gave it, and whatever it is bound to: it can be ended.
    bench.post("/oauth/revoke", Some(&client), &[("token", &token)]).await.expect(200);
    assert_eq!(passes(&bench, &token, &key).await, 401);
    let metadata = bench.caller().get("/.well-known/oauth-authorization-server").await.expect(200);
    let algorithms = metadata.json()["dpop_signing_alg_values_supported"].clone();
    assert!(algorithms.as_array().unwrap().contains(&json!("ES256")), "{algorithms}");
}

#[tokio::test]
async fn no_token_is_given_for_a_proof_that_is_none() {
    let bench = bench(false);
    let (client, key) = (bench.service(), Client::new());
    let used = proof(&bench, &key, |_, _| {});
    ask(&bench, &client, &used, &OWN).await.expect(200);
    let changed =
        |name: &'static str, value: Value| proof(&bench, &key, |_, claims| claims[name] = value);
    let twice = format!("{}, {}", proof(&bench, &key, |_, _| {}), proof(&bench, &key, |_, _| {}));
    let elsewhere = format!("{}/oauth/revoke", bench.issuer());
    let secret = proof(&bench, &key, |header, _| header["jwk"]["d"] = json!("AAAA"));
    let shared = proof(&bench, &key, |header, _| {
        *header =
            json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": { "kty": "oct", "k": "AAAA" } });
    });
    for (what, proof) in [
        ("used", used),
        ("method", changed("htm", json!("GET"))),
        ("address", changed("htu", json!(elsewhere))),
        ("old", changed("iat", json!(now() - 120))),
        ("future", changed("iat", json!(now() + 120))),
        ("private key", secret),
        ("shared secret", shared),
        ("two", twice),
        ("nonsense", "nonsense".into()),
        ("huge", "A".repeat(7_000)),
    ] {
        let reply = ask(&bench, &client, &proof, &OWN).await.expect(400);
        assert_eq!(reply.str("error"), "invalid_dpop_proof", "{what}");
    }
    // A proof is none of who the client is.
    let stranger = Made { secret: "wrong".into(), ..client };
    let reply = ask(&bench, &stranger, &proof(&bench, &key, |_, _| {}), &OWN).await.expect(401);
    assert_eq!(reply.str("error"), "invalid_client");
}

#[tokio::test]
async fn a_nonce_is_asked_for_where_the_mount_asks_for_nonces() {
    let bench = bench(true);
    let (client, key) = (bench.service(), Client::new());
    let refused = ask(&bench, &client, &proof(&bench, &key, |_, _| {}), &OWN).await.expect(400);
    assert_eq!(refused.str("error"), "use_dpop_nonce");
    let nonce = refused.header("dpop-nonce").unwrap().to_owned();
    let good = proof(&bench, &key, |_, claims| claims["nonce"] = json!(nonce));
    let reply = ask(&bench, &client, &good, &OWN).await.expect(200);
    assert_eq!(reply.str("token_type"), "DPoP");
    // Who brings no proof needs no nonce.
    bench.token(&client, &OWN).await.expect(200);
}

#[tokio::test]
async fn a_login_and_its_renewals_are_bound_to_what_each_request_proves() {
    let bench = bench(false);
    let (client, key, next) = (application(&bench), Client::new(), Client::new());
    let location = Browser::of(&bench).log_in(&query(&client, &[])).await;
    let code = answered(&location, "code").unwrap();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    let first = ask(&bench, &client, &proof(&bench, &key, |_, _| {}), &fields).await.expect(200);
    assert_eq!(passes(&bench, &first.str("access_token"), &key).await, 200);
    let refresh = first.str("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    // The client proves itself besides, so a refresh token is not bound (RFC 9449 section 5).
    let second = ask(&bench, &client, &proof(&bench, &next, |_, _| {}), &fields).await.expect(200);
    assert_eq!(second.str("token_type"), "DPoP");
    assert_eq!(passes(&bench, &second.str("access_token"), &next).await, 200);
    assert_eq!(passes(&bench, &second.str("access_token"), &key).await, 401);
}

#[tokio::test]
async fn a_bound_token_is_exchanged_only_by_who_proves_its_key() {
    let bench = bench(false);
    let (client, key, thief) = (bench.service(), Client::new(), Client::new());
    let agent = bench.client(&["--grant", "token_exchange", "--scope", "READ"]);
    let subject = ask(&bench, &client, &proof(&bench, &key, |_, _| {}), &OWN).await.expect(200);
    let subject = subject.str("access_token");
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    let bare = bench.token(&agent, &fields).await.expect(400);
    assert_eq!(bare.str("error"), "invalid_grant");
    let stolen = ask(&bench, &agent, &proof(&bench, &thief, |_, _| {}), &fields).await.expect(400);
    assert_eq!(stolen.str("error"), "invalid_grant");
    let good = ask(&bench, &agent, &proof(&bench, &key, |_, _| {}), &fields).await.expect(200);
    assert_eq!(good.str("token_type"), "DPoP");
    assert_eq!(passes(&bench, &good.str("access_token"), &key).await, 200);
}

/// A certificate as a proxy tells of it, and its thumbprint.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.der());
    (BASE64_STANDARD.encode(made.der()), BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref()))
}

fn told(more: &str) -> Bench {
    Bench::of(|places, upstream| {
        let route = conf::closed("bound", "/bound/**", "main").with("authn", r#"["jwt"]"#);
        configuration(places, upstream, more)
            .section("[trust]\nproxies = [\"127.0.0.0/8\"]\nclient_certificate = \"x-client-cert\"")
            .route(route.with("proof", quoted("any")))
    })
}

#[tokio::test]
async fn a_client_that_shows_a_certificate_is_given_a_token_that_is_bound_to_it() {
    let bench = told(", bind_certificates = true");
    let client = bench.service();
    let ((own, print), (other, _)) = (certificate(), certificate());
    let http = || Http::from(&bench.gateway.url(), fresh_address());
    let showing = |told: &str| http().with("X-Client-Cert", told);
    let reply = bench.send(showing(&own), "/oauth/token", Some(&client), &OWN).await.expect(200);
    assert_eq!(reply.str("token_type"), "Bearer", "RFC 8705 section 3");
    let token = reply.str("access_token");
    let bound = json!({ "x5t#S256": print });
    assert_eq!(claims(&token)["cnf"], bound);
    for (http, path, status) in [
        (showing(&own), "/bound/a", 200),
        (showing(&other), "/bound/b", 401),
        (http(), "/bound/c", 401),
        (showing(&own), "/anybody/a", 401),
    ] {
        assert_eq!(http.bearer(&token).get(path).await.status, status, "{path}");
    }
    let service = bench.client(&["--grant", "introspection"]);
    let said = bench.introspect(&service, &token).await;
    assert_eq!((&said["token_type"], &said["cnf"]), (&json!("Bearer"), &bound));
    // A key that is proven goes before, and without either it is a bearer token.
    let key = Client::new();
    let both = showing(&own).with("DPoP", &proof(&bench, &key, |_, _| {}));
    let both = bench.send(both, "/oauth/token", Some(&client), &OWN).await.expect(200);
    assert_eq!(claims(&both.str("access_token"))["cnf"], json!({ "jkt": key.thumbprint() }));
    assert!(claims(&bench.own_token(&client).await).get("cnf").is_none());
    // It is exchanged only by who shows the same.
    let agent = bench.client(&["--grant", "token_exchange", "--scope", "READ"]);
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    for (http, status) in [(showing(&own), 200), (showing(&other), 400), (http(), 400)] {
        assert_eq!(bench.send(http, "/oauth/token", Some(&agent), &fields).await.status, status);
    }
    let metadata = bench.caller().get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], json!(true));
    // Only where the operator wants it.
    let (bench, shown) = (told(""), ("X-Client-Cert", own.as_str()));
    let client = bench.service();
    let http = Http::from(&bench.gateway.url(), fresh_address()).with(shown.0, shown.1);
    let free = bench.send(http, "/oauth/token", Some(&client), &OWN).await.expect(200);
    assert!(claims(&free.str("access_token")).get("cnf").is_none());
}
