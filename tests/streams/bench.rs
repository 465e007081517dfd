//! One gateway with every kind of credential, plain and with TLS; lines of each kind open under one of them, and what holds
//! their end to the second.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    far::Far,
    lines::{Credential, Door, End, Line},
};
use crate::support::{
    conf::{self, Conf, Table, quoted, upstream},
    gateway::{Gateway, Places},
    operate, ports,
    signer::{self, Signer},
    tls::Authority,
    tmws::fresh_name,
};

/// What the issue asks for.
pub const LIMIT: Duration = Duration::from_secs(1);
const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-hs256";
/// An issuer outside.
const OUTSIDE: &str = "https://outside.example";
const SHARED: &str = "a-secret-that-both-have-agreed-on-0123456789";

/// Every kind of line.
const KINDS: [&str; 11] = [
    "echo", "idle", "torn", "events", "download", "slow", "trickle", "upload", "call", "stream",
    "fetch",
];

/// A gateway behind whose two doors the same is found.
pub struct Bench {
    pub far: Far,
    pub gateway: Gateway,
    pub doors: Vec<Door>,
    /// Whose certificates it takes.
    pub authority: Authority,
}

/// One open line: its kind, the mark by which the upstream knows it, and itself.
pub type Marked = (&'static str, String, Line);

impl Bench {
    pub async fn start() -> Self {
        Self::of(|places, far| configuration(places, far).text()).await
    }

    /// With a listener of TLS beside the one of the configuration.
    pub async fn of(configuration: impl Fn(&Places, &Far) -> String) -> Self {
        let (far, authority) = (Far::start().await, Authority::new());
        let pair = authority.server(&["a.test"]);
        let secure: Mutex<Option<SocketAddr>> = Mutex::new(None);
        let gateway = Gateway::start(|places| {
            let (cert, key) = pair.write(&places.dir, "a");
            let clients = authority.write(&places.dir, "clients.pem");
            let address = ports::free_address();
            *secure.lock().unwrap() = Some(address);
            let text = configuration(places, &far);
            format!(
                "{text}\n[[listener]]\nname = \"secure\"\naddress = \"{address}\"\n\
                 tls = {{ certificates = [{{ cert = {cert:?}, key = {key:?} }}], client_ca = {clients:?} }}\n"
            )
        });
        let secure = secure.lock().unwrap().unwrap();
        let doors = vec![
            Door { address: gateway.address(), tls: None },
            Door { address: secure, tls: Some(authority.caller()) },
        ];
        Bench { far, gateway, doors, authority }
    }

    /// With an administrator, as contracts with login names have it.
    pub async fn with_admin() -> Self {
        let bench = Self::start().await;
        operate::add_admin(&bench.gateway);
        bench
    }

    pub async fn open(&self, who: &Credential) -> Vec<Marked> {
        let mut lines = Vec::new();
        for door in &self.doors {
            lines.extend(open(door, who).await);
        }
        lines
    }

    /// Opens lines under both credentials, ends the first, and holds every line under it to the second; those under the
    /// other must go on.
    pub async fn hold(
        &self,
        own: &Credential,
        other: &Credential,
        code: u16,
        end: impl AsyncFnOnce() -> Instant,
    ) {
        let (own, others) = (self.open(own).await, self.open(other).await);
        ends(&self.far, own, others, code, end).await;
    }
}

pub fn configuration(places: &Places, far: &Far) -> Conf {
    let file = |name: &str, text: &str| {
        let path = places.dir.join(name);
        std::fs::write(&path, text).unwrap();
        quoted(&format!("file:{}", path.display()))
    };
    let any = r#"["jwt", "api_key", "client_cert"]"#;
    let at = |listener| format!(r#"{{ listener = "{listener}", prefixes = ["/"] }}"#);
    Conf::new(places)
        .mount("at", &format!("[{}, {}]", at("public"), at("secure")))
        .mount("secret", &file("signing.secret", SECRET))
        .mount("authorization_server", &format!("{{ issuer = \"http://{}\" }}", places.public))
        .mount("issuers", r#"["outside"]"#)
        .mount("client_cert", r#"[{ name = "robot", match = ["CN:robot"] }]"#)
        .table(
            Table::new("issuer", "outside")
                .with("issuer", quoted(OUTSIDE))
                .with("audiences", r#"["api"]"#)
                .with("leeway", quoted("0s"))
                .with("secret", file("outside.secret", SHARED)),
        )
        .listener("http2", "true")
        .upstream("far", &[far.http1])
        .table(upstream("calls", &[far.calls]).with("protocol", quoted("h2")))
        .route(
            conf::closed("sockets", "/sockets/**", "far")
                .with("streaming", "true")
                .with("authn", any),
        )
        .route(
            conf::closed("plain", "/plain/**", "far")
                .with("body_limit", r#""1GiB""#)
                .with("authn", any),
        )
        .route(conf::closed("calls", "/calls.Service/**", "calls").with("authn", any))
}

pub fn bearer(token: &str) -> Credential {
    ("authorization", format!("Bearer {token}"))
}

pub fn keyed(key: &str) -> Credential {
    ("x-api-key", key.to_owned())
}

/// A token of the mount that ends in so many seconds.
pub fn token(subject: &str, seconds: u64) -> String {
    let claims = json!({
        "iss": "tmws-auth-service", "aud": "tmws-api", "sub": subject, "username": "somebody",
        "roles": ["USER"], "iat": signer::now() - 10, "exp": signer::now() + seconds,
        "jti": format!("{:0>20}", fresh_name()),
    });
    Signer::secret("", SECRET).sign_as(&json!({ "alg": "HS256", "typ": "JWT" }), &claims)
}

/// One of the issuer outside.
pub fn outside(subject: &str, seconds: u64) -> String {
    let mut claims = signer::claims(OUTSIDE, "api", subject);
    claims["exp"] = (signer::now() + seconds).into();
    Signer::secret("any", SHARED).sign(&claims)
}

pub fn key_id(key: &str) -> &str {
    key.split('.').next().unwrap()
}

/// What a token says, unproven.
pub fn said(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let text = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Opens one line of each kind.
pub async fn open(door: &Door, who: &Credential) -> Vec<Marked> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut lines = Vec::new();
    for kind in KINDS {
        let mark = format!("{kind}-{}", NEXT.fetch_add(1, Relaxed));
        let line = match kind {
            "torn" => door.websocket(&format!("/sockets/torn/{mark}"), who).await,
            "idle" => door.websocket(&format!("/sockets/ws/{mark}"), who).await,
            "echo" => door.websocket(&format!("/sockets/ws/{mark}"), who).await.busy(),
            "events" => door.events(&format!("/plain/events/{mark}"), who).await,
            "download" => door.download(&format!("/plain/download/{mark}"), who).await,
            "slow" => door.slow(&format!("/plain/download/{mark}"), who).await,
            "trickle" => door.trickle(&format!("/plain/trickle/{mark}"), who).await,
            "upload" => door.upload(&format!("/plain/upload/{mark}"), who).await,
            "call" => door.call(&format!("/calls.Service/{mark}"), who).await,
            "stream" => door.stream(&format!("/plain/events/{mark}"), who).await,
            _ => door.stream(&format!("/plain/download/{mark}"), who).await,
        };
        lines.push((kind, mark, line));
    }
    lines
}

/// The time in which nobody got to do anything here, in milliseconds: no fault of the gateway.
pub fn stalls() -> Arc<AtomicU64> {
    let all = Arc::new(AtomicU64::new(0));
    let own = Arc::downgrade(&all);
    std::thread::spawn(move || {
        while let Some(all) = own.upgrade() {
            let began = Instant::now();
            std::thread::sleep(Duration::from_millis(5));
            let late = began.elapsed().saturating_sub(Duration::from_millis(6));
            all.fetch_add(u64::try_from(late.as_millis()).unwrap(), Relaxed);
        }
    });
    all
}

/// Ends a credential and holds every line under it to the second; those of the others must go on.
pub async fn ends(
    far: &Far,
    own: Vec<Marked>,
    others: Vec<Marked>,
    code: u16,
    end: impl AsyncFnOnce() -> Instant,
) {
    let stalls = stalls();
    let mut waiting = JoinSet::new();
    for (kind, mark, line) in own {
        waiting.spawn(async move { (kind, mark, line.end().await, Instant::now()) });
    }
    let (ended, mut worst) = (end().await, [Duration::ZERO; 2]);
    while let Some(done) = waiting.join_next().await {
        let (kind, mark, how, at) = done.unwrap();
        let allowed = LIMIT + Duration::from_millis(stalls.load(Relaxed));
        let took = at.saturating_duration_since(ended);
        assert!(took <= allowed, "{mark} took {took:?} of {allowed:?}");
        let far_took = far.gone(&mark).await.saturating_duration_since(ended);
        assert!(far_took <= allowed, "the upstream of {mark} saw it after {far_took:?}");
        worst = [worst[0].max(took), worst[1].max(far_took)];
        let words =
            if code == 4401 { "the credential has expired" } else { "the credential was ended" };
        let wanted = match kind {
            "echo" | "idle" => End::Closed(code, words.into()),
            "call" => End::Status("16".into()),
            "upload" => End::Refused(401),
            _ => End::Cut,
        };
        assert_eq!(how, wanted, "{mark}");
    }
    let stalled = stalls.load(Relaxed);
    println!(
        "the last client after {:?}, the last upstream after {:?}, of which nobody ran for {stalled} ms",
        worst[0], worst[1]
    );
    for (kind, mark, mut line) in others {
        assert!(!far.is_gone(&mark), "{mark} is somebody else's");
        if kind != "torn" {
            line.lives().await;
        }
    }
}
