use std::{sync::Arc, time::Duration};

use super::{
    proxying::public,
    support::{Edge, Upstream, plain},
};
use crate::pipeline::{Authn, CredentialKind, Limit, Per, Route, Window};

fn limit(per: Per, count: u32) -> Arc<Limit> {
    let window = Window { limit: count, per: Duration::from_secs(60) };
    Arc::new(Limit {
        name: "few".into(),
        per: vec![per],
        windows: vec![window],
        shadow: false,
        across: crate::pipeline::quota::Across::default(),
    })
}

#[test]
fn the_limit_is_shown_on_every_reply_and_then_refuses() {
    let upstream = Upstream::start(|_| {
        plain(200, "x").replace("Content-Length", "X-RateLimit-Limit: 9999\r\nContent-Length")
    });
    let few = public(|route: &mut Route| route.early_limits = vec![limit(Per::Client, 2)]);
    let edge = Edge::start(few, &[upstream.settings()]);
    for left in ["1", "0"] {
        let answer = edge.get("/x");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("x-ratelimit-limit"), Some("2"));
        assert_eq!(answer.field("x-ratelimit-remaining"), Some(left));
    }
    let answer = edge.get("/x");
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("rate_limited"));
    assert!((1..=60).contains(&answer.field("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(answer.field("x-ratelimit-remaining"), Some("0"));
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn guesses_are_charged_to_the_address_they_come_from() {
    let guarded = public(|route: &mut Route| {
        route.authn = Authn::Required(vec![CredentialKind::Jwt]);
        route.late_limits = vec![limit(Per::Credential, 2)];
    });
    let edge = Edge::start(guarded, &[]);
    let guess = "GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\n\r\n";
    let statuses: Vec<_> = (0..3).map(|_| edge.ask(guess).status).collect();
    assert_eq!(statuses, [401, 401, 429]);
}
