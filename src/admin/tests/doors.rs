//! The doors: token on TCP, file permissions on sockets, context on the private socket.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request},
    routing::get,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
    sync::watch,
};

use super::*;
use crate::{
    admin::guard::guarded,
    model::{
        ClientFacts,
        hop::{self, CONTEXT_HEADER, HopContext},
    },
};

const TOKEN: &str = "an-operator-token";

fn settings(folder: &Path, open_probes: bool) -> Settings {
    Settings {
        address: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        operator_socket: folder.join("run/operator.sock"),
        identity_socket: Some(folder.join("run/identity.sock")),
        token: TOKEN.into(),
        open_probes,
    }
}

fn with_token(path: &str, values: &[&str]) -> Request<Body> {
    let mut request = Request::get(path);
    for value in values {
        request = request.header("authorization", *value);
    }
    request.body(Body::empty()).unwrap()
}

// requirement: 36
#[tokio::test]
async fn nothing_opens_on_tcp_without_the_exact_token() {
    let kit = Kit::open(&["api"]).await;
    let router = guarded(kit.router.clone(), &settings(kit.folder.path(), false));
    let good = format!("Bearer {TOKEN}");
    for path in ["/v1/status", "/metrics", "/livez", "/readyz", "/v1/openapi.json", "/nothing"] {
        for values in [
            &[][..],
            &["Bearer wrong"],
            &["Bearer "],
            &[TOKEN],
            &["Basic an-operator-token"],
            &["Bearer an-operator-token-and-more"],
            &[good.as_str(), good.as_str()],
        ] {
            let answer = send(&router, with_token(path, values)).await;
            assert_eq!((answer.status, answer.code()), (401, "operator_token".to_owned()));
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    assert_eq!(send(&router, with_token("/v1/status", &[&good])).await.status, 200);
    assert_eq!(
        send(&router, with_token("/metrics", &["bearer an-operator-token"])).await.status,
        200
    );
}

#[tokio::test]
async fn an_empty_token_opens_nothing() {
    let kit = Kit::open(&["api"]).await;
    let settings = Settings { token: "".into(), ..settings(kit.folder.path(), false) };
    let router = guarded(kit.router.clone(), &settings);
    for values in [&["Bearer "][..], &["Bearer"], &[]] {
        assert_eq!(send(&router, with_token("/v1/status", values)).await.status, 401);
    }
}

#[tokio::test]
async fn open_probes_tell_a_stranger_the_bare_status_only() {
    let kit = Kit::open(&["api"]).await;
    let router = guarded(kit.router.clone(), &settings(kit.folder.path(), true));
    let answer = send(&router, with_token("/readyz", &[])).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "{\"status\":\"ready\"}"));
    assert_eq!(send(&router, with_token("/livez", &[])).await.status, 200);
    assert_eq!(send(&router, with_token("/metrics", &[])).await.status, 401);
    let full = send(&router, with_token("/readyz", &[&format!("Bearer {TOKEN}")])).await;
    assert!(full.text.contains("config_hash"));
}

fn contract(shared: Arc<Shared>) -> Router {
    let tell = |context: axum::Extension<HopContext>, headers: HeaderMap| async move {
        let leaked = headers.contains_key(CONTEXT_HEADER);
        format!("{} {} {leaked}", context.mount, context.client.request_id)
    };
    let fail = || async {
        if true {
            panic!("as it may happen");
        }
    };
    let router = Router::new().route("/tell", get(tell)).route("/fail", get(fail));
    let mount = Mounted {
        name: "api".into(),
        realm: "main".into(),
        router,
        face: &crate::dialects::tmws::Tmws,
    };
    shared.set_mounts(vec!["main".into()], vec![mount]);
    contract_router(shared)
}

fn context(mount: &str) -> String {
    hop::encode(&HopContext {
        mount: mount.into(),
        client: ClientFacts {
            address: "192.0.2.1".parse().unwrap(),
            request_id: "req_7".into(),
            user_agent: None,
        },
        principal: None,
        joined: Vec::new(),
        offered: None,
    })
}

fn hopping(path: &str, context: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path);
    if let Some(context) = context {
        request = request.header(CONTEXT_HEADER, context);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_context_picks_the_mount_and_goes_no_further() {
    let router = contract(Arc::default());
    let answer = send(&router, hopping("/tell", Some(&context("api")))).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "api req_7 false"));
}

