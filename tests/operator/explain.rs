//! `explain` and `test`: why a request is refused, told before and after it was.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, run, said},
    operate,
    upstream::Upstream,
    wire,
};

struct Setting {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

/// Routes for anybody, for readers and for administrators, and one that takes a single request an hour.
fn setting() -> Setting {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        let routes = Conf::new(places).upstream("main", &[upstream.address]);
        let routes = routes.limit("rare", r#"["client"]"#, r#"["1/h"]"#);
        routes
            .route(conf::open("open", "/open/**", "main"))
            .route(conf::open("rare", "/rare", "main").with("limits", r#"["rare"]"#))
            .route(
                conf::closed("read", "/read/**", "main")
                    .with("authz", r#"{ scopes = { "*" = "WRITE" } }"#),
            )
            .route(
                conf::closed("admin", "/admin/**", "main")
                    .with("authz", r#"{ roles = ["SUPER_ADMIN"] }"#),
            )
            .text()
    });
    operate::add_admin(&gateway);
    let key = operate::admin_key(&gateway, &["READ"]);
    Setting { gateway, upstream, key }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn answer(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_explained_as_the_running_gateway_would_decide_it() {
    let Setting { gateway, upstream, key } = setting();
    let keys = gateway.places.dir.join("a.key");
    std::fs::write(&keys, &key).unwrap();
    let keys = keys.to_str().unwrap();
    let url = |path: &str| format!("{}{path}", gateway.url());

    let open = gateway.cli(&["explain", "GET", &url("/open/x"), "--output", "json"]);
    let told = answer(&open);
    assert_eq!((code(&open), &told["route"], &told["reason"]), (0, &json!("open"), &json!("ok")));
    assert_eq!(told["upstream"]["path"], "/open/x");

    let missing = gateway.cli(&["explain", "GET", &url("/read/x"), "--output", "json"]);
    assert_eq!((code(&missing), &answer(&missing)["reason"]), (1, &json!("credential_missing")));

    let arguments = ["explain", "POST", &url("/read/x"), "--key-file", keys, "--output", "json"];
    let lacking = gateway.cli(&arguments);
    let told = answer(&lacking);
    assert_eq!(code(&lacking), 1);
    assert_eq!((&told["rule"], &told["missing"]), (&json!("route rule"), &json!("scope WRITE")));
    let last = told["stages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["stage"], &last["verdict"]), (&json!("authorization"), &json!("refused")));

    let by_env =
        gateway.cli(&["explain", "GET", &url("/read/x"), "--key-file", "env:NOT_SET_HERE"]);
    assert_eq!(code(&by_env), 2, "{}", said(&by_env));
    let nothing = gateway.cli(&["explain"]);
    assert_eq!(code(&nothing), 2, "{}", said(&nothing));
    upstream.saw_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_charges_nothing_and_sees_what_is_used_up() {
    let Setting { gateway, upstream: _upstream, .. } = setting();
    let url = format!("{}/rare", gateway.url());
    for _ in 0..3 {
        assert_eq!(code(&gateway.cli(&["explain", "GET", &url])), 0);
    }
    let send = || wire::exchange(gateway.address(), "GET /rare HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(send().await.status, 200);
    let used = gateway.cli(&["explain", "GET", &url, "--output", "json"]);
    assert_eq!((code(&used), &answer(&used)["rule"]), (1, &json!("limit rare")));
    assert_eq!(send().await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_explained_by_its_id_from_memory_and_from_the_log() {
    let Setting { gateway, key, upstream: _upstream } = setting();
    let head = format!("GET /admin/x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let admin = wire::exchange(gateway.address(), &head).await;
    assert_eq!(admin.status, 200, "the key stands for an administrator");
    let head = format!("GET /read/x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let refused = wire::exchange(gateway.address(), &head).await;
    assert_eq!(refused.status, 403);
    let id = refused.header("x-request-id").unwrap();

    let arguments = ["explain", "--request-id", id, "--output", "json"];
    let told = gateway.cli(&arguments);
    let found = answer(&told);
    assert_eq!(code(&told), 1);
    assert_eq!((&found["route"], &found["missing"]), (&json!("read"), &json!("scope WRITE")));
    assert!(found["needed"].is_string(), "{found}");

    let line = crate::support::wait::until("the access line", || async {
        gateway.log().into_iter().find(|line| line["request_id"] == id)
    })
    .await;
    assert_eq!((&line["rule"], &line["missing"]), (&json!("route rule"), &json!("scope WRITE")));
    let log = gateway.places.dir.join("a.log");
    std::fs::write(&log, gateway.output()).unwrap();
    let by_log =
        ["explain", "--request-id", id, "--log", log.to_str().unwrap(), "--output", "json"];
    let by_log = gateway.cli(&by_log);
    assert_eq!((code(&by_log), &answer(&by_log)["reason"]), (1, &json!("insufficient_scope")));

    let unknown = gateway.cli(&["explain", "--request-id", "req_none"]);
    assert_eq!(code(&unknown), 1, "{}", said(&unknown));
}

#[test]
fn without_the_store_what_hangs_on_it_is_undetermined_and_an_assumed_caller_is_not() {
    let Setting { gateway, key, upstream: _upstream } = setting();
    let keys = gateway.places.dir.join("a.key");
    std::fs::write(&keys, &key).unwrap();
    let url = format!("{}/read/x", gateway.url());
    let offline = |more: &[&str]| {
        let mut all = vec!["explain", "GET", &url, "--offline", "--output", "json"];
        all.extend_from_slice(more);
        gateway.cli(&all)
    };
    let unknown = offline(&["--key-file", keys.to_str().unwrap()]);
    assert_eq!((code(&unknown), &answer(&unknown)["outcome"]), (3, &json!("undetermined")));
    let caller = offline(&["--as", "by=api_key,user=u-1,roles=SUPER_ADMIN,scopes=FULL"]);
    assert_eq!((code(&caller), &answer(&caller)["outcome"]), (0, &json!("permitted")));
    let caller = offline(&["--as", "by=api_key,user=u-1,roles=SUPER_ADMIN,scopes=READ"]);
    assert_eq!((code(&caller), &answer(&caller)["missing"]), (1, &json!("scope WRITE")));
}

#[test]
fn the_bytes_of_a_head_are_judged_as_they_are() {
    let Setting { gateway, upstream: _upstream, .. } = setting();
    for (head, reason) in [
        (
            "GET /open/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "framing",
        ),
        ("GET  /open/x HTTP/1.1\r\nHost: a\r\n\r\n", "framing"),
        ("GET /open/../x HTTP/1.1\r\nHost: a\r\n\r\n", "path_dots"),
        ("GET /open/x HTTP/1.1\r\n\r\n", "host"),
    ] {
        let file = gateway.places.dir.join("head");
        std::fs::write(&file, head).unwrap();
        let told = gateway.cli(&["explain", "--raw", file.to_str().unwrap(), "--output", "json"]);
        assert_eq!((code(&told), &answer(&told)["reason"]), (1, &json!(reason)), "{head}");
    }
}

#[test]
fn cases_are_all_run_and_a_difference_names_its_place() {
    let Setting { gateway, upstream: _upstream, .. } = setting();
    let file = gateway.places.dir.join("cases.toml");
    let good = "[[case]]\nname = \"anybody\"\nrequest = \"GET http://a/open/x\"\n\
                expect = { outcome = \"permitted\", route = \"open\", without = [\"x-auth-subject\"] }\n\
                [[case]]\nname = \"a reader may not write\"\nrequest = \"POST http://a/read/x\"\n\
                identity = { by = \"api_key\", roles = [\"SUPER_ADMIN\"], scopes = [\"READ\"] }\n\
                expect = { status = 403, reason = \"insufficient_scope\", missing = \"scope WRITE\" }\n\
                [[case]]\nname = \"a writer\"\nrequest = \"POST http://a/read/x\"\n\
                identity = { by = \"api_key\", user = \"u-1\", roles = [\"SUPER_ADMIN\"], scopes = [\"FULL\"] }\n\
                expect = { upstream = \"main\", headers = { X-Auth-Subject = \"u-1\" } }\n";
    let ask = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let config = gateway.config.to_str().unwrap();
        run(&["test", file.to_str().unwrap(), "--config", config])
    };
    let all_good = ask(good);
    assert_eq!(code(&all_good), 0, "{}", said(&all_good));
    assert!(said(&all_good).contains("3 cases, 0 differ"), "{}", said(&all_good));

    let bad = ask(&good.replace("scope WRITE", "scope READ").replace("u-1\" } }", "u-2\" } }"));
    let told = said(&bad);
    assert_eq!(code(&bad), 1, "{told}");
    for part in [
        "cases.toml:5: \"a reader may not write\": missing: expected scope READ, found scope WRITE",
        "\"a writer\": header X-Auth-Subject: expected u-2, found u-1",
        "3 cases, 2 differ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let unknown = ask(&good.replace("outcome =", "outcom ="));
    assert_eq!(code(&unknown), 1);
    assert!(said(&unknown).contains("outcom"), "{}", said(&unknown));
}

#[test]
fn the_example_cases_hold_for_the_example_configuration() {
    let output = run(&["test", "conf/policy-tests/cases.toml", "--config", "conf/portcullis.toml"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
}

#[test]
fn cases_need_no_file_but_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let text = r#"
        version = 1
        [[listener]]
        name = "public"
        address = "127.0.0.1:8443"
        tls = { certificates = [{ cert = "a.pem", key = "a.key" }], client_ca = "clients.pem" }
        [[realm]]
        name = "main"
        [[issuer]]
        name = "corp"
        issuer = "https://corp.example"
        audiences = ["api"]
        jwks_file = "corp.json"
        [[issuer]]
        name = "other"
        issuer = "https://other.example"
        audiences = ["api"]
        discovery = true
        ca = "other.pem"
        [[mount]]
        name = "api"
        dialect = "tmws"
        issuers = ["corp", "other"]
        [[upstream]]
        name = "main"
        backends = ["https://backend.example"]
        tls = { ca = "backend.pem", cert = "own.pem", key = "own.key" }
        [[route]]
        name = "all"
        mount = "api"
        match = { path = "/all/**" }
        authn = ["jwt"]
        authz = "authenticated"
        upstream = "main"
    "#;
    std::fs::write(&config, text).unwrap();
    let file = folder.path().join("cases.toml");
    let cases = "[[case]]\nname = \"anybody\"\nrequest = \"GET https://a/all/x\"\n\
                 identity = { by = \"jwt\", user = \"u-1\" }\nexpect = { upstream = \"main\" }\n";
    std::fs::write(&file, cases).unwrap();
    let output = run(&["test", file.to_str().unwrap(), "--config", config.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", said(&output));
}
