//! Which plane a file is for, and what of it is in force there.

use super::*;
use crate::model::Plane;

const FLEET: &str = include_str!("../../../conf/fleet.toml");

/// A machine on which the link's certificates are, and the secrets of these paths.
fn world(secrets: &[&str]) -> World {
    let made = rcgen::generate_simple_self_signed(["a.internal".to_owned()]).unwrap();
    let mut world = World::default();
    let mut put = |name: &str, text: String| {
        world.files.insert(format!("/etc/portcullis/{name}").into(), text);
    };
    put("link.pem", made.cert.pem());
    put("link-ca.pem", made.cert.pem());
    put("link.key", made.signing_key.serialize_pem());
    put("redis.password", "of redis".to_owned());
    put("redis-ca.pem", made.cert.pem());
    secrets.iter().for_each(|name| put(name, "-".repeat(40)));
    world
}

fn parsed(text: &str, sets: &[&str], secrets: &[&str]) -> Result<Config, Report> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    parse(Path::new(FILE), text, &sets, &world(secrets))
}

#[test]
fn an_edge_node_opens_no_secret_of_identity_and_has_no_store() {
    let config = parsed(FLEET, &["fleet.plane=edge"], &[]).unwrap();
    let boot = config.boot();
    assert_eq!(boot.plane, Plane::Edge);
    assert!(boot.database.is_none() && boot.master_keys.is_empty());
    let link = boot.link.unwrap();
    assert_eq!(link.nodes.len(), 2);
    assert!(!config.effective.contains("db.internal"), "{}", config.effective);
    // The same file on an identity node does.
    let report = parsed(FLEET, &["fleet.plane=identity"], &[]).unwrap_err().to_string();
    assert!(report.contains("store.password") && report.contains("master_keys"), "{report}");
    let secrets = ["database.password", "master.key"];
    let config = parsed(FLEET, &["fleet.plane=identity"], &secrets).unwrap();
    assert!(config.boot().database.is_some());
}

#[test]
fn what_makes_no_sense_on_a_plane_is_told_with_its_place_and_the_fix() {
    let secrets = ["database.password", "master.key"];
    let told = |plane: &str, change: (&str, &str)| {
        let text = FLEET.replace("# plane = \"all\"", &format!("plane = \"{plane}\""));
        assert!(text.contains(change.0), "{}", change.0);
        let text = text.replace(change.0, change.1);
        match parsed(&text, &[], &secrets) {
            Ok(_) => panic!("{plane}: {change:?} is taken"),
            Err(report) => report.to_string(),
        }
    };
    let same = ("[store]", "[store]");
    let said = told("edge", same);
    assert!(said.contains("store: a database on an edge node"), "{said}");
    assert!(said.contains("secrets.master_keys: master keys on an edge node"), "{said}");
    assert!(said.contains("link.listen: listen in a file for plane = \"edge\""), "{said}");
    assert!(said.contains("fix: remove [store]"), "{said}");
    let said = told("identity", same);
    assert!(said.contains("link.identity: identity in a file for plane"), "{said}");
    let said = told("egde", same);
    assert!(said.contains("unknown plane \"egde\"") && said.contains("\"edge\""), "{said}");
    for (change, expected) in [
        (("[\"DNS:edge-1.internal\"", "[\"edge-1.internal\""), "has no kind"),
        (("[\"identity-1.internal:9902\"", "[\"identity-1.internal\""), "the port is missing"),
        (("timeout = \"800ms\"", "timeout = \"1m\""), "link.timeout: out of range"),
        (("max_requests = 256", "max_requests = 1"), "link.max_requests: 1 is out of range"),
        (("cert = \"/etc", "cert = \"/none"), "link.cert"),
    ] {
        let said = told("all", change);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_plane_without_what_it_cannot_do_without_is_refused() {
    for (plane, expected) in
        [("edge", "link: missing key"), ("identity", "an identity node without a database")]
    {
        let said = read(MINIMAL, &[&format!("fleet.plane={plane}")]).unwrap_err().to_string();
        assert!(said.contains(expected), "{plane}: {said}");
    }
    assert_eq!(read(MINIMAL, &[]).unwrap().boot().plane, Plane::All);
}
