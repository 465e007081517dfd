//! `headers` of a route: what the operator adds and removes. Identity, forwarding and framing are not the operator's.

use http::{HeaderName, HeaderValue};
use toml::{Table as Record, Value as Toml};

use crate::{
    config::{
        blueprint::process::is_ours_to_set,
        section::Section,
        shape::{Fault, Shape},
    },
    pipeline::{mutate::IdentityHeaders, route::HeaderRules},
};

/// `told`: the field in which proxies tell a client's certificate, which is for us and not for upstreams.
pub(super) fn read(
    route: &mut Section<'_>,
    identity: &IdentityHeaders,
    told: Option<&HeaderName>,
) -> HeaderRules {
    let mut section = route.inner("headers");
    let (mut request_remove, request_set) = side(&mut section, "request", identity);
    let (response_remove, response_set) = side(&mut section, "response", identity);
    route.note("headers", Toml::Table(section.finish()));
    request_remove.extend(told.cloned());
    HeaderRules { request_remove, request_set, response_remove, response_set }
}

type Side = (Vec<HeaderName>, Vec<(HeaderName, HeaderValue)>);

fn side(headers: &mut Section<'_>, key: &'static str, identity: &IdentityHeaders) -> Side {
    let mut section = headers.inner(key);
    let remove: Vec<HeaderName> = section.or("remove", Vec::new());
    for name in &remove {
        guard(&section, "remove", name, identity);
    }
    let mut set = Vec::new();
    let mut record = Record::new();
    let written = section.free_keys("set");
    for (text, node) in written {
        let Ok(name) = text.parse::<HeaderName>() else {
            let what = format!("bad header name \"{text}\"");
            section.fault("set", Fault::new(what, "it is no token (RFC 9110)", "correct the name"));
            continue;
        };
        guard(&section, "set", &name, identity);
        match HeaderValue::read(node) {
            Ok(value) => {
                record.insert(name.to_string(), value.write());
                set.push((name, value));
            }
            Err(fault) => section.fault("set", fault),
        }
    }
    section.note("set", Toml::Table(record));
    headers.note(key, Toml::Table(section.finish()));
    (remove, set)
}

fn guard(section: &Section<'_>, key: &str, name: &HeaderName, identity: &IdentityHeaders) {
    let folded = name.as_str().replace('_', "-");
    let ours = [
        &identity.subject,
        &identity.username,
        &identity.roles,
        &identity.scopes,
        &identity.method,
        &identity.key_id,
        &identity.realm,
        &identity.tenant,
        &identity.assertion,
        &identity.issuer,
    ];
    if ours.iter().any(|own| own.as_str() == folded) || folded.starts_with("x-auth-") {
        let what = format!("header rule for the identity header \"{name}\"");
        let why = "identity headers are removed on every route and set once, from the permit";
        section.fault(key, Fault::new(what, why, "remove the rule"));
        return;
    }
    let known = folded.parse::<HeaderName>().unwrap_or_else(|_| name.clone());
    if !is_ours_to_set(&known) {
        let what = format!("header rule for \"{name}\"");
        let why = "the gateway itself owns framing, forwarding, credential and limit headers";
        section.fault(key, Fault::new(what, why, "remove the rule"));
    }
}
