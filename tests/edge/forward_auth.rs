//! Forward-auth as a proxy asks it, byte for byte: what is believed, what is answered, and that the verdict is the one of
//! the listener whose routes decide. Real proxies are in `tests/security/fronts.rs`.

use std::{
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
};

use portcullis::pipeline::mutate::IdentityHeaders;
use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf, Table, quoted},
    gateway::Gateway,
    operate, ports,
    tmws::fresh_address,
    upstream::Upstream,
    wait,
    wire::{self, Reply},
};

mod believed;

/// A listed peer, beside 127.0.0.1.
const PEER: &str = "127.91.0.1";
const STYLES: [&str; 4] = ["nginx", "traefik", "caddy", "envoy"];

struct Asked {
    gateway: Gateway,
    upstream: Upstream,
    at: Vec<(&'static str, SocketAddr)>,
    key: String,
    /// Good from 203.0.113.7 only.
    bound_key: String,
}

fn asked() -> &'static Asked {
    static ASKED: OnceLock<Asked> = OnceLock::new();
    ASKED.get_or_init(|| {
        let upstream = Upstream::start();
        let address = upstream.address;
        let at: Vec<_> = STYLES.map(|style| (style, ports::free_address())).into();
        let gateway = Gateway::start(|places| {
            let conf = Conf::new(places)
                .upstream("main", &[address])
                .limit("narrow", r#"["client"]"#, r#"["3/h"]"#)
                .mount("cors", r#"{ origins = ["https://app.example.org"] }"#)
                .route(conf::open("open", "/open/**", "main"))
                .route(
                    conf::open("loose", "/loose/**", "main")
                        .with("allow", r#"["encoded_slash", "semicolon", "empty_segment"]"#),
                )
                .route(conf::closed("closed", "/closed/**", "main"))
                .route(
                    conf::closed("admin", "/admin/**", "main")
                        .with("authz", r#"{ roles = ["SUPER_ADMIN"] }"#),
                )
                .route(
                    conf::closed("scoped", "/scoped/**", "main")
                        .with("authz", r#"{ scopes = { "*" = "WRITE" } }"#),
                )
                .route(conf::open("socket", "/socket/**", "main").with("streaming", "true"))
                .route(conf::open("narrow", "/narrow/**", "main").with("limits", r#"["narrow"]"#))
                .route(
                    conf::open("get", "/get/**", "main")
                        .with("match", r#"{ path = "/get/**", methods = ["GET"] }"#),
                );
            at.iter().fold(conf, |conf, (style, at)| conf.table(listener(style, *at))).text()
        });
        operate::add_admin(&gateway);
        let key = operate::admin_key(&gateway, &["READ"]);
        let bound = json!({"allowed_ips": ["203.0.113.7"]});
        let bound_key = operate::add_key(&gateway, operate::ADMIN, &["FULL"], bound);
        Asked { gateway, upstream, at, key, bound_key }
    })
}

fn listener(style: &str, at: SocketAddr) -> Table {
    Table::new("forward_auth", style)
        .with("address", quoted(&at.to_string()))
        .with("style", quoted(style))
        .with("peers", r#"["127.0.0.1", "127.91.0.0/16"]"#)
}

impl Asked {
    fn at(&self, style: &str) -> SocketAddr {
        self.at.iter().find(|(own, _)| *own == style).expect("a style").1
    }
}

/// A question in the form of a style. `fields` are the client's own, each with its line end.
fn question(style: &str, method: &str, target: &str, client: &str, fields: &str) -> String {
    let host = "api.example.org";
    match style {
        "nginx" => format!(
            "GET /ask HTTP/1.1\r\nHost: asked\r\nX-Original-Method: {method}\r\nX-Original-URI: {target}\r\n\
             X-Original-Host: {host}\r\nX-Original-Proto: https\r\nX-Original-For: {client}\r\n{fields}\r\n"
        ),
        "envoy" => format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nx-forwarded-proto: https\r\n\
             x-forwarded-for: {client}\r\nx-request-id: envoys\r\n{fields}\r\n"
        ),
        "traefik" => format!(
            "GET /ask HTTP/1.1\r\nHost: asked\r\nUser-Agent: Go-http-client/1.1\r\nX-Forwarded-Method: {method}\r\n\
             X-Forwarded-Uri: {target}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Port: 443\r\nX-Forwarded-Server: edge-1\r\nX-Real-Ip: {client}\r\n\
             X-Forwarded-For: {client}\r\n{fields}\r\n"
        ),
        _ => format!(
            "GET /ask HTTP/1.1\r\nHost: asked\r\nVia: 1.1 Caddy\r\nX-Forwarded-Method: {method}\r\n\
             X-Forwarded-Uri: {target}\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-For: {client}\r\n{fields}\r\n"
        ),
    }
}

async fn ask(style: &str, method: &str, target: &str, fields: &str) -> Reply {
    ask_for(style, method, target, &client(), fields).await
}

async fn ask_for(style: &str, method: &str, target: &str, client: &str, fields: &str) -> Reply {
    send(style, &question(style, method, target, client, fields)).await
}

async fn send(style: &str, text: &str) -> Reply {
    let peer: IpAddr = PEER.parse().unwrap();
    let mut wire = wire::connect_from(asked().at(style), Some(peer)).await.unwrap();
    wire.send(text).await;
    if text.starts_with("HEAD ") { wire.head_reply().await } else { wire.reply().await }
}

/// An address that no other question has.
fn client() -> String {
    fresh_address().to_string()
}

/// The status of the verdict, however the style tells it.
fn status(reply: &Reply) -> u16 {
    reply.header("x-auth-status").map_or(reply.status, |status| status.parse().unwrap())
}

async fn line_of(reply: &Reply) -> Value {
    let id = reply.header("x-request-id").expect("an id").to_owned();
    wait::until("its access line", || async {
        let lines = asked().gateway.log().into_iter();
        lines.filter(|line| line["target"] == "access").find(|line| line["request_id"] == *id)
    })
    .await
}

// requirement: 18
#[tokio::test]
async fn the_verdict_is_that_of_the_listener_and_nothing_is_forwarded() {
    let (key, bearer) =
        (format!("X-API-Key: {}\r\n", asked().key), "Authorization: Bearer x.y.z\r\n");
    for style in STYLES {
        for (method, target, fields, wanted) in [
            ("GET", "/open/x?q=1", "", 200),
            ("POST", "/open/x", "Content-Type: application/json\r\n", 200),
            ("HEAD", "/open/x", "", 200),
            ("GET", "/closed/x", "", 401),
            ("GET", "/closed/x", bearer, 401),
            ("GET", "/closed/x", &*key, 200),
            ("DELETE", "/closed/x", &*key, 200),
            ("GET", "/admin/x", &*key, 200),
            ("GET", "/scoped/x", &*key, 403),
            ("GET", "/nowhere", "", 404),
            ("PUT", "/get/x", "", 405),
            ("TRACE", "/open/x", "", 405),
            ("GET", "/open/a%2Fb", "", 400),
            ("GET", "/loose/a%2Fb;c//d", "", 200),
            ("GET", "/open/%2e%2e/closed", "", 400),
        ] {
            let reply = ask(style, method, target, fields).await;
            assert_eq!(status(&reply), wanted, "{style} {method} {target} {fields}");
            let told = match (style, wanted) {
                ("nginx", 400 | 404 | 405) => 403,
                _ => wanted,
            };
            assert_eq!(reply.status, told, "{style} {method} {target}");
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge.is_some(), matches!(wanted, 401 | 403), "{style} {target}");
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert_eq!(reply.header("allow").is_some(), wanted == 405, "{style} {target}");
        }
    }
    asked().upstream.saw_nothing();
}

// requirement: 18
#[tokio::test]
async fn every_identity_header_is_in_the_answer_with_a_value_or_without() {
    // Those of `[identity_headers]`, of which this caller has all but three.
    let names = IdentityHeaders::default();
    let names: Vec<String> = names.all().into_iter().map(ToString::to_string).collect();
    const NONE: [&str; 3] = ["x-auth-tenant", "x-auth-issuer", "x-portcullis-assertion"];
    let key = format!("X-API-Key: {}\r\nX-Mine: 1\r\n", asked().key);
    for style in STYLES {
        let removed = |reply: &Reply| {
            let list = reply.header("x-envoy-auth-headers-to-remove").unwrap_or_default();
            list.split(',').map(str::to_owned).collect::<Vec<_>>()
        };
        let known = ask(style, "GET", "/closed/x", &key).await;
        let stranger = ask(style, "GET", "/open/x", &key).await;
        for name in names.iter().map(String::as_str) {
            let absent = NONE.contains(&name);
            for (reply, absent) in [(&known, absent), (&stranger, true)] {
                assert_eq!(reply.status, 200);
                let value = reply.header(name);
                if style == "envoy" {
                    assert_eq!(value.is_none(), absent, "{name}");
                    assert_eq!(removed(reply).iter().any(|own| own == name), absent, "{name}");
                } else {
                    assert_eq!(reply.all(name).len(), 1, "{style} {name}");
                    assert_eq!(value == Some(""), absent, "{style} {name}: {value:?}");
                }
            }
        }
        assert_eq!(known.header("x-auth-method"), Some("api_key"));
        if style == "envoy" {
            // What the gateway would strip, the credential among it; and nothing else.
            let list = removed(&known);
            assert!(list.contains(&"x-api-key".to_owned()), "{list:?}");
            assert!(
                !list.contains(&"x-mine".to_owned()) && !list.contains(&"x-request-id".to_owned())
            );
        }
        assert!(known.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    }
    let forged =
        "x_auth_subject: f\r\nX-Auth-Tenant: f\r\nX-Forwarded-User: f\r\nX.Auth.Roles: f\r\n";
    let reply = ask("envoy", "GET", "/open/x", forged).await;
    let list = reply.header("x-envoy-auth-headers-to-remove").unwrap();
    for name in ["x_auth_subject", "x-auth-tenant", "x-forwarded-user", "x.auth.roles"] {
        assert!(list.split(',').any(|own| own == name), "{name}: {list}");
    }
}

#[test]
fn the_files_for_proxies_copy_and_strip_every_identity_header() {
    let file = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/forward-auth");
        std::fs::read_to_string(path.join(name)).unwrap().to_ascii_lowercase()
    };
    let (nginx, strip) = (file("nginx.conf"), file("nginx-strip.conf"));
    let (caddy, envoy, traefik) = (file("Caddyfile"), file("envoy.yaml"), file("traefik.yaml"));
    let copied = caddy.lines().find(|line| line.contains("copy_headers")).unwrap();
    for name in IdentityHeaders::default().all().map(ToString::to_string) {
        let variable = format!("$upstream_http_{}", name.replace('-', "_"));
        assert!(nginx.contains(&variable), "nginx.conf does not ask for {name}");
        assert!(nginx.contains(&format!("proxy_set_header {name} ")), "nginx.conf: {name}");
        assert!(strip.contains(&format!("proxy_set_header {name} ")), "nginx-strip.conf: {name}");
        assert!(copied.split_whitespace().any(|own| own == name), "Caddyfile: {name}");
        let exact = format!("exact: \"{name}\"");
        assert!(name.starts_with("x-auth-") || envoy.contains(&exact), "envoy.yaml: {name}");
        assert!(traefik.contains(&format!("{name}: \"\"")), "traefik.yaml does not strip {name}");
        assert!(traefik.contains(&format!("- {name}\n")), "traefik.yaml does not copy {name}");
    }
}

/// A proxy that cannot be told what to remove would pass it on.
// requirement: 18
#[tokio::test]
async fn what_the_gateway_would_strip_and_the_proxy_would_not_refuses() {
    for style in ["nginx", "traefik", "caddy"] {
        for name in
            ["X-Auth-Subject", "x_auth_subject", "X-Auth-Admin", "Forwarded", "X-Rewrite-URL"]
        {
            let reply = ask(style, "GET", "/open/x", &format!("{name}: forged\r\n")).await;
            assert_eq!(status(&reply), 400, "{style} {name}");
            assert_eq!(line_of(&reply).await["reason"], "reserved_header", "{style} {name}");
        }
    }
}

// requirement: 20
#[tokio::test]
async fn a_path_that_is_not_spelt_as_it_is_judged_is_not_forwarded() {
    for style in STYLES {
        for target in ["/open/%61", "/loose/a%2fb", "/open/a|b", "//open/x", "/open/\"x\""] {
            let reply = ask(style, "GET", target, "").await;
            assert_eq!(status(&reply), 400, "{style} {target}");
            assert_eq!(line_of(&reply).await["reason"], "path_spelling", "{style} {target}");
        }
    }
}

// requirement: 19, 23
#[tokio::test]
async fn limits_failures_and_rules_of_keys_see_the_address_of_the_client() {
    let bound = format!("X-API-Key: {}\r\n", asked().bound_key);
    for style in STYLES {
        let (one, other) = (client(), client());
        for _ in 0..3 {
            assert_eq!(ask_for(style, "GET", "/narrow/x", &one, "").await.status, 200, "{style}");
        }
        let limited = ask_for(style, "GET", "/narrow/x", &one, "").await;
        assert_eq!(status(&limited), 429, "{style}");
        assert_eq!(limited.status, if style == "nginx" { 403 } else { 429 });
        assert!(limited.header("retry-after").is_some(), "{style}");
        assert_eq!(ask_for(style, "GET", "/narrow/x", &other, "").await.status, 200, "{style}");
        for (chain, wanted) in [
            ("203.0.113.7", 200),
            ("6.6.6.6, 203.0.113.7", 200),
            ("203.0.113.7, 6.6.6.6", 403),
            ("nonsense", 400),
            ("203.0.113.7, nonsense", 400),
        ] {
            let reply = ask_for(style, "GET", "/closed/x", chain, &bound).await;
            assert_eq!(status(&reply), wanted, "{style} {chain}");
        }
    }
}

#[tokio::test]
async fn a_proxy_keeps_its_connection_whatever_the_verdict() {
    for style in STYLES {
        let mut wire =
            wire::connect_from(asked().at(style), Some(PEER.parse().unwrap())).await.unwrap();
        for (target, wanted) in [
            ("/open/x", 200),
            ("/closed/x", 401),
            ("/open/%2e%2e/x", 400),
            ("/no", 404),
            ("/open/x", 200),
        ] {
            wire.send(question(style, "GET", target, &client(), "")).await;
            assert_eq!(status(&wire.reply().await), wanted, "{style} {target}");
        }
    }
}

/// A login goes to the gateway's own listener; a preflight is answered there as well, and any 2xx here would forward it.
#[tokio::test]
async fn what_the_gateway_answers_itself_may_not_be_forwarded() {
    let preflight = "Origin: https://app.example.org\r\nAccess-Control-Request-Method: GET\r\n";
    for style in STYLES {
        for (method, target, fields) in [
            ("POST", "/api/v1/auth/login", ""),
            ("OPTIONS", "/open/x", ""),
            ("OPTIONS", "/closed/x", preflight),
        ] {
            let reply = ask(style, method, target, fields).await;
            assert_eq!(status(&reply), 403, "{style} {method} {target}");
            assert_eq!(line_of(&reply).await["reason"], "answered_here");
        }
    }
}

#[tokio::test]
async fn an_upgrade_is_only_for_routes_that_take_one() {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for style in STYLES {
        assert_eq!(status(&ask(style, "GET", "/open/x", upgrade).await), 400, "{style}");
        assert_eq!(ask(style, "GET", "/socket/x", upgrade).await.status, 200, "{style}");
    }
}

// requirement: 16, 20
#[tokio::test]
async fn a_proxy_that_forwards_as_it_is_told_is_told_what_the_gateway_would_send() {
    let upstream = Upstream::start();
    let (address, at) = (upstream.address, ports::free_address());
    for style in ["nginx", "caddy", "envoy"] {
        let _gateway = Gateway::start(|places| {
            let told = listener(style, at).with("forwards", quoted("as_told"));
            Conf::new(places)
                .upstream("main", &[address])
                .route(conf::open("open", "/open/**", "main"))
                .route(
                    conf::open("bare", "/bare/**", "main").with("trailing_slash", quoted("strip")),
                )
                .route(conf::open("socket", "/socket/**", "main").with("streaming", "true"))
                .table(told)
                .text()
        });
        let ask = async |target: &str, fields: &str| {
            let mut wire = wire::connect_from(at, Some(PEER.parse().unwrap())).await.unwrap();
            wire.send(&question(style, "GET", target, &client(), fields)).await;
            wire.reply().await
        };
        for (target, told, path) in [
            ("/open/x?a=%2e&b", "/open/x?a=%2e&b", ""),
            ("/open/x?", "/open/x?", ""),
            ("/%6fpen/%41?%41", "/open/A?%41", "/open/A"),
            ("///open/$1%2b", "/open/$1%2B", "/open/$$1%2B"),
            ("/bare/x/", "/bare/x", "/bare/x"),
        ] {
            let reply = ask(target, "").await;
            assert_eq!(reply.status, 200, "{style} {target}");
            assert_eq!(reply.header("x-portcullis-target"), Some(told), "{style}");
            let wanted = (style == "caddy").then_some(path);
            assert_eq!(reply.header("x-portcullis-path"), wanted, "{style} {target}");
        }
        for target in ["/open/../closed", "/open/%2e%2e/x", "/open/%2fx", "/open/%252e", "*"] {
            let reply = ask(target, "").await;
            assert_eq!(status(&reply), 400, "{style} {target}");
            assert_eq!(reply.header("x-portcullis-target"), None, "{style} {target}");
        }
        let (websocket, other) = ("websocket", "h2c");
        for (target, protocol, told) in [
            ("/socket/x", websocket, websocket),
            ("/socket/x", other, ""),
            ("/open/x", websocket, ""),
        ] {
            let fields = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
            let reply = ask(target, &fields).await;
            assert_eq!(reply.status, 200, "{style} {target}");
            assert_eq!(reply.header("x-portcullis-upgrade"), Some(told), "{style} {target}");
        }
    }
}

// requirement: 25
#[tokio::test]
async fn what_envoy_may_have_joined_is_not_taken_for_one() {
    let two = "authorization: Bearer a,Bearer b\r\n";
    for fields in [two, "x-api-key: a,b\r\n", "content-type: a/b, c/d\r\n"] {
        let reply = ask("envoy", "GET", "/open/x", fields).await;
        assert_eq!(reply.status, 400, "{fields}");
        assert_eq!(line_of(&reply).await["reason"], "header", "{fields}");
    }
    let one = "content-type: a/b; c=\"d,e\"\r\n";
    assert_eq!(ask("envoy", "GET", "/open/x", one).await.status, 200);
    assert_eq!(ask("nginx", "GET", "/open/x", two).await.status, 200);
}

// requirement: 17
#[tokio::test]
async fn a_client_may_not_name_fields_in_its_connection_that_are_not_its_own() {
    for (style, field) in [
        ("nginx", "X-Original-Connection"),
        ("traefik", "X-Forwarded-Connection"),
        ("caddy", "X-Forwarded-Connection"),
        ("envoy", "X-Forwarded-Connection"),
    ] {
        for (value, wanted) in
            [("close", 200), ("X-Hop", 200), ("x-auth-roles", 400), ("Authorization", 400)]
        {
            let reply = ask(style, "GET", "/open/x", &format!("{field}: {value}\r\n")).await;
            assert_eq!(status(&reply), wanted, "{style} {value}");
        }
    }
}

#[tokio::test]
async fn a_question_is_written_down_as_the_request_it_is_about() {
    let key = format!("X-API-Key: {}\r\nUser-Agent: the client\r\n", asked().key);
    for style in STYLES {
        let from = client();
        let reply = ask_for(style, "DELETE", "/closed/x?secret=1", &from, &key).await;
        let line = line_of(&reply).await;
        for (name, value) in [
            ("asked_by", style),
            ("method", "DELETE"),
            ("path", "/closed/x"),
            ("host", "api.example.org"),
            ("client", &from),
            ("outcome", "permitted"),
            ("route", "closed"),
            ("auth", "api_key"),
        ] {
            assert_eq!(line[name], value, "{style}: {line}");
        }
        assert_eq!(line["status"], 200);
        assert!(line.get("upstream").is_none() && !line.to_string().contains("secret"), "{line}");
    }
    let refused = ask("nginx", "GET", "/nowhere", "").await;
    assert_eq!(line_of(&refused).await["status"], 404, "what it is, not how nginx is told");
    let metrics = asked().gateway.operator().get("/metrics").await.expect(200).text();
    for (style, outcome) in [("nginx", "refused"), ("envoy", "permitted")] {
        let name = "portcullis_forward_auth_answers_total";
        let series = format!(r#"{name}{{listener="{style}",outcome="{outcome}"}}"#);
        assert!(metrics.contains(&series), "{series}");
    }
}

#[tokio::test]
async fn a_listener_for_questions_changes_with_a_restart_only() {
    let upstream = Upstream::start();
    let (address, at) = (upstream.address, ports::free_address());
    let gateway = Gateway::start(|places| {
        let conf = Conf::new(places).upstream("main", &[address]);
        conf.route(conf::open("open", "/open/**", "main")).table(listener("nginx", at)).text()
    });
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, text.replace("127.91.0.0/16", "127.93.0.0/16")).unwrap();
    let output = gateway.cli(&["reload"]);
    let said = crate::support::gateway::said(&output);
    assert!(!output.status.success() && said.contains("forward_auth"), "{said}");
}