#[tokio::test]
async fn a_missing_or_bad_context_is_our_fault_and_a_lost_mount_is_for_later() {
    let router = contract(Arc::default());
    for context in [None, Some(""), Some("e30"), Some("%%%")] {
        let answer = send(&router, hopping("/tell", context)).await;
        assert_eq!((answer.status, &answer.json()["status_code"]), (500, &500.into()));
    }
    let answer = send(&router, hopping("/tell", Some(&context("gone")))).await;
    assert_eq!((answer.status, &answer.json()["request_id"]), (503, &"req_7".into()));
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_reload_swaps_the_mounts() {
    let shared = Arc::new(Shared::default());
    let router = contract(shared.clone());
    shared.set_mounts(Vec::new(), Vec::new());
    let answer = send(&router, hopping("/tell", Some(&context("api")))).await;
    // In the words of the contract that stood there, for the edge to log, and to be tried again.
    assert_eq!((answer.status, &answer.json()["status_code"]), (503, &503.into()));
    assert_eq!(answer.json()["request_id"], "req_7");
    assert_eq!(answer.headers.get("retry-after").map(|value| value.as_bytes()), Some(&b"1"[..]));
    assert!(answer.headers.contains_key(crate::model::hop::VERDICT_HEADER));
}

// requirement: 40
#[tokio::test]
async fn a_panic_ends_its_own_request_only() {
    let router = contract(Arc::default());
    let answer = send(&router, hopping("/fail", Some(&context("api")))).await;
    // In the words of the mount's contract.
    assert_eq!((answer.status, &answer.json()["request_id"]), (500, &"req_7".into()));
    assert_eq!(answer.json()["error"], "Internal Server Error");
    assert!(answer.headers.contains_key(crate::model::hop::VERDICT_HEADER));
    assert_eq!(send(&router, hopping("/tell", Some(&context("api")))).await.status, 200);
}

/// One request on a fresh connection, read to its end.
async fn raw<S>(mut stream: S, head: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn every_door_answers_until_told_to_stop() {
    let kit = Kit::open(&["api"]).await;
    let settings = settings(kit.folder.path(), false);
    let listeners = Listeners::bind(&settings).await.unwrap();
    let address = listeners.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (operator, contract) = (kit.router.clone(), contract(Arc::default()));
    let own = settings.clone();
    let serving = tokio::spawn(async move {
        serve::serve(listeners, &own, operator, contract, stopped, Duration::from_secs(5)).await;
    });

    for (path, mode) in [
        (&settings.operator_socket, 0o600),
        (settings.identity_socket.as_ref().unwrap(), 0o600),
        (&kit.folder.path().join("run"), 0o700),
    ] {
        let found = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    let tcp = || TcpStream::connect(address);
    let answer = raw(tcp().await.unwrap(), "GET /v1/status HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let head = format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {TOKEN}");
    assert!(raw(tcp().await.unwrap(), &head).await.starts_with("HTTP/1.1 200"));
    let socket = UnixStream::connect(&settings.operator_socket).await.unwrap();
    assert!(raw(socket, "GET /v1/status HTTP/1.1").await.starts_with("HTTP/1.1 200"));
    let socket = UnixStream::connect(settings.identity_socket.as_ref().unwrap()).await.unwrap();
    let head = format!("GET /tell HTTP/1.1\r\n{CONTEXT_HEADER}: {}", context("api"));
    assert!(raw(socket, &head).await.ends_with("api req_7 false"));

    // An idle connection does not hold up the stop.
    let _idle = UnixStream::connect(settings.identity_socket.as_ref().unwrap()).await.unwrap();
    stop.send(true).unwrap();
    serving.await.unwrap();
    assert!(tcp().await.is_err());
    assert!(
        !settings.operator_socket.exists() && !settings.identity_socket.as_ref().unwrap().exists()
    );
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), false);
    std::fs::create_dir(folder.path().join("run")).unwrap();
    // What a killed process leaves behind.
    drop(UnixListener::bind(&settings.operator_socket).unwrap());
    let listeners = Listeners::bind(&settings).await.unwrap();

    let error = Listeners::bind(&settings).await.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    drop(listeners);
    assert!(Listeners::bind(&settings).await.is_ok());
}

#[tokio::test]
async fn a_file_in_the_way_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), false);
    std::fs::create_dir(folder.path().join("run")).unwrap();
    std::fs::write(settings.identity_socket.as_ref().unwrap(), "precious").unwrap();
    let error = Listeners::bind(&settings).await.unwrap_err();
    assert!(matches!(error, BindError::InTheWay { .. }), "{error}");
    assert_eq!(
        std::fs::read_to_string(settings.identity_socket.as_ref().unwrap()).unwrap(),
        "precious"
    );
}

#[tokio::test]
async fn a_folder_others_may_write_to_is_tightened() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), false);
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o777)).unwrap();
    let _listeners = Listeners::bind(&settings).await.unwrap();
    let mode = std::fs::metadata(&run).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o755);
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), false);
    settings.operator_socket = folder.path().join("x".repeat(120));
    let error = Listeners::bind(&settings).await.unwrap_err();
    assert!(matches!(error, BindError::TooLong { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn methods_that_are_none_are_refused() {
    let kit = Kit::open(&["api"]).await;
    let answer = ask(&kit.router, Method::PUT, "/livez", None).await;
    assert_eq!(answer.status, 405);
}
