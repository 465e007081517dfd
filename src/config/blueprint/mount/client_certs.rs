//! `[[mount.client_cert]]`: whom the certificate of a client stands for.

use std::sync::Arc;

use toml::Value as Toml;

use super::static_keys::{Around, known_roles, scopes};
use crate::{
    config::{section::Section, shape::Fault},
    model::{AuthMethod, MountName, Principal},
};

/// The kinds of names a certificate can be known by.
const KINDS: [&str; 5] = ["CN:", "DNS:", "URI:", "email:", "SHA256:"];

/// A name of a certificate, and whom it stands for.
pub(super) type CertifiedClient = (Box<str>, Arc<Principal>);

pub(super) fn read(
    section: &mut Section<'_>,
    mount: &str,
    around: &Around<'_>,
) -> Vec<CertifiedClient> {
    let mut all: Vec<CertifiedClient> = Vec::new();
    let mut records = Vec::new();
    for mut inner in section.list("client_cert", "name") {
        let name = inner.need::<String>("name");
        let names = inner.need::<Vec<String>>("match").unwrap_or_default();
        for found in &names {
            let known = all.iter().any(|(known, _)| **known == **found);
            if let Some(fault) = fault(found, known) {
                inner.fault("match", fault);
            }
        }
        let roles: Vec<Arc<str>> = inner.or("roles", Vec::new());
        known_roles(&inner, &roles, around);
        let scopes = scopes(&mut inner, around.policy);
        if let (Some(name), Some(realm)) = (name, around.realm) {
            let who = Arc::new(Principal {
                subject: format!("service:{name}").into(),
                username: Some(name.into()),
                email: None,
                realm: realm.clone(),
                mount: MountName::from(mount),
                tenant: None,
                method: AuthMethod::ClientCert,
                roles,
                scopes: Some(scopes),
                session: None,
                token: None,
                key: None,
                agent: None,
                allowed_ips: Vec::new(),
                rate_limit_per_hour: None,
                expires_at: None,
                issuer: None,
                bound: None,
            });
            all.extend(names.into_iter().map(|name| (normal(name).into(), Arc::clone(&who))));
        }
        records.push(Toml::Table(inner.finish()));
    }
    if !records.is_empty() {
        section.note("client_cert", Toml::Array(records));
    }
    all
}

/// Digests in lower case; host names as well, as they are compared.
fn normal(name: String) -> String {
    match name.split_once(':') {
        Some((kind @ ("SHA256" | "DNS"), value)) => {
            format!("{kind}:{}", value.to_ascii_lowercase())
        }
        _ => name,
    }
}

fn fault(name: &str, known: bool) -> Option<Fault> {
    if known {
        let why = "a certificate of this name could not tell which of them it is";
        let fix = "name each in one place";
        return Some(Fault::new(format!("\"{name}\" stands twice"), why, fix));
    }
    let value = KINDS.iter().find_map(|kind| name.strip_prefix(kind));
    if value.is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let why = "a name is one of CN:, DNS:, URI:, email: or SHA256: and its value, compared exactly";
    let fix = "write \"URI:spiffe://example.org/billing\" or \"CN:billing\"";
    Some(Fault::new(format!("bad name \"{name}\""), why, fix))
}
