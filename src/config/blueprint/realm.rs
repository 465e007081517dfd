//! `[[realm]]`: accounts and the rules of their passwords, lockout and roles. The contract of the realm's first mount
//! gives the defaults; a realm without a mount starts strict.

use std::sync::Arc;

use toml::{Table as Record, Value as Toml};

use super::{Context, Declared, each, names::REALM};
use crate::{
    config::{
        problem::Place,
        section::Section,
        shape::{Fault, Shape},
    },
    identity::settings::{Lockout, LoginThrottle, PasswordRule, RealmRules},
    model::RealmName,
    pipeline::Window,
};

/// One realm.
#[derive(Clone, Debug)]
pub struct RealmConfig {
    /// Name.
    pub name: RealmName,
    /// Rules.
    pub rules: RealmRules,
}

pub(super) fn read(top: &mut Section<'_>, context: &Context<'_>) -> Vec<Declared<RealmConfig>> {
    if !top.has("realm") {
        let path = format!("realm.{REALM}");
        let mut section = Section::new(None, &path, Place::START, context.problems);
        let rules = rules(REALM, &mut section, context);
        let mut record = Record::from_iter([("name".to_owned(), Toml::String(REALM.into()))]);
        record.extend(section.finish());
        top.list("realm", "name");
        top.note("realm", Toml::Array(vec![Toml::Table(record)]));
        let is = RealmConfig { name: REALM.into(), rules };
        return vec![Declared { path, place: Place::START, is }];
    }
    each(top, "realm", |name, section| {
        Some(RealmConfig { name: name.into(), rules: rules(name, section, context) })
    })
}

fn rules(name: &str, section: &mut Section<'_>, context: &Context<'_>) -> RealmRules {
    let dialect = context.names.dialect_of_realm(name);
    let start = dialect.map_or_else(RealmRules::strict, |found| found.dialect.defaults().realm);
    let password = password(section, start.password);
    let lockout = lockout(section, start.lockout);
    let throttle = throttle(section, start.throttle);
    let roles: Vec<Arc<str>> = section.or("roles", start.roles);
    let default_role = section.or("default_role", start.default_role);
    if !roles.is_empty() && !roles.contains(&default_role) {
        let known = roles.iter().map(|role| &**role);
        section.problems.unknown(
            &section.place_of("default_role"),
            section.key("default_role"),
            "role",
            &default_role,
            known,
            "add it to roles",
        );
    }
    RealmRules {
        password,
        lockout,
        throttle,
        roles,
        default_role,
        registration: section.or("registration", start.registration),
        verified_email: section.or("verified_email", start.verified_email),
        organisations: section.or("organisations", start.organisations),
        change_spares_current: section.or("change_spares_current", start.change_spares_current),
    }
}

fn password(section: &mut Section<'_>, start: PasswordRule) -> PasswordRule {
    let mut inner = section.inner("password");
    let rule = PasswordRule {
        min_length: inner.or("min_length", start.min_length),
        max_length: inner.or("max_length", start.max_length),
        upper: inner.or("upper", start.upper),
        lower: inner.or("lower", start.lower),
        digit: inner.or("digit", start.digit),
        symbols: inner.or("symbols", start.symbols),
        only_listed: inner.or("only_listed", start.only_listed),
        forbidden: inner.or("forbidden", start.forbidden),
    };
    if rule.max_length < rule.min_length.max(64) || rule.max_length > 4096 {
        let what = format!("max_length {} is out of range", rule.max_length);
        let why = "long passwords must be possible, and endless ones are an attack";
        let fix = "write a number from 64 (and min_length) to 4096";
        inner.fault("max_length", Fault::new(what, why, fix));
    }
    if rule.min_length < 1 {
        let why = "an empty password would do";
        inner.fault("min_length", Fault::new("min_length is 0", why, "write at least 1"));
    }
    section.note("password", Toml::Table(inner.finish()));
    rule
}

fn lockout(section: &mut Section<'_>, start: Option<Lockout>) -> Option<Lockout> {
    let mut inner = section.inner_or_off("lockout", start.is_some())?;
    let start = start.or(RealmRules::strict().lockout)?;
    let failures = inner.or("failures", start.failures);
    let duration = inner.or("duration", start.duration);
    if failures == 0 || duration.is_zero() {
        let why = "it would lock always or never";
        let fix = "write numbers above zero, or lockout = false";
        inner.fault("failures", Fault::new("a lockout of zero", why, fix));
    }
    section.note("lockout", Toml::Table(inner.finish()));
    Some(Lockout { failures, duration })
}

fn throttle(section: &mut Section<'_>, start: LoginThrottle) -> LoginThrottle {
    let Some(mut inner) = section.inner_or_off("throttle", true) else {
        return LoginThrottle::default();
    };
    let per_address_and_name: Vec<Window> =
        inner.or("per_address_and_name", start.per_address_and_name);
    let per_address = inner.or("per_address", start.per_address);
    let attempts = inner.or("attempts", start.attempts);
    section.note("throttle", Toml::Table(inner.finish()));
    LoginThrottle { per_address_and_name, per_address, attempts }
}

/// How lists of names look in the effective file.
pub(super) fn names(list: &[Arc<str>]) -> Toml {
    list.to_vec().write()
}
