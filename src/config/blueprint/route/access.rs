//! `authn` and `authz` of a route: who is asked for what. There is no default for `authn`: public must be written.

use std::{sync::Arc, time::Duration};

use http::Method;
use toml::{Table as Record, Value as Toml};

use super::super::listener::mode;
use super::{
    Around, MountConfig, RouteRule, Section, Value,
    kinds::{Asked, PUBLIC, fitting, read_kinds},
};
use crate::{
    config::{
        document::Node,
        shape::{Fault, Shape},
    },
    identity::LONGEST_ASSERTION,
    model::AuthMethod,
    pipeline::{Authn, Authz, CredentialKind, ProofRule, route::Assertion},
};

pub(super) fn authn(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    plain: bool,
) -> Option<(Authn, Option<Authn>)> {
    if !section.has("authn") {
        section.raw("authn");
        let fault = Fault::new(
            "a route without authn",
            "nothing is public by default; a route says which credentials it takes",
            "add authn = [\"jwt\", \"api_key\"], or authn = [\"public\"]",
        );
        section.fault("authn", fault);
        return None;
    }
    let written = section.maybe::<Vec<Asked>>("authn")?;
    let (shadow, words): (Vec<Asked>, Vec<Asked>) = written.into_iter().partition(|own| own.shadow);
    if words.is_empty() {
        let (what, why) = if shadow.is_empty() {
            ("an empty list", "a route says which credentials it takes")
        } else {
            (
                "only kinds in shadow mode",
                "they refuse nothing: a route says what it takes meanwhile",
            )
        };
        let fix = "write authn = [\"jwt\", \"api_key\"], or authn = [\"public\"]";
        section.fault("authn", Fault::new(what, why, fix));
        return None;
    }
    let is_public = words.iter().any(|own| own.word == PUBLIC);
    if is_public && words.len() > 1 {
        let why = "a public route reads no credential, so the others would never be asked for";
        let fix = "write authn = [\"public\"], or remove \"public\"";
        section.fault("authn", Fault::new("\"public\" beside other kinds", why, fix));
        return None;
    }
    let mut kinds = Vec::new();
    if !is_public {
        read_kinds(section, &words, &mut kinds);
    }
    let enforced = kinds.len();
    read_kinds(section, &shadow, &mut kinds);
    let shadow = (kinds.len() > enforced).then(|| Authn::Required(kinds.split_off(enforced)));
    let beside = shadow.iter().flat_map(|own| match own {
        Authn::Required(kinds) => kinds.clone(),
        Authn::Public => Vec::new(),
    });
    let all: Vec<CredentialKind> = kinds.iter().copied().chain(beside).collect();
    if !all.is_empty() {
        fitting(section, mount, plain, &all);
    }
    Some((if is_public { Authn::Public } else { Authn::Required(kinds) }, shadow))
}

pub(super) fn authz(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    authn: Option<&Authn>,
    around: &Around<'_>,
) -> (Authz, Option<RouteRule>) {
    let public = matches!(authn, Some(Authn::Public));
    let takes_agents = authn.is_some_and(|authn| authn.takes(AuthMethod::Agent));
    let (found, beside) = asked(section, mount, public, around);
    let maps = match &found {
        Authz::Authenticated => true,
        Authz::Policy => false,
        Authz::Rule(rule) => !rule.capabilities.is_empty(),
    };
    if takes_agents && !maps {
        let why = "agents have capabilities and no roles, so every one of them would be refused";
        let fix = "write authz = { capabilities = { \"*\" = \"file:read\" } }";
        section.fault("authz", Fault::new("agents without capabilities", why, fix));
    }
    if let Authz::Rule(rule) = &found
        && !rule.capabilities.is_empty()
        && !takes_agents
    {
        let why = "only agents have capabilities, and this route takes no agent tokens";
        let fix = "add \"agent\" to authn, or remove capabilities";
        section.fault("authz", Fault::new("capabilities without agents", why, fix));
    }
    (found, beside)
}

fn asked(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    public: bool,
    around: &Around<'_>,
) -> (Authz, Option<RouteRule>) {
    let written = section.raw("authz");
    if public {
        if written.is_some() {
            let why = "a public route has no caller whose scopes or roles could be looked at";
            let fix = "remove authz, or let authn ask for a credential";
            section.fault("authz", Fault::new("authz on a public route", why, fix));
        }
        return (Authz::Authenticated, None);
    }
    let Some(node) = written else {
        section.note("authz", Toml::String("policy".into()));
        return (Authz::Policy, None);
    };
    let found = match &node.value {
        Value::Table(_) => return rule(section, mount, around),
        Value::Text(word) if word == "authenticated" => {
            section.note("authz", Toml::String(word.clone()));
            Authz::Authenticated
        }
        Value::Text(word) if word == "policy" => {
            section.note("authz", Toml::String(word.clone()));
            Authz::Policy
        }
        Value::Text(word) => {
            let (place, key) = (section.place_of("authz"), section.key("authz"));
            let known = ["authenticated", "policy"];
            let otherwise = "write a table { scopes = {…}, roles = […] }";
            section.problems.unknown(&place, key, "authz", word, known, otherwise);
            Authz::Policy
        }
        other => {
            let what = format!("expected a table or a word, found {}", other.kind());
            let fix = "write { scopes = { \"*\" = \"READ\" } } or \"authenticated\"";
            section.fault("authz", Fault::new(what, "the value has the wrong type", fix));
            Authz::Policy
        }
    };
    (found, None)
}

