//! `[[mount.static_key]]`: API keys that the operator chooses. Any text will do, because published clients are
//! configured with one.

use std::sync::Arc;

use ipnet::IpNet;
use toml::Value as Toml;

use super::super::realm::RealmConfig;
use crate::{
    config::{
        blueprint::{Context, Declared, process::secret},
        section::Section,
        shape::Fault,
    },
    identity::{Holder, StaticKey},
    model::{Digest, RealmName, ScopeSet, api_key::MAX_KEY_BYTES, secret::ExposeSecret},
    pipeline::Policy,
};

/// One key, with what `check` says about it.
#[derive(Clone, Debug)]
pub struct StaticKeyConfig {
    /// Its name.
    pub name: String,
    /// What identity is told.
    pub key: StaticKey,
    /// Characters of its text.
    pub length: usize,
}

/// What a key may refer to.
pub(super) struct Around<'a> {
    pub(super) realms: &'a [Declared<RealmConfig>],
    pub(super) realm: Option<&'a RealmName>,
    pub(super) policy: &'a Policy,
}

pub(super) fn read(
    section: &mut Section<'_>,
    context: &Context<'_>,
    around: &Around<'_>,
) -> Vec<StaticKeyConfig> {
    let mut keys: Vec<StaticKeyConfig> = Vec::new();
    let mut records = Vec::new();
    for mut inner in section.list("static_key", "name") {
        let found = one(&mut inner, context, around);
        if let Some(found) = found {
            if keys.iter().any(|known| known.name == found.name) {
                let why = "the name tells the keys of a mount apart in logs and audit";
                let what = format!("duplicate name \"{}\"", found.name);
                inner.fault("name", Fault::new(what, why, "give each key a name of its own"));
            }
            if keys.iter().any(|known| known.key.digest == found.key.digest) {
                let why = "a request could not tell which of them it shows";
                let fix = "give each key a text of its own";
                inner.fault("secret", Fault::new("the same secret as another key", why, fix));
            }
            keys.push(found);
        }
        records.push(Toml::Table(inner.finish()));
    }
    if !records.is_empty() {
        section.note("static_key", Toml::Array(records));
    }
    keys
}

fn one(
    section: &mut Section<'_>,
    context: &Context<'_>,
    around: &Around<'_>,
) -> Option<StaticKeyConfig> {
    let name = section.need::<String>("name");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if let Some(name) = &name
        && (name.is_empty() || name.len() > 64 || !name.chars().all(plain))
    {
        let why = "it appears in logs and audit as static:NAME";
        let fix = "use up to 64 letters, digits, - and _";
        section.fault("name", Fault::new(format!("bad name \"{name}\""), why, fix));
    }
    let text = if section.has("secret") {
        secret(section, "secret", context)
    } else {
        section.raw("secret");
        section.missing("secret", "\"file:PATH\", \"env:NAME\" or \"cred:NAME\"");
        None
    };
    if let Some(text) = &text {
        let text = text.expose_secret();
        if text.len() > MAX_KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = "the key cannot be sent";
            let why = "it stands in a header field, and longer ones are not looked at";
            let fix = format!("use up to {MAX_KEY_BYTES} visible ASCII characters without blanks");
            section.fault("secret", Fault::new(what, why, fix));
        }
    }
    let holder = holder(section, around);
    let scopes = scopes(section, around.policy);
    let allowed_ips: Vec<IpNet> = section.or("allowed_ips", Vec::new());
    let (name, text) = (name?, text?);
    let text = text.expose_secret();
    Some(StaticKeyConfig {
        key: StaticKey {
            id: StaticKey::id_of(&name),
            digest: Digest::of(text.as_bytes()),
            holder: holder?,
            scopes,
            allowed_ips,
        },
        length: text.chars().count(),
        name,
    })
}

/// Exactly one of `user` and `service`.
fn holder(section: &mut Section<'_>, around: &Around<'_>) -> Option<Holder> {
    let user = section.maybe::<String>("user");
    let service = section.maybe::<String>("service");
    let has_roles = section.has("roles");
    let roles: Vec<Arc<str>> = if user.is_some() {
        section.maybe::<Vec<Arc<str>>>("roles").unwrap_or_default()
    } else {
        section.or("roles", Vec::new())
    };
    known_roles(section, &roles, around);
    match (user, service) {
        (Some(user), None) => {
            if has_roles {
                let why = "the key has the roles of its account";
                let fix = "remove roles, or write service = \"…\" instead of user";
                section.fault("roles", Fault::new("roles beside user", why, fix));
            }
            Some(Holder::Account(user.into()))
        }
        (None, Some(service)) => Some(Holder::Service { name: service.into(), roles }),
        (user, _) => {
            let what =
                if user.is_some() { "both user and service" } else { "neither user nor service" };
            let why = "a key stands for one account, or for one service that has no account";
            let fix = "write user = \"LOGIN\" or service = \"NAME\"";
            section.problems.say(&section.place, section.path.clone(), what, why, fix);
            None
        }
    }
}

pub(super) fn known_roles(section: &Section<'_>, roles: &[Arc<str>], around: &Around<'_>) {
    roles.iter().for_each(|role| known_role(section, "roles", role, around));
}

/// Reports a role that no account of the realm could have. `key`: where it comes from.
pub(super) fn known_role(
    section: &Section<'_>,
    key: &'static str,
    role: &Arc<str>,
    around: &Around<'_>,
) {
    let realm = around.realms.iter().find(|realm| Some(&realm.is.name) == around.realm);
    let known = realm.map(|realm| realm.is.rules.roles.as_slice()).unwrap_or_default();
    if known.is_empty() || known.contains(role) {
        return;
    }
    section.problems.unknown(
        &section.place_of(key),
        section.key(key),
        "role",
        role,
        known.iter().map(|role| &**role),
        "add it to the roles of the realm",
    );
}

/// Scopes of the mount's policy; a contract without such a table takes any.
pub(super) fn scopes(section: &mut Section<'_>, policy: &Policy) -> ScopeSet {
    let known: Vec<&str> = policy.scopes.iter().map(|rule| &*rule.scope).collect();
    let names = section.or("scopes", Vec::<String>::new());
    let scopes = if known.is_empty() { ScopeSet::exact(names) } else { ScopeSet::new(names) };
    for scope in scopes.iter().filter(|scope| !known.is_empty() && !known.contains(scope)) {
        section.problems.unknown(
            &section.place_of("scopes"),
            section.key("scopes"),
            "scope",
            scope,
            known.iter().copied(),
            "add it to the mount's policy",
        );
    }
    scopes
}
