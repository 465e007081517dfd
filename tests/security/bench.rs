//! One gateway in front of one recording upstream, with the routes that the corpus speaks of.

use std::{
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf, quoted},
    gateway::{Gateway, Places},
    operate,
    upstream::{Answer, Upstream},
};

/// What signs the tokens of the mount, so that any token can be made here.
pub const SECRET: &str = "the-signing-secret-of-the-security-tests";
const ISSUER: &str = "tmws-auth-service";
const AUDIENCE: &str = "tmws-api";

pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
    /// Account id of the administrator, and of somebody without any right.
    pub admin: String,
    pub nobody: String,
    /// Keys of the administrator: with every scope, and with one only.
    pub full_key: String,
    pub read_key: String,
}

/// Routes: open to all, for those who are somebody, for a role, for a scope, and such that lie in one another.
pub fn configuration(places: &Places, upstream: SocketAddr) -> Conf {
    let secret = places.dir.join("signing.secret");
    std::fs::write(&secret, SECRET).expect("write the secret");
    let secret = quoted(&format!("file:{}", secret.display()));
    let open = |name: &str, path: &str| conf::open(name, path, "main");
    let closed = |name: &str, path: &str| conf::closed(name, path, "main");
    Conf::new(places)
        .mount("secret", &secret)
        .upstream("main", &[upstream])
        .route(open("open", "/open/**"))
        .route(closed("vault", "/open/vault/**"))
        .route(closed("closed", "/closed/**"))
        .route(open("window", "/closed/window/**"))
        .route(closed("admin", "/admin/**").with("authz", r#"{ roles = ["SUPER_ADMIN"] }"#))
        .route(closed("scoped", "/scoped/**").with("authz", r#"{ scopes = { "*" = "WRITE" } }"#))
        .route(open("socket", "/socket/**").with("streaming", "true"))
        .route(closed("guarded", "/guarded/**").with("streaming", "true"))
        .route(
            open("loose", "/loose/**")
                .with("allow", r#"["encoded_slash", "semicolon", "empty_segment"]"#),
        )
        .route(open("get", "/get/**").with("match", r#"{ path = "/get/**", methods = ["GET"] }"#))
        .route(conf::tasks("main"))
}

pub fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(Bench::start)
}

impl Bench {
    /// A pair of its own.
    pub fn start() -> Self {
        Self::start_with(|conf| conf)
    }

    /// A pair of its own that speaks HTTP/2 as well, by prior knowledge.
    pub fn speaking_http2() -> Self {
        Self::start_with(|conf| conf.listener("http2", "true"))
    }

    /// A pair of which the gateway is told more.
    pub fn start_with(more: impl Fn(Conf) -> Conf) -> Self {
        let upstream = Upstream::with(|request| match request.field("upgrade") {
            Some(_) if request.target().contains("/switch") => Answer::bytes(
                "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ),
            _ => Answer::ok(),
        });
        let address = upstream.address;
        let gateway = Gateway::start(|places| more(configuration(places, address)).text());
        let id = |account: Value| account["id"].as_str().expect("an id").to_owned();
        let admin = id(operate::add_admin(&gateway));
        let nobody = id(operate::add_user(&gateway, "nobody-special", &["USER"]));
        let full_key = operate::admin_key(&gateway, &["FULL"]);
        let read_key = operate::admin_key(&gateway, &["READ"]);
        Bench { gateway, upstream, admin, nobody, full_key, read_key }
    }
}

/// A text that stands in one case's requests only.
pub fn mark() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("m{}z", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end")
}

/// Claims of a good token of this account.
pub fn claims(subject: &str, roles: &[&str]) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "username": "somebody", "roles": roles,
        "iat": now(), "exp": now() + 3600, "jti": "0123456789abcdef0123",
    })
}

/// Any header and payload, signed with the mount's secret.
pub fn signed(header: &str, payload: &str) -> String {
    let text = format!("{}.{}", B64.encode(header), B64.encode(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", B64.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref()))
}

impl Bench {
    pub fn token(&self, subject: &str, roles: &[&str]) -> String {
        signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims(subject, roles).to_string())
    }

    /// Replaces the placeholders of the corpus.
    pub fn fill(&self, text: &str, mark: &str) -> String {
        let admin = self.token(&self.admin, &["SUPER_ADMIN"]);
        let parts: Vec<&str> = admin.split('.').collect();
        let mut out = text.to_owned();
        for (name, value) in [
            ("{m}", mark),
            ("{host}", &self.gateway.address().to_string()),
            ("{port}", &self.gateway.address().port().to_string()),
            ("{token}", &admin),
            ("{user}", &self.token(&self.nobody, &["USER"])),
            ("{h}", parts[0]),
            ("{p}", parts[1]),
            ("{s}", parts[2]),
            ("{key}", &self.full_key),
            ("{read}", &self.read_key),
            ("{subject}", &self.admin),
        ] {
            out = out.replace(name, value);
        }
        out
    }
}
