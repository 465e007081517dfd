//! A gateway whose people log in through a provider, and what its upstream saw.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    browser::{Browser, location, parameter},
    provider::{CLIENT, Provider, SECRET},
};
use crate::support::{
    conf::{self, Conf, quoted},
    gateway::{Gateway, Places},
    operate,
    upstream::{Answer, Recorded, Step, Upstream},
    wire::Reply,
};

pub const SESSION: &str = "portcullis-session-api";
pub const FLOW: &str = "portcullis-oidc-";

pub struct Rig {
    pub gateway: Gateway,
    pub upstream: Upstream,
    pub provider: Provider,
}

/// The table of the login; `more` are further lines.
pub fn login(places: &Places, issuer: &str, more: &str) -> String {
    let secret = places.dir.join("corp.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let lines = [
        format!("issuer = {}", quoted(issuer)),
        format!("client_id = {}", quoted(CLIENT)),
        format!("client_secret = {}", quoted(&format!("file:{}", secret.display()))),
        format!("redirect_uri = {}", quoted(&format!("http://{}/oidc/callback", places.public))),
    ];
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    format!("{{ {}{more} }}", lines.join(", "))
}

/// One mount `api` with the login, and routes that take its sessions.
pub fn configuration(places: &Places, upstream: &Upstream, issuer: &str, more: &str) -> Conf {
    let session = |name, path| conf::closed(name, path, "main").with("authn", r#"["session"]"#);
    Conf::new(places)
        .mount("oidc_login", &login(places, issuer, more))
        .upstream("main", &[upstream.address])
        .route(session("app", "/app/**").with("login", "true"))
        .route(session("data", "/data/**"))
        .route(session("events", "/events/**").with("streaming", "true"))
        .route(conf::tasks("main").with("authn", r#"["session", "jwt"]"#))
        .route(conf::open("open", "/open/**", "main"))
}

impl Rig {
    /// Accounts are made at the first login.
    pub fn creating() -> Self {
        Self::with(r#"accounts = "create""#)
    }

    pub fn with(more: &str) -> Self {
        Self::changed(more, |_| (), |conf| conf)
    }

    pub fn changed(more: &str, prepare: impl Fn(&Provider), change: impl Fn(Conf) -> Conf) -> Self {
        let provider = Provider::start();
        prepare(&provider);
        let upstream = Upstream::with(served);
        let gateway = Gateway::start(|places| {
            change(configuration(places, &upstream, &provider.issuer(), more)).text()
        });
        Rig { gateway, upstream, provider }
    }

    pub fn browser(&self) -> Browser {
        Browser::at(&self.gateway.url())
    }

    /// Begins a login; gives the address at the provider.
    pub async fn begin(&self, browser: &Browser, return_to: &str) -> String {
        let coded: String = form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
        let reply = browser.go(&format!("/oidc/login?return_to={coded}")).await.expect(303);
        location(&reply)
    }

    /// The provider sends the browser back.
    pub async fn come_back(&self, browser: &Browser, sent: &str, claims: Value) -> Reply {
        let code = self.provider.vouch(sent, claims);
        let state = parameter(sent, "state");
        browser.go(&format!("/oidc/callback?code={code}&state={state}")).await
    }

    /// A whole login.
    pub async fn log_in(&self, browser: &Browser, claims: Value) -> Reply {
        let sent = self.begin(browser, "/app/home").await;
        self.come_back(browser, &sent, claims).await
    }

    /// A browser of somebody who is logged in.
    pub async fn logged_in(&self, subject: &str) -> Browser {
        let browser = self.browser();
        let reply = self.log_in(&browser, json!({ "sub": subject })).await.expect(303);
        assert_eq!(location(&reply), "/app/home");
        browser
    }

    /// Whether a route takes the browser's session.
    pub async fn is_in(&self, browser: &Browser) -> bool {
        let reply = browser.script(reqwest::Method::GET, "/data/x").await;
        assert!(matches!(reply.status, 200 | 401), "{}: {}", reply.status, reply.text());
        reply.status == 200
    }

    /// The last request that came through with this in its path.
    #[track_caller]
    pub fn seen(&self, mark: &str) -> Recorded {
        let found = self.upstream.seen().into_iter().rfind(|one| one.target().contains(mark));
        found.expect("it came through")
    }

    pub fn operator(&self, method: &str, path: &str, body: Value) -> Value {
        operate::call(&self.gateway, method, path, body).expect(200).json()
    }

    /// Reasons of refused requests in the access log.
    pub fn reasons(&self) -> Vec<String> {
        let log = self.gateway.log();
        log.iter().filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
    }
}

fn served(request: &Recorded) -> Answer {
    if request.field("upgrade").is_some() {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        let wait = Step::Wait(Duration::from_secs(3600));
        return Answer::steps(vec![Step::Send(head.into()), wait]);
    }
    if request.target().contains("/events/") {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                    6\r\ndata:1\r\n";
        let wait = Step::Wait(Duration::from_secs(3600));
        return Answer::steps(vec![Step::Send(head.into()), wait]);
    }
    Answer::ok()
}
