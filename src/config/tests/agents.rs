//! Agents and webhooks of a mount, and routes that ask agents for capabilities.

use super::*;
use crate::pipeline::authz::RouteRule;

const ARCHON: &str = r#"version = 1
[[upstream]]
name = "app"
backends = ["http://127.0.0.1:9000"]
[[mount]]
name = "archon"
dialect = "archon"
"#;

const TYPES: &str = r#"webhooks = { keep_trying = "1h", allow_private = true }
[mount.agents]
token_lifetime = "10m"
runs = { guest = ["sweeper"], user = [] }
bounds = { guest = ["floor:sweep"] }
[[mount.agents.types]]
type = "sweeper"
capabilities = ["floor:sweep", "floor:wax"]
restrictions = { rooms = ["hall"], most = 3, deep = { really = true } }
context = [{ key = "room", values = ["hall", "attic/*"], required = true }]
"#;

fn route(authn: &str, authz: &str) -> String {
    format!(
        "[[route]]\nname = \"r\"\nmatch = {{ path = \"/floor/**\" }}\nauthn = {authn}\n{authz}\nlimits = []\n"
    )
}

#[test]
fn the_operators_types_stand_beside_the_contracts_and_come_back_from_the_effective_file() {
    let rule = "authz = { capabilities = { GET = \"floor:sweep\", \"*\" = \"floor:wax\" } }";
    let text = format!("{ARCHON}{TYPES}{}", route("[\"jwt\", \"agent\"]", rule));
    let config = read(&text, &[]).unwrap();
    let mount = &config.blueprint.mounts.first().unwrap().is;
    let agents = mount.agents.as_ref().unwrap();
    assert_eq!(agents.lifetime.as_secs(), 600);
    let asked = ["floor:wax".to_owned(), "floor:sweep".to_owned()];
    let room = serde_json::json!({ "room": "attic/north" });
    let grant = |role: &str, context: &serde_json::Value| {
        let context = context.as_object().unwrap();
        agents.policy.grant(&[role.to_owned()], "sweeper", &asked, context)
    };
    let granted = grant("guest", &room).unwrap();
    assert_eq!(
        (granted.granted, granted.denied),
        (vec!["floor:sweep".into()], vec!["floor:wax".into()])
    );
    let told = serde_json::json!({ "rooms": ["hall"], "most": 3, "deep": { "really": true } });
    assert_eq!(serde_json::Value::Object(granted.restrictions), told);
    assert!(grant("guest", &serde_json::json!({})).unwrap().granted.is_empty());
    assert_eq!(grant("user", &room), None, "the row was replaced");
    assert!(
        agents.policy.kinds().any(|kind| kind == "code_implementer"),
        "the contract's own stay"
    );
    let webhooks = mount.webhooks.as_ref().unwrap();
    assert!(webhooks.allow_private && webhooks.keep_trying.as_secs() == 3600);
    let route = &config.blueprint.routes.first().unwrap().is;
    let Authz::Rule(RouteRule { capabilities, .. }) = &route.authz else { panic!("a rule") };
    assert_eq!(capabilities.len(), 2);
    let again = parse(Path::new(FILE), &config.effective, &[], &World::default());
    assert_eq!(again.unwrap().effective, config.effective);
    let ids: Vec<_> = config.findings().relaxations.iter().map(|found| found.id).collect();
    assert!(ids.contains(&"R-WEBHOOK-PRIVATE"), "{ids:?}");
}

#[test]
fn what_could_never_be_permitted_is_a_fault() {
    for (text, told) in [
        (route("[\"agent\"]", ""), "agents without capabilities"),
        (
            route("[\"jwt\"]", "authz = { capabilities = { \"*\" = \"file:read\" } }"),
            "capabilities without agents",
        ),
        (
            route("[\"agent\"]", "authz = { capabilities = { \"*\" = \"file:red\" } }"),
            "unknown capability \"file:red\"",
        ),
        (
            "agents = false\n".to_owned() + &route("[\"agent\"]", "authz = \"authenticated\""),
            "agent on mount \"archon\"",
        ),
        (
            "agents = { runs = { user = [\"nobody\"] } }\n".to_owned(),
            "unknown agent type \"nobody\"",
        ),
        ("agents = { token_lifetime = \"48h\" }\n".to_owned(), "out of range"),
        ("agents = { nonsense = 1 }\n".to_owned(), "unknown key \"nonsense\""),
    ] {
        let said = read(&format!("{ARCHON}{text}"), &[]).map(drop).unwrap_err().to_string();
        assert!(said.contains(told), "{told}\n{said}");
    }
}
