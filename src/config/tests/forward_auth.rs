//! Listeners at which other proxies ask.

use super::*;
use crate::pipeline::forward_auth::Style;

/// A file with one of them, in which these lines stand in place of those with the same key.
fn with(lines: &str) -> Result<Config, Report> {
    let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let ours = "address = \"127.0.0.1:8010\"\nstyle = \"nginx\"\npeers = [\"127.0.0.1\"]";
    let first = lines.split("[[").next().unwrap_or_default();
    let said: Vec<String> = first.lines().map(key).collect();
    let kept: Vec<&str> = ours.lines().filter(|line| !said.contains(&key(line))).collect();
    let kept = kept.join("\n");
    read(&format!("{HEAD}[[forward_auth]]\nname = \"asked\"\n{kept}\n{lines}\n"), &[])
}

#[test]
fn a_short_one_has_the_names_of_its_style_and_the_only_listener() {
    for (style, is) in [
        ("nginx", Style::Nginx),
        ("traefik", Style::Traefik),
        ("caddy", Style::Caddy),
        ("envoy", Style::Envoy),
    ] {
        let config = with(&format!("style = \"{style}\"")).unwrap();
        let [front] = config.blueprint.forward_auth.as_slice() else { panic!("{style}") };
        assert_eq!((front.style, &front.names, &*front.judged_as), (is, &is.names(), "public"));
        assert!(front.believes("127.0.0.1".parse().unwrap()));
        assert!(front.believes("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!front.believes("127.0.0.2".parse().unwrap()));
        assert_eq!(read(&config.effective, &[]).unwrap().effective, config.effective, "{style}");
    }
    let config = with("fields = { client = \"x-told\" }").unwrap();
    assert_eq!(config.blueprint.forward_auth[0].names.client, "x-told");
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (lines, place, what) in [
        ("style = \"apache\"", "style", "bad style \"apache\""),
        ("style = \"caddy\"\nforwards = \"it\"", "forwards", "bad value \"it\""),
        (
            "style = \"traefik\"\nforwards = \"as_told\"",
            "forwards",
            "\"as_told\" in style \"traefik\"",
        ),
        ("peers = []", "peers", "an empty list"),
        ("listener = \"other\"", "listener", "no listener \"other\""),
        ("address = \"127.0.0.1:8000\"", "address", "address 127.0.0.1:8000 is taken"),
        ("address = \"127.0.0.1:0\"", "address", "port 0"),
        ("fields = { host = \"host\" }", "fields.host", "bad field \"host\""),
        (
            "fields = { client = \"x-original-host\" }",
            "fields.client",
            "field \"x-original-host\" stands twice",
        ),
        ("style = \"envoy\"\nfields = { uri = \"x-uri\" }", "fields.uri", "uri in style \"envoy\""),
        ("fields = { port = \"x-port\" }", "fields.port", "unknown key \"port\""),
        ("pears = []", "pears", "unknown key \"pears\""),
    ] {
        let report = with(lines).unwrap_err();
        let key = format!("forward_auth.asked.{place}");
        let told = report.problems.iter().any(|problem| problem.key == key && problem.what == what);
        assert!(told, "{lines}: {report}");
    }
    let twice = "[[forward_auth]]\nname = \"public\"\naddress = \"127.0.0.1:8010\"\nstyle = \"caddy\"\npeers = [\"::1\"]";
    let report = with(twice).unwrap_err();
    let told: Vec<&str> = report.problems.iter().map(|problem| &*problem.what).collect();
    assert_eq!(told, ["the name \"public\" is taken", "address 127.0.0.1:8010 is taken"]);
}

#[test]
fn check_names_those_at_which_anybody_may_ask_and_whose_wire_can_be_read() {
    let findings = with("address = \"0.0.0.0:8010\"\npeers = [\"0.0.0.0/0\"]").unwrap().findings();
    let keys: Vec<(&str, &str)> =
        findings.relaxations.iter().map(|finding| (finding.id, &*finding.key)).collect();
    assert!(keys.contains(&("R-ASK-ALL", "forward_auth.asked.peers")), "{keys:?}");
    assert!(keys.contains(&("R-PLAIN-HTTP", "forward_auth.asked.address")), "{keys:?}");
}
