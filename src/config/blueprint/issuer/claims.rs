//! What the claims of an issuer must say, and what they mean here.

use std::sync::Arc;

use serde_json::Value as Json;
use toml::{Table as Record, Value as Toml};

use super::not_text;
use crate::{
    config::{
        document::Value,
        section::Section,
        shape::{Fault, Shape},
    },
    pipeline::jwt::{ClaimMap, ClaimPath},
};

pub(super) fn read(section: &mut Section<'_>) -> (Vec<(ClaimPath, Option<Json>)>, ClaimMap) {
    let required = required(section);
    let mut inner = section.inner("claims");
    let subject = inner.or("subject", Name::of("sub")).0;
    let username = optional(&mut inner, "username", None);
    let email = optional(&mut inner, "email", None);
    let tenant = optional(&mut inner, "tenant", None);
    let scopes = optional(&mut inner, "scopes", Some("scope"));
    let roles = optional(&mut inner, "roles", None);
    section.note("claims", Toml::Table(inner.finish()));
    let scope_names = section.has("scopes").then(|| names(section, "scopes"));
    if scope_names.is_none() {
        section.raw("scopes");
    }
    let role_names = names(section, "roles");
    let base_roles = section.or("base_roles", Vec::new());
    if roles.is_none() && !role_names.is_empty() {
        let why = "nothing says in which claim the issuer writes them";
        let fix =
            "add claims = { roles = \"roles\" }, or a pointer such as \"/realm_access/roles\"";
        section.fault("roles", Fault::new("roles of no claim", why, fix));
    }
    if roles.is_some() && role_names.is_empty() {
        let why = "a role of somebody else is none of ours unless it is named here";
        let fix = "add roles = { \"theirs\" = \"OURS\" }, or remove claims.roles";
        section.fault("claims", Fault::new("a claim of roles, and none of them known", why, fix));
    }
    let map = ClaimMap {
        subject,
        username,
        email,
        tenant,
        scopes,
        scope_names,
        roles,
        role_names,
        base_roles,
    };
    (required, map)
}

/// `required` (claims that must be there) and `required_values` (claims that must say this).
fn required(section: &mut Section<'_>) -> Vec<(ClaimPath, Option<Json>)> {
    let there: Vec<Name> = section.or("required", Vec::new());
    let mut out: Vec<_> = there.into_iter().map(|name| (name.0, None)).collect();
    let mut record = Record::new();
    for (text, node) in section.free_keys("required_values") {
        let (json, toml) = match &node.value {
            Value::Text(text) => (Json::from(text.as_str()), Toml::String(text.clone())),
            Value::Bool(flag) => (Json::from(*flag), Toml::Boolean(*flag)),
            Value::Integer(number) => (Json::from(*number), Toml::Integer(*number)),
            other => {
                let what = format!("\"{text}\" is {}", other.kind());
                let fix = "write a text, a whole number, true or false";
                section.fault("required_values", Fault::new(what, "it is compared as it is", fix));
                continue;
            }
        };
        match ClaimPath::parse(text) {
            Some(path) => {
                record.insert(text.to_owned(), toml);
                out.push((path, Some(json)));
            }
            None => section.fault("required_values", bad(text)),
        }
    }
    section.note("required_values", Toml::Table(record));
    out
}

/// A claim that `false` leaves out.
fn optional(
    section: &mut Section<'_>,
    key: &'static str,
    usual: Option<&str>,
) -> Option<ClaimPath> {
    let off = match section.raw(key).map(|node| &node.value) {
        None => usual.is_none(),
        Some(Value::Bool(false)) => true,
        Some(_) => false,
    };
    if off {
        section.note(key, Toml::Boolean(false));
        return None;
    }
    match usual {
        Some(usual) => Some(section.or(key, Name::of(usual)).0),
        None => section.maybe::<Name>(key).map(|name| name.0),
    }
}

/// Their names and ours.
fn names(section: &mut Section<'_>, key: &'static str) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let mut out = Vec::new();
    let mut record = Record::new();
    for (theirs, node) in section.free_keys(key) {
        let ours = match &node.value {
            Value::Text(one) => vec![Arc::from(one.as_str())],
            _ => match Vec::<Arc<str>>::read(node) {
                Ok(list) => list,
                Err(_) => {
                    not_text(section, key, theirs);
                    continue;
                }
            },
        };
        record.insert(theirs.to_owned(), ours.write());
        out.push((theirs.into(), ours));
    }
    section.note(key, Toml::Table(record));
    out
}

fn bad(text: &str) -> Fault {
    let what = format!("bad claim \"{text}\"");
    let why =
        "a claim is named as it stands in the token, one further inside by a pointer (RFC 6901)";
    Fault::new(what, why, "write \"roles\" or \"/realm_access/roles\"")
}

/// A claim as the file names it.
struct Name(ClaimPath, String);

impl Name {
    fn of(usual: &str) -> Self {
        Self(ClaimPath::of(usual), usual.to_owned())
    }
}

impl Shape for Name {
    const EXPECTED: &'static str = "a claim such as \"roles\" or \"/realm_access/roles\"";

    fn read(node: &crate::config::document::Node) -> Result<Self, Fault> {
        let text = String::read(node)?;
        let path = ClaimPath::parse(&text).ok_or_else(|| bad(&text))?;
        Ok(Self(path, text))
    }

    fn write(&self) -> Toml {
        Toml::String(self.1.clone())
    }
}
