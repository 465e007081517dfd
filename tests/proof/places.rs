//! The same rules wherever a request comes in: over HTTP/2, by forward-auth, as a WebSocket.

use base64::{Engine, prelude::*};
use http::Request;
use serde_json::json;

use super::bench::{Bench, configuration, request};
use crate::support::{
    conf::{Table, closed, quoted},
    dpop::Client,
    http2, ports, wire,
};

#[tokio::test]
async fn over_http2_the_authority_is_the_host() {
    let bench = Bench::with(|places, upstream| {
        configuration(places, upstream).listener("http2", "true").text()
    });
    let (client, thief) = (Client::new(), Client::new());
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let connection = http2::Client::plain(bench.gateway.address()).await;
    let ask = async |path: &str, proof: &[String]| {
        let url = format!("http://api.test{path}");
        let mut request = Request::get(url).header("authorization", format!("DPoP {token}"));
        for proof in proof {
            request = request.header("dpop", proof);
        }
        connection.send(request.body(()).unwrap(), b"").await.unwrap().status
    };
    let proof = |client: &Client| vec![client.proof("http://api.test/dpop/a", &token)];
    let good = proof(&client);
    assert_eq!(ask("/dpop/a", &good).await, 200);
    assert_eq!(ask("/dpop/a", &good).await, 401, "used");
    assert_eq!(ask("/dpop/b", &proof(&client)).await, 401, "for another path");
    assert_eq!(ask("/dpop/a", &proof(&thief)).await, 401);
    assert_eq!(ask("/dpop/a", &[]).await, 401);
    assert_eq!(ask("/dpop/a", &[proof(&client), proof(&client)].concat()).await, 401, "two");
    assert_eq!(ask("/plain/a", &proof(&client)).await, 401);
}

/// The address is the one that the proxy tells, and of certificates it tells nothing that is believed.
#[tokio::test]
async fn a_question_is_held_to_the_proof_of_the_request_that_it_is_about() {
    let at = ports::free_address();
    let bench = Bench::with(|places, upstream| {
        let front = Table::new("forward_auth", "front").with("address", quoted(&at.to_string()));
        let trust = "[trust]\nproxies = [\"127.0.0.1/32\"]\nclient_certificate = \"x-client-cert\"";
        configuration(places, upstream)
            .section(trust)
            .table(front.with("style", quoted("nginx")).with("peers", r#"["127.0.0.1"]"#))
            .text()
    });
    let ask = async |path: &str, fields: &str| {
        let text = format!(
            "GET /ask HTTP/1.1\r\nHost: asked\r\nX-Original-Method: GET\r\nX-Original-URI: {path}\r\n\
             X-Original-Host: api.example.org\r\nX-Original-Proto: https\r\n\
             X-Original-For: 192.0.2.7\r\n{fields}\r\n"
        );
        wire::exchange(at, text).await.status
    };
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    let with = |url: &str| {
        format!("Authorization: DPoP {token}\r\nDPoP: {}\r\n", client.proof(url, &token))
    };
    let good = with("https://api.example.org/dpop/a");
    assert_eq!(ask("/dpop/a?b=c", &good).await, 200);
    assert_eq!(ask("/dpop/a", &good).await, 401, "used");
    assert_eq!(ask("/dpop/a", &with("https://api.example.org/dpop/b")).await, 401);
    assert_eq!(ask("/dpop/a", &with("http://asked/ask")).await, 401);
    assert_eq!(ask("/plain/a", &format!("Authorization: Bearer {token}\r\n")).await, 401);

    let key = rcgen::KeyPair::generate().unwrap();
    let shown = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, shown.der());
    let print = BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref());
    let token = bench.token(json!({ "x5t#S256": print }));
    let told = BASE64_STANDARD.encode(shown.der());
    let fields = format!("Authorization: Bearer {token}\r\nX-Client-Cert: {told}\r\n");
    assert_eq!(ask("/certificate/a", &fields).await, 401);
    let direct = [("authorization", format!("Bearer {token}")), ("x-client-cert", told)];
    let direct: Vec<_> = direct.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(bench.ask("/certificate/a", &direct).await.status, 200, "of a proxy that forwards");
}

#[tokio::test]
async fn no_stream_is_opened_without_the_proof() {
    let bench = Bench::with(|places, upstream| {
        let route = |name: &str, proof: &str| {
            closed(name, &format!("/{name}/**"), "main")
                .with("authn", r#"["jwt"]"#)
                .with("streaming", "true")
                .with("proof", quoted(proof))
        };
        let conf = configuration(places, upstream);
        conf.route(route("socket", "none")).route(route("proven-socket", "dpop")).text()
    });
    let client = Client::new();
    let token = bench.token(json!({ "jkt": client.thumbprint() }));
    for (path, scheme) in
        [("/socket/a", "Bearer"), ("/proven-socket/a", "Bearer"), ("/proven-socket/b", "DPoP")]
    {
        let authorization = format!("{scheme} {token}");
        let fields = [
            ("authorization", authorization.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let reply = wire::exchange(bench.gateway.address(), request(path, &fields)).await;
        assert_eq!(reply.status, 401, "{path}");
    }
    assert_eq!(bench.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_client_without_a_credential_is_told_what_is_taken() {
    let bench = Bench::start();
    for (path, wanted) in [
        ("/plain/a", "Bearer"),
        ("/certificate/a", "Bearer"),
        ("/dpop/a", "DPoP algs=\"ES256 "),
        ("/nonce/a", "DPoP algs=\"ES256 "),
    ] {
        let reply = bench.ask(path, &[]).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").unwrap().starts_with(wanted), "{path}");
    }
    let either = bench.ask("/any/a", &[]).await;
    let is_challenge = |name: &str| name.eq_ignore_ascii_case("www-authenticate");
    let told: Vec<_> = either.headers.iter().filter(|(name, _)| is_challenge(name)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
}
