//! Attacks that cost the attacker little, beside honest traffic that must hardly notice. Each prints its figures.
//!
//! What runs by default is a slice; `make test-security` is the long form. It needs 15 000 open files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod honest;
mod http2;
mod logins;
mod slow;
mod tokens;

use support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    tmws::{GOOD_PASSWORD, caller, login},
    upstream::{Answer, Step, Upstream},
};

/// A gateway with a guarded and a public route, each with an upstream of its own.
struct World {
    gateway: Gateway,
    /// A whole request of an honest caller.
    request: String,
    /// A good token.
    token: String,
    _upstreams: [Upstream; 2],
}

/// Bytes of a large answer: more than all buffers between us and a client that reads nothing.
const LARGE: u64 = 16 << 20;
/// Of one of which many may be asked for at once.
const MEDIUM: usize = 256 << 10;

impl World {
    /// Honest callers have an upstream of their own.
    async fn start() -> Self {
        Self::with("10000", "GET /closed/x").await
    }

    /// Honest callers and strangers share an upstream that takes a few requests at once.
    async fn crowded(attackers: usize) -> Self {
        // The default, where there are more attackers than that.
        let most = if attackers > 1024 { 1024 } else { attackers / 3 };
        Self::with(&most.to_string(), "GET /open/x").await
    }

    async fn with(max_requests: &str, honest: &str) -> Self {
        let inner = Upstream::counting(|_| Answer::ok());
        let open = Upstream::counting(|request| {
            if request.target().contains("/medium") {
                return Answer::new(200, &[], vec![b'x'; MEDIUM]);
            }
            if !request.target().contains("/large") {
                return Answer::ok();
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            Answer::steps(vec![Step::Send(head.into()), Step::Fill(LARGE)])
        });
        let gateway = Gateway::start(|places| {
            let open = conf::upstream("open", &[open.address]).with("max_requests", max_requests);
            Conf::new(places)
                .usual_hashing()
                .section("[log]\naccess = false")
                .listener("http2", "true")
                .upstream("inner", &[inner.address])
                .table(open)
                .route(conf::closed("closed", "/closed/**", "inner"))
                .route(conf::open("open", "/open/**", "open"))
                .text()
        });
        operate::add_admin(&gateway);
        let token = login(&caller(&gateway), operate::ADMIN, GOOD_PASSWORD).await.access;
        let request = format!(
            "{honest} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        Self { gateway, request, token, _upstreams: [inner, open] }
    }

    /// A figure of the gateway.
    async fn figure(&self, line: &str) -> u64 {
        let page = self.gateway.operator().get("/metrics").await.expect(200).text();
        let found = page.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_default()
    }
}

/// Runs an attack on a thread of its own that leaves the cores to everybody else: attackers have machines of their own, and
/// what an attack costs them must not be taken for what it costs us.
async fn attacking<T: Send + 'static>(attack: impl Future<Output = T> + Send + 'static) -> T {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        portcullis::model::priority::only_when_idle();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _ = tell.send(runtime.expect("a runtime").block_on(attack));
    });
    told.await.expect("no panic in the attack")
}

/// A size of the attack; the long form sets it.
fn wanted(name: &str, slice: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(slice)
}
