//! Each way a credential can end, with one line of each kind open under it, and another of each kind under another one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    far::Far,
    lines::{Credential, Door, End, Line},
};
use crate::support::{
    archon,
    conf::{self, Conf, quoted, upstream},
    gateway::{Gateway, Places},
    operate,
    tls::Authority,
    tmws::{GOOD_PASSWORD, caller, fresh_name, login},
};

/// What the issue asks for.
const LIMIT: Duration = Duration::from_secs(1);
const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-hs256";

/// Every kind of line.
const KINDS: [&str; 8] = ["echo", "idle", "torn", "events", "download", "upload", "call", "stream"];

fn routes(conf: Conf, far: &Far) -> Conf {
    conf.upstream("far", &[far.http1])
        .table(upstream("calls", &[far.calls]).with("protocol", quoted("h2")))
        .route(conf::closed("sockets", "/sockets/**", "far").with("streaming", "true"))
        .route(conf::closed("plain", "/plain/**", "far").with("body_limit", r#""1GiB""#))
        .route(conf::closed("calls", "/calls.Service/**", "calls"))
}

pub fn configuration(places: &Places, far: &Far) -> Conf {
    let secret = places.dir.join("signing.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let secret = quoted(&format!("file:{}", secret.display()));
    routes(Conf::new(places).mount("secret", &secret).listener("http2", "true"), far)
}

pub fn plain(gateway: &Gateway) -> Door {
    Door { address: gateway.address(), tls: None }
}

pub fn bearer(token: &str) -> Credential {
    ("authorization", format!("Bearer {token}"))
}

pub fn keyed(key: &str) -> Credential {
    ("x-api-key", key.to_owned())
}

fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A token of the mount that ends in so many seconds.
pub fn token(subject: &str, seconds: i64) -> String {
    let claims = json!({
        "iss": "tmws-auth-service", "aud": "tmws-api", "sub": subject, "username": "somebody",
        "roles": ["USER"], "iat": now() - 10, "exp": now() + seconds, "jti": format!("{:0>20}", fresh_name()),
    });
    let header = B64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{header}.{}", B64.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", B64.encode(hmac::sign(&key, text.as_bytes()).as_ref()))
}

/// Opens one line of each kind. Each has a mark by which the upstream knows it.
pub async fn open(door: &Door, who: &Credential) -> Vec<(&'static str, String, Line)> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut lines = Vec::new();
    for kind in KINDS {
        let mark = format!("{kind}-{}", NEXT.fetch_add(1, Relaxed));
        let line = match kind {
            "torn" => door.websocket(&format!("/sockets/torn/{mark}"), who).await,
            "echo" | "idle" => door.websocket(&format!("/sockets/ws/{mark}"), who).await,
            "events" => door.events(&format!("/plain/events/{mark}"), who).await,
            "download" => door.download(&format!("/plain/download/{mark}"), who).await,
            "upload" => door.upload(&format!("/plain/upload/{mark}"), who).await,
            "call" => door.call(&format!("/calls.Service/{mark}"), who).await,
            _ => door.stream(&format!("/plain/events/{mark}"), who).await,
        };
        lines.push((kind, mark, line));
    }
    // One of the two is busy.
    lines[0].2.lives().await;
    lines
}

/// The longest time in which nobody got to do anything here, in milliseconds: no fault of the gateway.
fn stalls() -> Arc<AtomicU64> {
    let longest = Arc::new(AtomicU64::new(0));
    let own = Arc::downgrade(&longest);
    std::thread::spawn(move || {
        while let Some(longest) = own.upgrade() {
            let began = Instant::now();
            std::thread::sleep(Duration::from_millis(5));
            let late = began.elapsed().saturating_sub(Duration::from_millis(6));
            longest.fetch_add(u64::try_from(late.as_millis()).unwrap(), Relaxed);
        }
    });
    longest
}

/// Ends a credential and holds every line under it to the second; those of the others must go on.
async fn ends(
    far: &Far,
    own: Vec<(&'static str, String, Line)>,
    others: Vec<(&'static str, String, Line)>,
    code: u16,
    end: impl AsyncFnOnce() -> Instant,
) {
    let stalls = stalls();
    let marks: Vec<String> = own.iter().map(|(_, mark, _)| mark.clone()).collect();
    let mut waiting = JoinSet::new();
    for (kind, mark, line) in own {
        waiting.spawn(async move { (kind, mark, line.end().await, Instant::now()) });
    }
    let ended = end().await;
    while let Some(done) = waiting.join_next().await {
        let (kind, mark, how, at) = done.unwrap();
        let allowed = LIMIT + Duration::from_millis(stalls.load(Relaxed));
        let took = at.saturating_duration_since(ended);
        assert!(took <= allowed, "{mark} took {took:?} of {allowed:?}");
        let far_took = far.gone(&mark).await.saturating_duration_since(ended);
        assert!(far_took <= allowed, "the upstream of {mark} saw it after {far_took:?}");
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
    assert_eq!(marks.len(), KINDS.len());
    for (kind, mark, mut line) in others {
        assert!(!far.is_gone(&mark), "{mark} is somebody else's");
        if kind != "torn" {
            line.lives().await;
        }
    }
}

struct Bench {
    far: Far,
    gateway: Gateway,
    door: Door,
}

async fn bench() -> Bench {
    let far = Far::start().await;
    let gateway = Gateway::start(|places| configuration(places, &far).text());
    operate::add_admin(&gateway);
    let door = plain(&gateway);
    Bench { far, gateway, door }
}

fn key_id(key: &str) -> &str {
    key.split('.').next().unwrap()
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_revoked_key_ends() {
    let Bench { far, gateway, door } = bench().await;
    let (key, other) =
        (operate::admin_key(&gateway, &["FULL"]), operate::admin_key(&gateway, &["FULL"]));
    let (own, others) = (open(&door, &keyed(&key)).await, open(&door, &keyed(&other)).await);
    ends(&far, own, others, 1008, async || {
        operate::call(&gateway, "POST", &format!("/v1/keys/{}/revoke", key_id(&key)), Value::Null)
            .expect(200);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn everything_in_a_session_ends_with_a_logout() {
    let Bench { far, gateway, door } = bench().await;
    let name = operate::someone(&gateway, "USER");
    // The same person twice: a session is ended, not an account.
    let client = caller(&gateway);
    let own = login(&client, &name, GOOD_PASSWORD).await;
    let other = login(&client, &name, GOOD_PASSWORD).await;
    let lines = open(&door, &bearer(&own.access)).await;
    let others = open(&door, &bearer(&other.access)).await;
    ends(&far, lines, others, 1008, async || {
        let client = client.bearer(&own.access);
        let body = json!({ "refresh_token": own.refresh });
        client.post("/api/v1/auth/logout", body).await.expect(200);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn everything_of_a_disabled_account_ends() {
    let Bench { far, gateway, door } = bench().await;
    let (name, other) = (operate::someone(&gateway, "USER"), operate::someone(&gateway, "USER"));
    let client = caller(&gateway);
    let tokens = login(&client, &name, GOOD_PASSWORD).await;
    let key = operate::add_key(&gateway, &name, &["READ"], Value::Null);
    let spared = login(&client, &other, GOOD_PASSWORD).await;
    let with_key = open(&door, &keyed(&key)).await;
    let own = open(&door, &bearer(&tokens.access)).await;
    let others = open(&door, &bearer(&spared.access)).await;
    ends(&far, own, others, 1008, async || {
        operate::disable(&gateway, &name);
        Instant::now()
    })
    .await;
    // The account's key goes with it.
    for (kind, mark, line) in with_key {
        let how = line.end().await;
        assert_ne!(how, End::Orderly, "{kind}");
        far.gone(&mark).await;
    }
}

#[tokio::test]
async fn everything_under_an_expired_token_ends_with_its_own_code() {
    let Bench { far, gateway, door } = bench().await;
    let name = fresh_name();
    let id = operate::add_user(&gateway, &name, &["USER"])["id"].as_str().unwrap().to_owned();
    let (soon, later) = (token(&id, 6), token(&id, 3600));
    let end = Instant::now() + Duration::from_secs(6);
    let (own, others) = (open(&door, &bearer(&soon)).await, open(&door, &bearer(&later)).await);
    ends(&far, own, others, 4401, async || {
        tokio::time::sleep_until(end.into()).await;
        // The token ends with a whole second, which began up to a second before ours.
        end
    })
    .await;
}

#[tokio::test]
async fn everything_of_an_agent_ends_with_the_session_it_acts_in() {
    let far = Far::start().await;
    let gateway = Gateway::start(|places| {
        let route = |name: &str, path: &str, upstream: &str, more: &str| {
            format!(
                "[[route]]\nname = \"{name}\"\nmount = \"archon\"\nmatch = {{ path = \"{path}\" }}\n\
                 upstream = \"{upstream}\"\nauthn = [\"jwt\", \"agent\"]\nlimits = []\n\
                 authz = {{ roles = [\"user\"], capabilities = {{ \"*\" = \"file:read\" }} }}\n{more}\n"
            )
        };
        let more = [
            format!("[[upstream]]\nname = \"far\"\nbackends = [\"http://{}\"]\n", far.http1),
            format!(
                "[[upstream]]\nname = \"calls\"\nprotocol = \"h2\"\nbackends = [\"http://{}\"]\n",
                far.calls
            ),
            route("sockets", "/sockets/**", "far", "streaming = true"),
            route("plain", "/plain/**", "far", "body_limit = \"1GiB\""),
            route("calls", "/calls.Service/**", "calls", ""),
        ];
        let text = archon::configuration(places, &format!("http://{}", far.http1), &more.concat());
        text.replace("name = \"public\"\n", "name = \"public\"\nhttp2 = true\n")
    });
    let agent = async || {
        let (_, client, _) = archon::user(&gateway, "user").await;
        let asked =
            json!({ "agentType": "code_implementer", "capabilitiesRequested": ["file:read"] });
        let agent = archon::data(&client.post("/auth/agents/authenticate", asked).await);
        let token = agent["agent_token"].as_str().unwrap().to_owned();
        (client, bearer(&token))
    };
    let ((client, token), (_other, spared)) = (agent().await, agent().await);
    let door = plain(&gateway);
    let (own, others) = (open(&door, &token).await, open(&door, &spared).await);
    ends(&far, own, others, 1008, async || {
        archon::data(&client.post("/auth/logout", Value::Null).await);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn the_same_holds_over_tls() {
    let far = Far::start().await;
    let authority = Authority::new();
    let pair = authority.server(&["a.test"]);
    let gateway = Gateway::start(|places| {
        let (cert, key) = pair.write(&places.dir, "a");
        let tls = format!("{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}] }}");
        let conf = configuration(places, &far);
        conf.listener("tls", tls).text()
    });
    operate::add_admin(&gateway);
    let door = Door { address: gateway.address(), tls: Some(authority.caller()) };
    let (key, other) =
        (operate::admin_key(&gateway, &["FULL"]), operate::admin_key(&gateway, &["FULL"]));
    let (own, others) = (open(&door, &keyed(&key)).await, open(&door, &keyed(&other)).await);
    ends(&far, own, others, 1008, async || {
        operate::call(&gateway, "POST", &format!("/v1/keys/{}/revoke", key_id(&key)), Value::Null)
            .expect(200);
        Instant::now()
    })
    .await;
}

#[tokio::test]
async fn what_runs_under_a_replaced_key_ends_with_the_overlap() {
    let Bench { far, gateway, door } = bench().await;
    let (key, other) =
        (operate::admin_key(&gateway, &["FULL"]), operate::admin_key(&gateway, &["FULL"]));
    let (own, others) = (open(&door, &keyed(&key)).await, open(&door, &keyed(&other)).await);
    ends(&far, own, others, 4401, async || {
        let path = format!("/v1/keys/{}/rotate", key_id(&key));
        operate::call(&gateway, "POST", &path, json!({ "overlap_seconds": 2 })).expect(201);
        let end = Instant::now() + Duration::from_secs(2);
        tokio::time::sleep_until(end.into()).await;
        end
    })
    .await;
}
