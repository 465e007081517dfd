use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::*;
use crate::{
    edge::{CacheSizes, ForwardAuth, ListenerSettings, ProxyProtocol, settings::Http2, testing},
    model::AuthMethod,
    pipeline::{
        Authn, Authz, CredentialKind,
        explain::Assumed,
        forward_auth::{Forwards, Style},
    },
};

fn listener_at(name: &str, port: u16) -> ListenerSettings {
    ListenerSettings {
        name: name.into(),
        address: ([127, 0, 0, 1], port).into(),
        proxy_protocol: ProxyProtocol::Off,
        tls: None,
        http2: false,
    }
}

fn question(head: &str) -> Question {
    Question {
        head: head.as_bytes().to_vec(),
        listener: None,
        port: None,
        server_name: None,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
        assumed: None,
    }
}

#[test]
fn the_listener_is_the_one_at_the_port_or_the_first_that_fits() {
    let front = ForwardAuth {
        listener: listener_at("asked", 8090),
        judged_as: "public".into(),
        style: Style::Nginx,
        forwards: Forwards::AsSent,
        names: Style::Nginx.names(),
        peers: Vec::new(),
    };
    let settings = Settings {
        listeners: vec![listener_at("public", 8080), listener_at("inside", 8081)],
        forward_auth: vec![Arc::new(front)],
        ..settings()
    };
    let found = |question: &Question| {
        super::door(&settings, question).map(|door| door.listener().name.to_string())
    };
    let asked = question("");
    assert_eq!(found(&asked).as_deref(), Some("public"));
    assert_eq!(found(&Question { port: Some(8081), ..asked.clone() }).as_deref(), Some("inside"));
    let named = Question { listener: Some("inside".into()), port: Some(8080), ..asked.clone() };
    assert_eq!(found(&named).as_deref(), Some("inside"));
    assert_eq!(found(&Question { port: Some(8090), ..asked.clone() }).as_deref(), Some("asked"));
    assert_eq!(found(&Question { listener: Some("none".into()), ..asked }), None);
}

fn settings() -> Settings {
    Settings {
        listeners: vec![listener_at("public", 80)],
        forward_auth: Vec::new(),
        threads: 1,
        identity_socket: "/nonexistent/identity.sock".into(),
        grace_period: Duration::ZERO,
        upstream_keepalive_pool: 1,
        limits: Arc::default(),
        http2: Http2::default(),
        caches: CacheSizes::default(),
    }
}

fn explainer() -> Explainer {
    let mount = Arc::new(testing::mount("api"));
    let open = testing::route("open", &mount);
    let closed = crate::pipeline::Route {
        authn: Authn::Required(vec![CredentialKind::ApiKey]),
        authz: Authz::Authenticated,
        ..testing::route("closed", &mount)
    };
    let routes = testing::table(vec![("/open", vec![], open), ("/closed", vec![], closed)]);
    let snapshot = testing::snapshot_of(routes, vec![mount]);
    Explainer::offline(settings(), Arc::new(snapshot), Metrics::new().unwrap()).unwrap()
}

fn verdict(told: &Explanation) -> (&str, &str, &str, &str) {
    let last = told.stages.last().map_or("", |stage| stage.stage);
    (told.outcome, told.reason, &told.route, last)
}

#[tokio::test]
async fn each_stage_is_told_up_to_the_one_that_ends_the_way() {
    let explainer = explainer();
    for (head, expected) in [
        ("GET /open HTTP/1.1\r\nHost: a\r\n\r\n", ("permitted", "ok", "open", "patch")),
        (
            "GET /closed HTTP/1.1\r\nHost: a\r\n\r\n",
            ("refused", "credential_missing", "closed", "credential"),
        ),
        ("GET /none HTTP/1.1\r\nHost: a\r\n\r\n", ("refused", "no_route", "", "route")),
        ("GET /open/../x HTTP/1.1\r\nHost: a\r\n\r\n", ("refused", "path_dots", "", "view")),
        ("GET  /open HTTP/1.1\r\nHost: a\r\n\r\n", ("refused", "framing", "", "view")),
        ("GET /open HTTP/1.1\r\n\r\n", ("refused", "host", "", "view")),
        ("GET /open HTTP/1.1\r\nHost: a\r\n", ("refused", "framing", "", "view")),
        ("nonsense\r\n\r\n", ("refused", "framing", "", "view")),
    ] {
        let told = explainer.explain(&question(head)).await;
        assert_eq!(verdict(&told), expected, "{head}");
    }
}

#[tokio::test]
async fn an_assumed_caller_takes_the_place_of_a_credential() {
    let explainer = explainer();
    let caller = |method| Assumed {
        method,
        subject: "u1".into(),
        username: None,
        tenant: None,
        roles: vec!["USER".into()],
        scopes: None,
        capabilities: vec![],
    };
    let head = "GET /closed?q=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let asked = |method| Question { assumed: Some(caller(method)), ..question(head) };
    let told = explainer.explain(&asked(AuthMethod::ApiKey)).await;
    assert_eq!(verdict(&told), ("permitted", "ok", "closed", "patch"));
    let sent = told.upstream.unwrap();
    assert_eq!((sent.to.as_str(), sent.path.as_str()), ("up", "/closed?q=1"));
    assert!(sent.set.contains(&("x-auth-subject".into(), "u1".into())), "{sent:?}");
    let told = explainer.explain(&asked(AuthMethod::Session)).await;
    assert_eq!(verdict(&told), ("refused", "credential_missing", "closed", "credential"));
}