/// A rule of the route's own; in shadow mode beside what holds meanwhile, which must be written: nothing opens silently.
fn rule(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    around: &Around<'_>,
) -> (Authz, Option<RouteRule>) {
    let mut inner = section.inner("authz");
    let (scopes, asks_for_scopes) =
        by_method(&mut inner, "scopes", |inner, node| scope(inner, node, mount));
    let (capabilities, asks_for_capabilities) =
        by_method(&mut inner, "capabilities", |inner, node| capability(inner, node, mount));

    let roles: Vec<Arc<str>> = inner.or("roles", Vec::new());
    if let Some(mount) = mount {
        let realm = around.realms.iter().find(|realm| realm.is.name == mount.realm);
        let known = realm.map(|realm| realm.is.rules.roles.as_slice()).unwrap_or_default();
        for role in roles.iter().filter(|role| !known.contains(role)) {
            inner.problems.unknown(
                &inner.place_of("roles"),
                inner.key("roles"),
                "role",
                role,
                known.iter().map(|role| &**role),
                "add it to the roles of the realm",
            );
        }
    }
    let word = inner.or("match", "all".to_owned());
    if word != "all" && word != "any" {
        let (place, key) = (inner.place_of("match"), inner.key("match"));
        inner.problems.unknown(&place, key, "match", &word, ["all", "any"], "remove the key");
    }
    if !asks_for_scopes && !asks_for_capabilities && roles.is_empty() {
        let why = "it would ask for nothing";
        let fix = "name scopes or roles, or write authz = \"authenticated\"";
        inner.problems.say(&inner.place, inner.path.clone(), "an empty authz", why, fix);
    }
    let shadow = mode(&mut inner);
    let meanwhile = meanwhile(&mut inner, shadow);
    section.note("authz", Toml::Table(inner.finish()));
    let rule = RouteRule { scopes, roles, all: word == "all", capabilities };
    if shadow { (meanwhile, Some(rule)) } else { (Authz::Rule(rule), None) }
}

/// What is enforced beside a rule in shadow mode.
fn meanwhile(inner: &mut Section<'_>, shadow: bool) -> Authz {
    let known = [("policy", Authz::Policy), ("authenticated", Authz::Authenticated)];
    let why = "a rule in shadow mode refuses nothing, so the route must say what does";
    let fix = "write meanwhile = \"policy\" or meanwhile = \"authenticated\"";
    let written = inner.maybe::<String>("meanwhile");
    match (written, shadow) {
        (None, true) => {
            inner.fault("mode", Fault::new("mode = \"shadow\" without meanwhile", why, fix));
            Authz::Policy
        }
        (None, false) => Authz::Policy,
        (Some(_), false) => {
            let why = "the rule itself is enforced";
            let fix = "remove meanwhile, or write mode = \"shadow\"";
            inner.fault("meanwhile", Fault::new("meanwhile without mode = \"shadow\"", why, fix));
            Authz::Policy
        }
        (Some(word), true) => {
            let found = known.into_iter().find(|(name, _)| *name == word);
            found.map_or_else(
                || {
                    let (place, key) = (inner.place_of("meanwhile"), inner.key("meanwhile"));
                    let names = ["policy", "authenticated"];
                    inner.problems.unknown(&place, key, "authz", &word, names, fix);
                    Authz::Policy
                },
                |(_, authz)| authz,
            )
        }
    }
}

/// What a method asks for, `None` standing for any.
type ByMethod = Vec<(Option<Method>, Arc<str>)>;

