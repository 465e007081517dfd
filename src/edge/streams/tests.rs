use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    edge::ClientLimits,
    model::AuthMethod,
    pipeline::{Deny, deny::TokenFault},
    telemetry::Metrics,
};

fn who(subject: &str) -> Arc<Principal> {
    Arc::new(Principal {
        subject: subject.into(),
        username: None,
        email: None,
        realm: "main".into(),
        mount: "api".into(),
        tenant: None,
        method: AuthMethod::Jwt,
        roles: Vec::new(),
        scopes: None,
        session: None,
        token: None,
        key: None,
        agent: None,
        allowed_ips: Vec::new(),
        rate_limit_per_hour: None,
        expires_at: None,
        issuer: None,
        bound: None,
    })
}

fn conn() -> Arc<Conn> {
    let (limits, metrics) = (Arc::new(ClientLimits::default()), Metrics::new().unwrap());
    let peer = "192.0.2.7:1".parse().unwrap();
    let conn =
        Conn::new(peer, "public".into(), limits, metrics, None, None, Duration::from_secs(1));
    conn.begin(false);
    conn
}

fn open(conn: &Arc<Conn>, subject: &str, until: Option<i64>) -> Open {
    Open {
        conn: Arc::clone(conn),
        request: conn.opens(),
        who: who(subject),
        address: "192.0.2.7".parse().unwrap(),
        until: until.map(Timestamp),
        leniency: Duration::ZERO,
    }
}

fn picked(streams: &Streams, now: i64, subject: &str) -> Vec<String> {
    let wanted = |who: &Principal| who.subject.as_str() == subject;
    let (found, _) = streams.pick(Timestamp(now), Instant::now(), wanted);
    let mut names: Vec<_> =
        found.iter().map(|found| found.open.who.subject.as_str().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn whom_the_news_concern_and_who_is_over_is_picked_and_nobody_else() {
    let streams = Streams::new();
    let conns: Vec<_> = (0..4).map(|_| conn()).collect();
    for (conn, (subject, until)) in
        conns.iter().zip([("ada", None), ("bob", Some(50)), ("cid", Some(150)), ("dan", None)])
    {
        streams.enter(open(conn, subject, until), Instant::now(), streams.age());
    }
    assert_eq!(picked(&streams, 10, "nobody"), Vec::<String>::new());
    assert_eq!(picked(&streams, 49, "ada"), ["ada"]);
    assert_eq!(picked(&streams, 50, "ada"), ["ada", "bob"]);
    assert_eq!(picked(&streams, 150, "nobody"), ["bob", "cid"]);
}

#[test]
fn what_was_decided_before_the_news_and_entered_behind_them_is_looked_at_once_more() {
    let streams = Streams::new();
    let (early, conn) = (streams.age(), conn());
    streams.grow_older();
    assert_eq!(picked(&streams, 0, "ada"), Vec::<String>::new(), "not there yet");
    streams.enter(open(&conn, "ada", None), Instant::now(), early);
    assert_eq!(picked(&streams, 0, "nobody"), ["ada"]);
    assert_eq!(picked(&streams, 0, "nobody"), Vec::<String>::new(), "once");
}

#[test]
fn an_end_that_comes_too_late_does_not_touch_the_next_request() {
    let (streams, conn) = (Streams::new(), conn());
    let first = open(&conn, "ada", None);
    let slot = streams.enter(first.clone(), Instant::now(), streams.age());
    streams.leave(slot);
    const DENY: Deny = Deny::Token(TokenFault::Revoked);
    conn.end_request(first.request, DENY);
    assert!(!conn.is_ended(), "it was over");
    conn.idle();
    conn.begin(false);
    let second = open(&conn, "bob", None);
    conn.end_request(first.request, DENY);
    assert!(!conn.is_ended(), "it is another one");
    conn.end_request(second.request, DENY);
    assert_eq!(conn.ended(), Some(DENY));
    let slot = streams.enter(second, Instant::now(), streams.age());
    streams.leave(slot);
    assert_eq!(conn.ended(), None);
}

#[test]
fn long_ones_are_counted_by_kind_and_short_ones_are_not() {
    let streams = Streams::new();
    let conns: Vec<_> = (0..4).map(|_| conn()).collect();
    let slots: Vec<_> = conns
        .iter()
        .map(|conn| streams.enter(open(conn, "ada", None), Instant::now(), streams.age()))
        .collect();
    streams.becomes(slots[0], StreamKind::WebSocket);
    streams.becomes(slots[1], StreamKind::Events);
    let count = |moment| streams.pick(Timestamp(0), moment, |_| false).1;
    let mut wanted = OpenStreams::default();
    [StreamKind::WebSocket, StreamKind::Events].iter().for_each(|kind| wanted.count(*kind));
    assert_eq!(count(Instant::now()), wanted);
    [StreamKind::Transfer; 2].iter().for_each(|kind| wanted.count(*kind));
    assert_eq!(count(Instant::now() + LONG), wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_left_of_those_that_are_gone(
        steps in prop::collection::vec((any::<bool>(), 0_usize..64), 0..600),
    ) {
        let streams = Streams::new();
        let conns: Vec<_> = (0..8).map(|_| conn()).collect();
        let mut there: Vec<(Slot, String)> = Vec::new();
        for (number, (comes, at)) in steps.into_iter().enumerate() {
            if comes || there.is_empty() {
                let name = format!("u{number}");
                let entry = open(&conns[at % conns.len()], &name, Some(0));
                there.push((streams.enter(entry, Instant::now(), 0), name));
            } else {
                let (slot, _) = there.swap_remove(at % there.len());
                streams.leave(slot);
            }
            // Whatever has gone, the places of the others are their own still.
            let mut names: Vec<_> = there.iter().map(|(_, name)| name.clone()).collect();
            names.sort();
            if number % 16 == 0 {
                prop_assert_eq!(picked(&streams, 0, "nobody"), names);
            }
        }
        for (slot, _) in there {
            streams.leave(slot);
        }
        prop_assert_eq!(picked(&streams, 0, "nobody"), Vec::<String>::new());
        for shard in 0..SHARDS {
            let entries = streams.shard(shard);
            prop_assert!(entries.is_empty() && entries.capacity() <= ROOM);
        }
        prop_assert!(conns.iter().all(|conn| Arc::strong_count(conn) == 1), "nothing holds on");
    }
}
