//! `mount.NAME.agents`: which types of agents there are, who may run them, and what they may have. Types that the operator
//! names replace the contract's own of the same name.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};
use toml::{Table as Record, Value as Toml};

use crate::{
    config::{
        blueprint::{policy::grants, realm::names},
        document::{Node, Value},
        section::Section,
        shape::{Fault, Shape},
    },
    identity::settings::AgentSettings,
    pipeline::agent::{AgentPolicy, AgentType, ContextRule},
};

/// As for access tokens: ended sessions are remembered for a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn read(mount: &mut Section<'_>, start: Option<AgentSettings>) -> Option<AgentSettings> {
    // A contract without agents has no such table.
    let start = start?;
    let mut section = mount.inner_or_off("agents", true)?;
    let audience = section.or("audience", start.audience);
    let lifetime = section.checked("token_lifetime", start.lifetime, |span| {
        if *span >= Duration::from_secs(1) && *span <= LONGEST {
            return Ok(());
        }
        let why = "ended sessions are remembered for a day, and no token may outlive that";
        Err(Fault::new("out of range", why, "write a duration from \"1s\" to \"24h\""))
    });
    let most = section.checked("most", start.most, |most| {
        if (1..=100_000).contains(most) {
            return Ok(());
        }
        let why = "every token is a row of the store until it expires";
        Err(Fault::new("out of range", why, "write a number from 1 to 100000"))
    });
    let mut policy = start.policy;
    let types: Vec<AgentType> =
        section.list("types", "type").into_iter().filter_map(kind).collect();
    policy.types.retain(|known| types.iter().all(|new| new.name != known.name));
    policy.types.extend(types);
    replace(&mut policy.runs, grants(&mut section, "runs"));
    replace(&mut policy.bounds, grants(&mut section, "bounds"));
    for (role, kinds) in &policy.runs {
        for name in kinds.iter().filter(|name| &***name != "*") {
            if policy.kinds().all(|known| *known != **name) {
                section.problems.unknown(
                    &section.place_of("runs"),
                    format!("{}.{role}", section.key("runs")),
                    "agent type",
                    name,
                    policy.kinds(),
                    "add it to types",
                );
            }
        }
    }
    note(&mut section, &policy);
    mount.note("agents", Toml::Table(section.finish()));
    Some(AgentSettings { audience, lifetime, most, policy })
}

fn kind(mut section: Section<'_>) -> Option<AgentType> {
    let name = section.need::<Arc<str>>("type");
    let capabilities = section.or("capabilities", Vec::new());
    let restrictions = section.raw("restrictions").map(|node| json(&node.value));
    let restrictions = match restrictions {
        None => Map::new(),
        Some(Json::Object(map)) => map,
        Some(_) => {
            let why = "it is told to the agent as a map";
            let fix = "write { file_paths = [\"src/**\"] }";
            section.fault("restrictions", Fault::new("expected a table", why, fix));
            Map::new()
        }
    };
    let context = section.list("context", "key").into_iter().filter_map(rule).collect();
    section.finish();
    Some(AgentType { name: name?, capabilities, restrictions, context })
}

fn rule(mut section: Section<'_>) -> Option<ContextRule> {
    let key = section.need::<Arc<str>>("key");
    let rule = ContextRule {
        capabilities: section.or("capabilities", Vec::new()),
        key: key.clone().unwrap_or_default(),
        values: section.need("values").unwrap_or_default(),
        required: section.or("required", false),
    };
    section.finish();
    key.map(|_| rule)
}

fn replace(rows: &mut Vec<(Arc<str>, Vec<Arc<str>>)>, new: Vec<(Arc<str>, Vec<Arc<str>>)>) {
    rows.retain(|(name, _)| new.iter().all(|(other, _)| other != name));
    rows.extend(new);
    rows.sort();
}

fn json(value: &Value) -> Json {
    let of = |node: &Node| json(&node.value);
    match value {
        Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(text) => text.parse::<f64>().map_or(Json::Null, Json::from),
        Value::Bool(flag) => Json::from(*flag),
        Value::List(items) => items.iter().map(of).collect(),
        Value::Table(table) => {
            let members = table.iter().map(|(name, entry)| (name.clone(), of(&entry.node)));
            Json::Object(members.collect())
        }
    }
}

/// JSON that came out of a TOML file goes back into one.
fn toml(value: &Json) -> Toml {
    match value {
        Json::String(text) => Toml::String(text.clone()),
        Json::Bool(flag) => Toml::Boolean(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Toml::Integer(whole),
            (None, other) => Toml::Float(other.unwrap_or_default()),
        },
        Json::Array(items) => Toml::Array(items.iter().map(toml).collect()),
        Json::Object(map) => {
            Toml::Table(map.iter().map(|(name, v)| (name.clone(), toml(v))).collect())
        }
        Json::Null => Toml::String(String::new()),
    }
}

fn note(section: &mut Section<'_>, policy: &AgentPolicy) {
    let types = policy.types.iter().map(|kind| {
        let context = kind.context.iter().map(|rule| {
            Toml::Table(Record::from_iter([
                ("key".to_owned(), rule.key.write()),
                ("values".to_owned(), names(&rule.values)),
                ("capabilities".to_owned(), names(&rule.capabilities)),
                ("required".to_owned(), Toml::Boolean(rule.required)),
            ]))
        });
        Toml::Table(Record::from_iter([
            ("type".to_owned(), kind.name.write()),
            ("capabilities".to_owned(), names(&kind.capabilities)),
            ("restrictions".to_owned(), toml(&Json::Object(kind.restrictions.clone()))),
            ("context".to_owned(), Toml::Array(context.collect())),
        ]))
    });
    section.note("types", Toml::Array(types.collect()));
    let table = |rows: &[(Arc<str>, Vec<Arc<str>>)]| {
        Toml::Table(rows.iter().map(|(name, list)| (name.to_string(), names(list))).collect())
    };
    section.note("runs", table(&policy.runs));
    section.note("bounds", table(&policy.bounds));
}