/// Reads a table of methods; also tells whether there is anything in it, right or wrong.
fn by_method(
    inner: &mut Section<'_>,
    key: &'static str,
    one: impl Fn(&Section<'_>, &Node) -> Option<Arc<str>>,
) -> (ByMethod, bool) {
    let mut out = Vec::new();
    let mut record = Record::new();
    let written = inner.free_keys(key);
    let any = !written.is_empty();
    for (method, node) in written {
        let Some(name) = one(inner, node) else { continue };
        let parsed = match method {
            "*" => None,
            text => match Method::read(&Node {
                value: Value::Text(text.into()),
                place: node.place.clone(),
            }) {
                Ok(method) => Some(method),
                Err(fault) => {
                    inner.fault(key, fault);
                    continue;
                }
            },
        };
        record.insert(method.to_owned(), name.write());
        out.push((parsed, name));
    }
    inner.note(key, Toml::Table(record));
    (out, any)
}

/// Reads one capability name and makes sure that some agent of the mount can have it.
fn capability(inner: &Section<'_>, node: &Node, mount: Option<&MountConfig>) -> Option<Arc<str>> {
    let name = match Arc::<str>::read(node) {
        Ok(name) => name,
        Err(fault) => {
            inner.fault("capabilities", fault);
            return None;
        }
    };
    let Some(agents) = mount.and_then(|mount| mount.agents.as_ref()) else { return Some(name) };
    let known = || agents.policy.types.iter().flat_map(|kind| kind.capabilities.iter());
    if !known().any(|known| *known == name || &**known == "*") {
        inner.problems.unknown(
            &node.place,
            inner.key("capabilities"),
            "capability",
            &name,
            known().map(|known| &**known),
            "add it to an agent type of the mount",
        );
        return None;
    }
    Some(name)
}

/// Reads one scope name and makes sure that some key or role of the mount can hold it.
fn scope(inner: &Section<'_>, node: &Node, mount: Option<&MountConfig>) -> Option<Arc<str>> {
    let name = match String::read(node) {
        Ok(name) => name.to_ascii_uppercase(),
        Err(fault) => {
            inner.fault("scopes", fault);
            return None;
        }
    };
    let Some(mount) = mount else { return Some(name.into()) };
    let policy = &mount.policy;
    let mut known: Vec<&str> = policy.scopes.iter().map(|rule| &*rule.scope).collect();
    known.extend(policy.includes.iter().flat_map(|(_, list)| list.iter().map(|s| &**s)));
    known.extend(policy.role_scopes.iter().flat_map(|(_, list)| list.iter().map(|s| &**s)));
    known.sort_unstable();
    known.dedup();
    if !known.contains(&name.as_str()) {
        let what = format!("scope that no key or role can hold: unknown scope \"{name}\"");
        let near = crate::config::problem::nearest(&name, known.iter().copied());
        inner.problems.add(crate::config::problem::Problem {
            place: node.place.clone(),
            key: inner.key("scopes"),
            what,
            why: format!("mount \"{}\" knows: {}", mount.name, known.join(", ")),
            fix: match near {
                Some(near) => format!("write \"{near}\", or add the scope to the mount's policy"),
                None => "add the scope to the mount's policy".into(),
            },
            nearest: near.map(str::to_owned),
        });
        return None;
    }
    Some(name.into())
}

/// `assertion`: what its upstream is told of the caller under our signature.
pub(super) fn assertion(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    public: bool,
) -> Option<Assertion> {
    let mut inner = section.inner_or_off("assertion", false)?;
    let audience = inner.need::<Arc<str>>("audience");
    let minute = Duration::from_secs(60);
    let lifetime = inner.checked("lifetime", minute, |span| {
        if (Duration::from_secs(5)..=LONGEST_ASSERTION).contains(span) {
            return Ok(());
        }
        let why = "it outlives a revoked credential by that, and is made anew as often";
        Err(Fault::new("out of range", why, "write \"5s\" to \"5m\""))
    });
    section.note("assertion", Toml::Table(inner.finish()));
    if public {
        let why = "nobody is proven on a public route, so there is nobody to tell of";
        section.fault("assertion", Fault::new("assertion on a public route", why, "remove it"));
    }
    if mount.is_some_and(|mount| mount.authorization_server.is_none()) {
        let why = "the keys of the mount's standard issuer sign it, and are published for it";
        let fix = "add [mount.authorization_server] to the mount";
        section.fault("assertion", Fault::new("assertion without an issuer", why, fix));
    }
    audience.map(|audience| Assertion { audience, lifetime })
}

/// `proof_nonce`: whether proofs by signature must carry a nonce of ours.
pub(super) fn proof_nonce(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    rule: ProofRule,
) -> bool {
    let inherited = mount.is_some_and(|mount| mount.proof_nonce) && rule.takes_dpop();
    let wanted = section.or("proof_nonce", inherited);
    if wanted && !rule.takes_dpop() {
        let why = "only a proof by signature carries a nonce";
        let fix = "write proof = \"dpop\" or \"any\", or remove the key";
        section.fault("proof_nonce", Fault::new("nonces without proofs", why, fix));
    }
    wanted
}

/// `proof`: what is asked for beside a token. Where anything else passes as well, asking is in vain.
pub(super) fn proof(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    authn: Option<&Authn>,
) -> ProofRule {
    let inherited = match authn {
        Some(Authn::Required(_)) => mount.map_or(ProofRule::None, |mount| mount.proof),
        _ => ProofRule::None,
    };
    let rule = super::super::mount::proof(section, inherited);
    if rule == ProofRule::None {
        return rule;
    }
    let is_token =
        |kind: &CredentialKind| matches!(kind, CredentialKind::Jwt | CredentialKind::Agent);
    match authn {
        Some(Authn::Public) => {
            let why = "a public route reads no token, so there is nothing to prove";
            section.fault("proof", Fault::new("proof on a public route", why, "remove it"));
        }
        Some(Authn::Required(kinds)) if !kinds.iter().all(is_token) => {
            let why =
                "only tokens are bound to a proof: a key or a cookie would be the way around it";
            let fix = "take tokens only: authn = [\"jwt\"]; or write proof = \"none\"";
            section.fault("proof", Fault::new("proof beside other credentials", why, fix));
        }
        _ => {}
    }
    rule
}
