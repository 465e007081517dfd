//! How webhooks arrive: over https, in order for each subscription by itself, whatever happens to receiver and gateway.

use std::sync::Arc;

use aws_lc_rs::hmac;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::support::{
    archon::{PASSWORD, add, caller, configuration, data, login},
    client::Client,
    gateway::{AUTHORITIES, Gateway, Places},
    ports,
    upstream::{Answer, Recorded, Upstream},
    wait::until,
};

const SECRET: &str = "a secret of the receiver";

fn wish(url: &str) -> Value {
    json!({
        "url": url, "events": ["user.registered"], "secret": SECRET,
        "retry_policy": { "max_attempts": 2, "backoff_strategy": "fixed", "initial_delay": 1, "max_delay": 1 },
    })
}

/// Whether the body is signed with the subscription's secret.
fn is_signed(request: &Recorded) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let sum = hmac::sign(&key, &request.body);
    let hex: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    request.field("x-archon-signature") == Some(format!("sha256={hex}"))
}

/// Who was told of, in order; only a repetition right after the first time is left out.
fn told(receiver: &Upstream) -> Vec<String> {
    let email = |request: &Recorded| {
        let event: Value = serde_json::from_slice(&request.body).expect("JSON");
        event["data"]["email"].as_str().expect("an address").to_owned()
    };
    let mut told: Vec<String> = receiver.seen().iter().map(email).collect();
    told.dedup();
    told
}

async fn told_all(receiver: &Upstream, names: &[String]) {
    until("the receiver is told", || async {
        (told(receiver).last() == names.last()).then_some(())
    })
    .await;
    assert_eq!(told(receiver), names, "every one, in order");
    assert!(receiver.seen().iter().all(is_signed));
}

struct House {
    places: Places,
    text: String,
    gateway: Gateway,
    names: Vec<String>,
    _upstream: Upstream,
    _folder: tempfile::TempDir,
}

impl House {
    async fn start(prepare: impl Fn(&Places)) -> (Self, Client) {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start();
        let places = Places {
            public: ports::free_address(),
            operator: ports::free_address(),
            data: folder.path().join("data"),
            dir: folder.path().to_owned(),
        };
        prepare(&places);
        let text = configuration(&places, &upstream.url(), "");
        let gateway = Gateway::start_in(&places, &text);
        add(&gateway, "root@example.org", &["admin"]);
        let client = caller(&gateway);
        let own = login(&client, "root@example.org").await;
        let admin = client.bearer(own["access_token"].as_str().unwrap());
        let names = Vec::new();
        (Self { places, text, gateway, names, _upstream: upstream, _folder: folder }, admin)
    }

    /// Something to tell of.
    async fn register(&mut self, count: usize) {
        for _ in 0..count {
            let email = format!("n{}@example.org", self.names.len());
            let body = json!({
                "email": email, "password": PASSWORD, "name": "New", "terms_accepted": true,
            });
            caller(&self.gateway).post("/auth/register", body).await.expect(201);
            self.names.push(email);
        }
    }

    fn kill(&mut self) {
        self.gateway.kill();
        self.gateway = Gateway::start_in(&self.places, &self.text);
    }
}

#[tokio::test]
async fn each_subscription_has_its_own_order_and_a_kill_in_the_middle_loses_nothing() {
    let (mut house, admin) = House::start(|_| ()).await;
    let there = Upstream::start();
    let away = ports::free_address();
    data(&admin.post("/webhooks", wish(&there.url())).await.expect(201));
    data(&admin.post("/webhooks", wish(&format!("http://{away}/hook"))).await.expect(201));
    house.register(3).await;
    // The one that is away holds up nobody else.
    told_all(&there, &house.names).await;

    // Killed while the receiver has the event and has not answered: it is sent once more.
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    there.answer(move |_| Answer::ok().once(&held));
    let before = there.count();
    house.register(3).await;
    until("a delivery is on its way", || async { (there.count() > before).then_some(()) }).await;
    house.kill();
    there.answer(|_| Answer::ok());
    gate.add_permits(100);
    told_all(&there, &house.names).await;

    // Back, but not well at once.
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let back = Upstream::at(away, true, move |_| {
        match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Answer::json(503, "{}"),
            1 => Answer::json(429, "{}"),
            _ => Answer::ok(),
        }
    });
    told_all(&back, &house.names).await;
}

#[tokio::test]
async fn a_receiver_behind_https_is_reached_and_its_certificate_must_be_trusted() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key).unwrap();
    let pem = authority.pem();
    // The platform's roots, as far as this gateway is concerned.
    let (mut house, admin) =
        House::start(|places| std::fs::write(places.dir.join(AUTHORITIES), &pem).unwrap()).await;
    let receiver = Upstream::start();
    let good = tls_before(&receiver, "localhost", &authority).await;
    let elsewhere = Upstream::start();
    let bad = tls_before(&elsewhere, "another.example.org", &authority).await;
    for port in [good, bad] {
        let url = format!("https://localhost:{port}/hook?a=b");
        data(&admin.post("/webhooks", wish(&url)).await.expect(201));
    }
    house.register(2).await;
    told_all(&receiver, &house.names).await;
    assert_eq!(receiver.seen()[0].target(), "/hook?a=b");
    let list = data(&admin.get("/webhooks").await);
    let other = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["url"].as_str().unwrap().contains(&bad.to_string()));
    let path = format!("/webhooks/{}/deliveries", other.unwrap()["id"].as_str().unwrap());
    until("the other one was tried", || async {
        let list = data(&admin.get(&path).await);
        let tried = list.as_array().unwrap().iter().find(|one| one["attempts"][0].is_object());
        tried.map(|one| assert_eq!(one["attempts"][0]["error"], "unreachable"))
    })
    .await;
    elsewhere.saw_nothing();
}

/// Takes TLS off in front of a receiver, with a certificate for `name`; gives the port.
async fn tls_before(
    receiver: &Upstream,
    name: &str,
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> u16 {
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&own, authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = receiver.address;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut plain) = acceptor.accept(socket).await else { return };
                let Ok(mut behind) = TcpStream::connect(to).await else { return };
                // Either end may hang up first.
                drop(tokio::io::copy_bidirectional(&mut plain, &mut behind).await);
            });
        }
    });
    port
}
