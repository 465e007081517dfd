//! `proof = "certificate"` from outside.

use std::{
    net::SocketAddr,
    process::{Child, Command},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::bench::{Bench, configuration, request};
use crate::support::{
    dpop::Client,
    ports,
    tls::{Authority, Caller, Pair},
    wait,
    wire::{self, Reply, Wire},
};

fn secured(authority: &Authority) -> Bench {
    let pair = authority.server(&["api.test"]);
    Bench::with(move |places, upstream| {
        let (cert, key) = pair.write(&places.dir, "api");
        let ca = authority.write(&places.dir, "ca.pem");
        let tls = format!(
            "{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}], client_ca = {ca:?} }}"
        );
        configuration(places, upstream).listener("tls", tls).text()
    })
}

fn thumbprint(pair: &Pair) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pair.leaf());
    B64.encode(hash.as_ref())
}

async fn ask(bench: &Bench, caller: &Caller, path: &str, fields: &[(&str, &str)]) -> Reply {
    let caller = caller.clone().speaking(&["http/1.1"]);
    let stream = caller.connect(bench.gateway.address(), "api.test").await.unwrap();
    let mut wire = Wire::over(stream);
    wire.send(request(path, fields)).await;
    wire.reply().await
}

#[tokio::test]
async fn a_token_passes_only_on_a_connection_with_its_certificate() {
    let authority = Authority::new();
    let bench = secured(&authority);
    let (own, other) = (authority.client("one", "urn:one"), authority.client("two", "urn:two"));
    let token = bench.token(json!({ "x5t#S256": thumbprint(&own) }));
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", bearer.as_str())];
    let bare = authority.caller();
    let (with_own, with_other) = (bare.clone().showing(&own), bare.clone().showing(&other));
    for path in ["/certificate/a", "/any/a"] {
        assert_eq!(ask(&bench, &with_own, path, &fields).await.status, 200, "{path}");
    }
    for (caller, path, reason) in [
        (&with_other, "/certificate/b", "proof_certificate"),
        (&bare, "/certificate/c", "proof_certificate"),
        (&with_own, "/plain/d", "proof_unverified"),
        (&with_own, "/dpop/e", "proof_unverified"),
    ] {
        let reply = ask(&bench, caller, path, &fields).await;
        assert_eq!(reply.status, 401, "{path}");
        let scheme = if path.starts_with("/dpop") { "DPoP" } else { "Bearer" };
        let challenge = format!("{scheme} error=\"invalid_token\"");
        assert!(reply.header("www-authenticate").unwrap().starts_with(&challenge), "{path}");
        assert_eq!(bench.reason(path).await, reason, "{path}");
    }
    // Bound to both, it must bring both.
    let client = Client::new();
    let both = bench.token(json!({ "x5t#S256": thumbprint(&own), "jkt": client.thumbprint() }));
    let dpop = format!("DPoP {both}");
    for (caller, path, status) in
        [(&with_own, "/any/both", 200), (&with_other, "/any/other", 401), (&bare, "/any/bare", 401)]
    {
        let proof = client.proof(&format!("https://api.test{path}"), &both);
        let fields = [("authorization", dpop.as_str()), ("dpop", &proof)];
        assert_eq!(ask(&bench, caller, path, &fields).await.status, status, "{path}");
    }
    assert_eq!(bench.upstream.seen().len(), 3);
}

/// nginx with these servers, for as long as this is held.
struct Nginx(Child, #[expect(dead_code, reason = "its folder goes with it")] TempDir);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None`, and a message: there is no nginx.
async fn nginx(
    listens: SocketAddr,
    servers: impl FnOnce(&std::path::Path) -> String,
) -> Option<Nginx> {
    if Command::new("nginx").arg("-v").output().is_err() {
        crate::support::programs::missing("nginx");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (dir, servers) = (folder.path().display(), servers(folder.path()));
    let text = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/log;
events {{}}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  proxy_http_version 1.1;
  {servers}
}}"
    );
    std::fs::write(folder.path().join("conf"), text).unwrap();
    let started = Command::new("nginx")
        .args(["-p", &format!("{dir}/"), "-c", &format!("{dir}/conf")])
        .spawn()
        .unwrap();
    let nginx = Nginx(started, folder);
    wait::until("nginx listens", || async { TcpStream::connect(listens).await.ok() }).await;
    Some(nginx)
}

