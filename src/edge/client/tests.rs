use std::collections::HashSet;

use http::HeaderValue;

use super::*;
use crate::{edge::testing, model::SystemRandom};

fn read(trusted: &[&str], peer: &str, headers: &[(&'static str, &str)]) -> Caller {
    let mut snapshot = testing::snapshot();
    snapshot.trusted_proxies = trusted.iter().map(|net| net.parse().unwrap()).collect();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Caller::read(&snapshot, peer.parse().unwrap(), false, &map, &RequestIds::new(&SystemRandom))
}

fn address(trusted: &[&str], peer: &str, chain: &[&str]) -> String {
    let headers: Vec<_> = chain.iter().map(|value| ("x-forwarded-for", *value)).collect();
    read(trusted, peer, &headers).facts.address.to_string()
}

#[test]
fn an_unlisted_peer_is_the_client_whatever_it_says() {
    assert_eq!(address(&[], "192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
    assert_eq!(address(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
}

#[test]
fn the_chain_is_walked_from_the_right_past_listed_hops() {
    let listed = &["10.0.0.0/8"][..];
    assert_eq!(address(listed, "10.0.0.1", &["203.0.113.66, 198.51.100.9"]), "198.51.100.9");
    assert_eq!(
        address(listed, "10.0.0.1", &["203.0.113.66, 198.51.100.9, 10.1.1.1"]),
        "198.51.100.9"
    );
    assert_eq!(address(listed, "10.0.0.1", &["203.0.113.66", "198.51.100.9"]), "198.51.100.9");
    assert_eq!(address(listed, "10.0.0.1", &["10.2.2.2, 10.1.1.1"]), "10.2.2.2");
    assert_eq!(address(listed, "10.0.0.1", &[]), "10.0.0.1");
}

#[test]
fn an_unreadable_hop_ends_the_walk() {
    let listed = &["10.0.0.0/8"][..];
    assert_eq!(address(listed, "10.0.0.1", &["198.51.100.9, nonsense, 10.1.1.1"]), "10.1.1.1");
    assert_eq!(address(listed, "10.0.0.1", &["198.51.100.9, nonsense"]), "10.0.0.1");
}

#[test]
fn mapped_addresses_are_folded() {
    assert_eq!(address(&[], "::ffff:192.0.2.1", &[]), "192.0.2.1");
    assert_eq!(
        address(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["::ffff:198.51.100.9"]),
        "198.51.100.9"
    );
}

#[test]
fn a_request_id_is_kept_only_from_a_listed_peer_and_only_if_sane() {
    let id = |trusted: &[&str], value: &str| {
        read(trusted, "10.0.0.1", &[("x-request-id", value)]).facts.request_id
    };
    assert_eq!(id(&["10.0.0.0/8"], "abc-1.2_3"), "abc-1.2_3");
    for (trusted, value) in [
        (&[][..], "abc"),
        (&["10.0.0.0/8"][..], "a b"),
        (&["10.0.0.0/8"][..], ""),
        (&["10.0.0.0/8"][..], "a\"}"),
        (&["10.0.0.0/8"][..], &"a".repeat(129)),
    ] {
        let made = id(trusted, value);
        assert!(made.starts_with("req_") && made.len() == 36, "{value}: {made}");
    }
}

#[test]
fn scheme_and_host_are_believed_only_from_a_listed_peer() {
    let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "api.example.org")];
    let outside = read(&[], "10.0.0.1", &headers);
    assert_eq!((outside.scheme, outside.forwarded_host), ("http", None));
    let listed = read(&["10.0.0.0/8"], "10.0.0.1", &headers);
    assert_eq!(
        (listed.scheme, listed.forwarded_host.as_deref()),
        ("https", Some("api.example.org"))
    );
}

#[test]
fn a_user_agent_is_cut_and_has_no_control_characters() {
    let agent = read(&[], "10.0.0.1", &[("user-agent", &format!("a\tb{}", "c".repeat(400)))]);
    let agent = agent.facts.user_agent.unwrap();
    assert_eq!(agent.len(), 256);
    assert!(agent.starts_with("abc"));
}

#[test]
fn made_request_ids_do_not_repeat() {
    let ids = RequestIds::new(&SystemRandom);
    let seen: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
    assert_eq!(seen.len(), 1000);
}
