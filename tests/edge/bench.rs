//! One gateway and one recording upstream shared by the suite. Tests run side by side: each marks its own requests.

use std::{
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    operate,
    tmws::{GOOD_PASSWORD, caller, login},
    upstream::{Answer, Recorded, Upstream},
    wire::{self, Reaction, Reply},
};

/// The shared pair.
pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
    /// A key with FULL.
    pub key: String,
    /// Its id.
    pub key_id: String,
    /// The administrator's account id.
    pub subject: String,
}

/// Routes of the shared gateway.
pub fn configuration(places: &Places, upstream: SocketAddr) -> Conf {
    Conf::new(places)
        .upstream("main", &[upstream])
        .route(conf::open("open", "/open/**", "main"))
        .route(conf::closed("closed", "/closed/**", "main"))
        .route(conf::closed("onward", "/onward/**", "main").with("forward_credential", "true"))
        .route(
            conf::open("loose", "/loose/**", "main")
                .with("allow", r#"["encoded_slash", "semicolon", "empty_segment"]"#),
        )
        .route(conf::open("small", "/small/**", "main").with("body_limit", r#""1KiB""#))
        .route(conf::open("large", "/large/**", "main").with("body_limit", r#""2GiB""#))
        .route(conf::open("add", "/add/**", "main").with("trailing_slash", r#""add""#))
        .route(conf::open("strip", "/strip/**", "main").with("trailing_slash", r#""strip""#))
        .route(
            conf::open("rules", "/rules/**", "main").with(
                "headers",
                r#"{ request = { remove = ["x-unwanted"], set = { "x-wanted" = "yes" } }, response = { remove = ["x-inner"], set = { "x-outer" = "1" } } }"#,
            ),
        )
        .route(
            conf::open("only-get", "/only-get", "main")
                .with("match", r#"{ path = "/only-get", methods = ["GET"] }"#),
        )
}

pub fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let upstream = Upstream::with(|request| {
            if request.target().contains("/inner") {
                return Answer::new(200, &[("X-Inner", "1"), ("X-Outer", "theirs")], "{}");
            }
            Answer::ok()
        });
        let address = upstream.address;
        let gateway = Gateway::start(|places| configuration(places, address).text());
        let admin = operate::add_admin(&gateway);
        let subject = admin["id"].as_str().expect("an id").to_owned();
        let key = operate::admin_key(&gateway, &["FULL"]);
        let key_id = key.split('.').next().expect("an id").to_owned();
        Bench { gateway, upstream, key, key_id, subject }
    })
}

impl Bench {
    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Requests at the upstream whose target has this mark, in the order they came.
    pub fn seen(&self, mark: &str) -> Vec<Recorded> {
        let all = self.upstream.seen();
        all.into_iter().filter(|request| request.target().contains(mark)).collect()
    }

    #[track_caller]
    pub fn only(&self, mark: &str) -> Recorded {
        let mut seen = self.seen(mark);
        let lines: Vec<_> = seen.iter().map(Recorded::line).collect();
        assert_eq!(seen.len(), 1, "one request was expected: {lines:?}");
        seen.remove(0)
    }

    #[track_caller]
    pub fn none(&self, mark: &str) {
        let lines: Vec<_> = self.seen(mark).iter().map(Recorded::line).collect();
        assert!(lines.is_empty(), "nothing may arrive, but: {lines:?}");
    }

    /// Sends raw bytes on a connection of their own.
    pub async fn exchange(&self, request: impl AsRef<[u8]>) -> Reply {
        wire::exchange(self.address(), request).await
    }

    pub async fn provoke(&self, request: impl AsRef<[u8]>) -> Reaction {
        wire::provoke(self.address(), request).await
    }

    /// A token of the administrator.
    pub async fn token(&self) -> String {
        login(&caller(&self.gateway), operate::ADMIN, GOOD_PASSWORD).await.access
    }
}

/// A text that stands in one test's requests only.
pub fn mark() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("mark-{}-", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request head with a right `Host`; `fields` are written as they stand, each with its line end.
pub fn request(method: &str, target: &str, fields: &str) -> String {
    let host = bench().address();
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

/// Refused as malformed: 400, or a close without a word, and in either case nothing upstream.
#[track_caller]
pub fn assert_refused(reaction: &Reaction, what: &str) {
    match reaction {
        Reaction::Closed => {}
        Reaction::Replied(reply) => assert_eq!(reply.status, 400, "{what}: {}", reply.text()),
    }
}
