//! The trailing slash: alike for the client, as the route says for the upstream, never a redirect.

use crate::{
    bench::{bench, mark, request},
    support::{
        conf::{self, Conf},
        gateway::Gateway,
        upstream::{Answer, Upstream},
        wire,
    },
};

#[tokio::test]
async fn the_route_says_which_form_the_upstream_gets() {
    let bench = bench();
    for (route, sent, wanted) in [
        ("add", "", "/"),
        ("add", "/", "/"),
        ("strip", "", ""),
        ("strip", "/", ""),
        ("open", "", ""),
        ("open", "/", "/"),
    ] {
        let mark = mark();
        let path = format!("/{route}/{mark}{sent}?q=1/");
        let reply = bench.exchange(request("GET", &path, "")).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(bench.only(&mark).target(), format!("/{route}/{mark}{wanted}?q=1/"));
    }
}

#[tokio::test]
async fn an_upstreams_slash_redirect_never_reaches_a_client() {
    // Like FastAPI: 307 from one form to the other.
    let upstream = Upstream::with(|request| {
        let target = request.target();
        if target.ends_with('/') {
            return Answer::ok();
        }
        let host = request.field("host").unwrap_or_default();
        let location = format!("http://{host}{target}/");
        Answer::new(307, &[("Location", &location)], "")
    });
    let address = upstream.address;
    let gateway = Gateway::start(|places| {
        Conf::new(places)
            .upstream("main", &[address])
            .route(conf::open("tasks", "/tasks/**", "main").with("trailing_slash", r#""add""#))
            .text()
    });
    for path in ["/tasks", "/tasks/", "//tasks", "/tasks/one"] {
        for method in ["GET", "POST"] {
            let host = gateway.address();
            let text =
                format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
            let reply = wire::exchange(host, text).await;
            assert_eq!(reply.status, 200, "{method} {path}");
            assert!(reply.header("location").is_none());
        }
    }
}
