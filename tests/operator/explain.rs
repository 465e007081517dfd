//! `explain` and `test`: why a request is refused, told before and after it was.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf, Table, quoted},
    gateway::{Gateway, run, said},
    operate, ports,
    signer::{Signer, claims, jwks},
    tls::{Authority, Pair},
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

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn answer(output: &Output) -> Value {
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

/// A gateway that believes two issuers, asks clients for certificates, and is asked by a proxy.
fn believing(corp: &Signer, authority: &Authority) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let (set, server) = (jwks(&[corp]).to_string(), authority.server(&["a.example"]));
    let gateway = Gateway::start(|places| {
        std::fs::write(places.dir.join("corp.json"), &set).unwrap();
        let (cert, key) = server.write(&places.dir, "server");
        let clients = authority.write(&places.dir, "clients.pem");
        let tls = format!(
            "{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}], client_ca = {clients:?} }}"
        );
        let issuer = |name: &str| {
            Table::new("issuer", name)
                .with("issuer", quoted(&format!("https://{name}.example")))
                .with("audiences", r#"["api"]"#)
        };
        Conf::new(places)
            .listener("tls", tls)
            .table(issuer("corp").with("jwks_file", quoted("corp.json")))
            // Nobody is there.
            .table(issuer("far").with("jwks_url", quoted("http://127.0.0.1:9/keys")))
            .mount("issuers", r#"["corp", "far"]"#)
            .mount(
                "client_cert",
                r#"[{ name = "robot", match = ["CN:robot"], roles = ["ADMIN"] }]"#,
            )
            .upstream("main", &[upstream.address])
            .route(conf::closed("closed", "/closed/**", "main"))
            .route(
                conf::closed("certified", "/certified/**", "main")
                    .with("authn", r#"["client_cert"]"#),
            )
            .table(
                Table::new("forward_auth", "asked")
                    .with("address", quoted(&ports::free_address().to_string()))
                    .with("style", quoted("nginx"))
                    .with("peers", r#"["127.0.0.1"]"#),
            )
            .text()
    });
    (gateway, upstream)
}

#[test]
fn a_token_from_outside_is_judged_where_its_keys_are_known_and_undetermined_elsewhere() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let file = gateway.places.dir.join("a.token");
    let ask = |token: &str, more: &[&str]| {
        std::fs::write(&file, token).unwrap();
        let mut all = vec!["explain", "GET", "https://a.example/closed/x", "--output", "json"];
        all.extend(["--token-file", file.to_str().unwrap()]);
        all.extend_from_slice(more);
        let output = gateway.cli(&all);
        (code(&output), answer(&output))
    };
    let of = |name: &str| corp.sign(&claims(&format!("https://{name}.example"), "api", "ada"));
    let forged = Signer::curve("c", "ES256").sign(&claims("https://corp.example", "api", "ada"));
    for more in [&[][..], &["--offline"]] {
        assert_eq!(ask(&of("corp"), more).0, 0, "{more:?}");
        let (exit, told) = ask(&forged, more);
        assert_eq!((exit, &told["reason"]), (1, &json!("token_invalid")), "{more:?}");
    }
    // Only the issuer knows, and nobody asks it for a question: that is no verdict of a gateway.
    for more in [&[][..], &["--offline"]] {
        let (exit, told) = ask(&of("far"), more);
        assert_eq!((exit, &told["reason"]), (3, &json!("undetermined")), "{told}");
        assert!(told["status"].is_null(), "{told}");
        assert!(told["meaning"].as_str().unwrap().contains("its issuer"), "{told}");
    }
    // A login of our own: its keys are in the store.
    let (exit, told) = ask(&of("nobody"), &["--offline"]);
    assert_eq!((exit, &told["reason"]), (3, &json!("undetermined")), "{told}");
}

#[test]
fn a_certificate_is_asked_about_where_the_listener_asks_for_one() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let ask = |pair: Option<Pair>, url: &str| {
        let mut all = vec!["explain", "GET", url, "--output", "json", "--listener", "public"];
        let file = pair.map(|pair| pair.write(&gateway.places.dir, "client").0);
        let file = file.map(|file| file.to_str().unwrap().to_owned());
        all.extend(file.iter().flat_map(|file| ["--certificate", file]));
        answer(&gateway.cli(&all))
    };
    let url = "https://a.example/certified/x";
    let robot = || authority.client("robot", "spiffe://test/robot");
    let told = ask(Some(robot()), url);
    assert_eq!(told["outcome"], "permitted", "{told}");
    let set = told["upstream"]["set"].as_array().unwrap();
    assert!(set.contains(&json!(["x-auth-subject", "service:robot"])), "{told}");
    let stranger = authority.client("stranger", "spiffe://test/stranger");
    assert_eq!(ask(Some(stranger), url)["reason"], "certificate_unknown");
    assert_eq!(ask(None, url)["reason"], "credential_missing");
    let output = gateway.cli(&["explain", "GET", url, "--certificate", "Cargo.toml"]);
    assert_eq!(code(&output), 2, "{}", said(&output));
}

#[test]
fn a_question_of_a_proxy_is_explained_as_the_request_it_is_about() {
    let (corp, authority) = (Signer::curve("c", "ES256"), Authority::new());
    let (gateway, _upstream) = believing(&corp, &authority);
    let bearer = format!(
        "Authorization: Bearer {}",
        corp.sign(&claims("https://corp.example", "api", "ada"))
    );
    let facts = [
        "X-Original-Method: GET",
        "X-Original-URI: /closed/x",
        "X-Original-Host: a.example",
        "X-Original-Proto: https",
        "X-Original-For: 192.0.2.7",
    ];
    let ask = |fields: &[&str], client: &str| {
        let mut all = vec!["explain", "GET", "http://asked/", "--listener", "asked"];
        all.extend(["--output", "json", "--client", client]);
        all.extend(fields.iter().flat_map(|field| ["--header", *field]));
        let output = gateway.cli(&all);
        (code(&output), answer(&output))
    };
    let (exit, told) = ask(&[&facts[..], &[&bearer]].concat(), "127.0.0.1");
    assert_eq!((exit, &told["route"]), (0, &json!("closed")), "{told}");
    assert_eq!(told["upstream"]["path"], "/closed/x");
    let (exit, told) = ask(&facts, "127.0.0.1");
    assert_eq!(
        (exit, &told["reason"], &told["status"]),
        (1, &json!("credential_missing"), &json!(401))
    );
    let (exit, told) = ask(&facts[1..], "127.0.0.1");
    assert_eq!((exit, &told["reason"]), (1, &json!("forward_auth_question")), "{told}");
    // Nobody else is believed, or even heard.
    let (exit, told) = ask(&facts, "192.0.2.1");
    assert_eq!((exit, &told["reason"]), (1, &json!("connection_closed")), "{told}");
    assert!(told["status"].is_null(), "{told}");
}