/// nginx as the peer of the TLS connection, with a certificate and without one.
#[tokio::test]
async fn nginx_is_the_peer_that_a_token_is_bound_to() {
    let authority = Authority::new();
    let bench = secured(&authority);
    let own = authority.client("nginx", "urn:nginx");
    let (address, to) = (ports::free_address(), bench.gateway.address());
    let started = nginx(address, |dir| {
        let (cert, key) = own.write(dir, "own");
        format!(
            "proxy_ssl_server_name on; proxy_ssl_name api.test; proxy_ssl_session_reuse off;
  proxy_set_header Host api.test;
  server {{ listen {address};
    location /with/ {{
      proxy_ssl_certificate {}; proxy_ssl_certificate_key {}; proxy_pass https://{to}/;
    }}
    location /without/ {{ proxy_pass https://{to}/; }} }}",
            cert.display(),
            key.display()
        )
    });
    let Some(_nginx) = started.await else { return };
    let bearer = format!("Bearer {}", bench.token(json!({ "x5t#S256": thumbprint(&own) })));
    for (path, status) in [("/with/certificate/a", 200), ("/without/certificate/a", 401)] {
        let request = request(path, &[("authorization", &bearer)]);
        assert_eq!(wire::exchange(address, request).await.status, status, "{path}");
    }
}

const FIELD: &str = "x-client-cert";

fn trusting(proxies: &'static str) -> Bench {
    Bench::with(move |places, upstream| {
        let trust = format!("[trust]\nproxies = [{proxies:?}]\nclient_certificate = {FIELD:?}");
        configuration(places, upstream).section(&trust).text()
    })
}

/// A certificate as nginx writes it.
fn escaped(pair: &Pair) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let write = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    pair.chain.bytes().map(write).collect()
}

/// nginx ends TLS, and tells of the certificate that its client showed.
#[tokio::test]
async fn nginx_tells_of_the_certificate_that_it_was_shown() {
    let authority = Authority::new();
    let bench = trusting("127.0.0.1/32");
    let (own, other) = (authority.client("one", "urn:one"), authority.client("two", "urn:two"));
    let (address, to) = (ports::free_address(), bench.gateway.address());
    let server = authority.server(&["api.test"]);
    let started = nginx(address, |dir| {
        let (cert, key) = server.write(dir, "server");
        format!(
            "server {{ listen {address} ssl;
    ssl_certificate {}; ssl_certificate_key {}; ssl_verify_client optional_no_ca;
    location / {{
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert; proxy_pass http://{to};
    }} }}",
            cert.display(),
            key.display()
        )
    });
    let Some(_nginx) = started.await else { return };
    let bearer = format!("Bearer {}", bench.token(json!({ "x5t#S256": thumbprint(&own) })));
    let through = async |caller: &Caller, path: &str, fields: &[(&str, &str)]| {
        let caller = caller.clone().speaking(&["http/1.1"]);
        let mut wire = Wire::over(caller.connect(address, "api.test").await.unwrap());
        wire.send(request(path, fields)).await;
        wire.reply().await.status
    };
    let bare = authority.caller();
    let (with_own, with_other) = (bare.clone().showing(&own), bare.clone().showing(&other));
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(through(&with_own, "/certificate/a", &fields).await, 200);
    let seen = bench.upstream.seen().pop().unwrap();
    assert_eq!(seen.field(FIELD), None, "it is for the gateway alone");
    assert_eq!(through(&with_other, "/certificate/b", &fields).await, 401);
    // A thief without the key, but with the certificate, which is no secret.
    let told = escaped(&own);
    let lying = [("authorization", bearer.as_str()), (FIELD, &told), ("X_Client_Cert", &told)];
    assert_eq!(through(&bare, "/certificate/c", &lying).await, 401);
    assert_eq!(through(&with_other, "/certificate/d", &lying).await, 401);
    assert_eq!(bench.upstream.seen().len(), 1);
}

#[tokio::test]
async fn who_is_not_listed_tells_of_no_certificate() {
    let authority = Authority::new();
    let own = authority.client("one", "urn:one");
    let (told, cnf) = (escaped(&own), json!({ "x5t#S256": thumbprint(&own) }));
    let listed = trusting("127.0.0.1/32");
    let bearer = format!("Bearer {}", listed.token(cnf.clone()));
    let fields = [("authorization", bearer.as_str()), (FIELD, &told)];
    assert_eq!(listed.ask("/certificate/a", &fields).await.status, 200);
    let twice = [("authorization", bearer.as_str()), (FIELD, &told), (FIELD, &told)];
    assert_eq!(listed.ask("/certificate/b", &twice).await.status, 401);

    let structured = format!(":{}:", base64::prelude::BASE64_STANDARD.encode(own.leaf()));
    for bench in [trusting("192.0.2.1/32"), Bench::start()] {
        let bearer = format!("Bearer {}", bench.token(cnf.clone()));
        for (name, value) in [(FIELD, &told), ("client-cert", &structured)] {
            let fields = [("authorization", bearer.as_str()), (name, value)];
            assert_eq!(bench.ask("/certificate/a", &fields).await.status, 401, "{name}");
        }
    }
    // Whoever may not tell of one cannot tell an upstream of one, either.
    let bench = trusting("192.0.2.1/32");
    let free = format!("Bearer {}", bench.token(serde_json::Value::Null));
    let fields = [
        ("authorization", free.as_str()),
        (FIELD, &told),
        ("client-cert", &structured),
        ("client-cert-chain", &structured),
    ];
    assert_eq!(bench.ask("/plain/a", &fields).await.status, 200);
    let seen = bench.upstream.seen().pop().unwrap();
    for name in [FIELD, "client-cert", "client-cert-chain"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
}
