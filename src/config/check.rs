//! What `check` tells about a configuration without faults: public routes, and where it is weaker than the strict values.

use serde::Serialize;

use super::{
    Config,
    blueprint::{
        At, IssuerConfig, MountConfig, RealmConfig, RouteConfig, STRICT_TYPE, StoreConfig,
    },
};
use crate::{
    dialects::Exposure,
    identity::settings::{CodeForm, RefreshForm},
    pipeline::{Authn, Authz, quota::OnError},
};

mod oauth;

/// Passwords shorter than this need a second factor (NIST 800-63B-4).
const STRICT_PASSWORD: usize = 15;

/// Keys chosen by the operator that are shorter can be guessed.
const STRICT_KEY: usize = 32;

/// One relaxation: a setting that is weaker than the strict value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable id, `R-…`.
    pub id: &'static str,
    /// Key path.
    pub key: String,
    /// What is relaxed.
    pub what: String,
    /// The strict value.
    pub strict: String,
}

/// A route that asks for no credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicRoute {
    /// Route name.
    pub route: String,
    /// Method and path.
    pub what: String,
    /// Where it is reachable.
    pub at: Vec<String>,
}

/// Everything `check` lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Routes without credentials.
    pub public_routes: Vec<PublicRoute>,
    /// Relaxations.
    pub relaxations: Vec<Finding>,
}

impl Config {
    /// Lists public routes and relaxations.
    pub fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.process_findings(&mut findings);
        self.abuse_findings(&mut findings);
        for realm in &self.blueprint.realms {
            realm_findings(&realm.path, &realm.is, &mut findings);
        }
        for issuer in &self.blueprint.issuers {
            issuer_findings(&issuer.path, &issuer.is, &mut findings);
            introspection_findings(&issuer.path, &issuer.is, &mut findings);
        }
        for mount in &self.blueprint.mounts {
            mount_findings(&mount.path, &mount.is, &mut findings);
        }
        for route in &self.blueprint.routes {
            self.route_findings(&route.path, &route.is, &mut findings);
        }
        findings
    }

    fn process_findings(&self, findings: &mut Findings) {
        let process = &self.blueprint.process;
        let public = self.blueprint.listeners.iter().map(|listener| ("listener", listener));
        let asked = self.blueprint.forward_auth.iter();
        let asked = asked.map(|front| ("forward_auth", &front.listener));
        for (list, listener) in public.chain(asked) {
            if listener.tls.is_none() && !listener.address.ip().is_loopback() {
                let key = format!("{list}.{}.address", listener.name);
                let what = format!(
                    "plain HTTP on {}: credentials can be read on the way",
                    listener.address
                );
                findings.relax(
                    "R-PLAIN-HTTP",
                    key,
                    what,
                    "tls = { … }, or a loopback address behind a TLS front",
                );
            }
        }
        if let Some(mode) = self.blueprint.store.as_ref().and_then(StoreConfig::weak_encryption) {
            let what = format!("sslmode={mode}: whoever is in between may be the database");
            findings.relax("R-STORE-PLAIN", "store.url", what, "sslmode=verify-full");
        }
        if let Some(address) = self.blueprint.redis.as_ref().and_then(|redis| redis.exposed()) {
            let what = format!("no TLS to {address}: whoever is in between can change counts");
            findings.relax("R-REDIS-PLAIN", "redis.tls", what, "true");
        }
        if let Some(address) = process.internal.address.filter(|found| !found.ip().is_loopback()) {
            let what = format!("the operator API listens on {address}");
            findings.relax("R-INTERNAL-PUBLIC", "internal.address", what, "a loopback address");
        }
        for front in &self.blueprint.forward_auth {
            for net in front.peers.iter().filter(|net| net.prefix_len() == 0) {
                let what = format!("everyone ({net}) may ask about requests of anybody");
                let key = format!("forward_auth.{}.peers", front.listener.name);
                findings.relax("R-ASK-ALL", key, what, "the addresses of your proxies");
            }
        }
        for net in process.trusted_proxies.iter().filter(|net| net.prefix_len() == 0) {
            let what = format!("everyone ({net}) may say what the client address is");
            findings.relax("R-TRUST-ALL", "trust.proxies", what, "the addresses of your proxies");
        }
    }

    fn abuse_findings(&self, findings: &mut Findings) {
        for limit in self.blueprint.limits.iter().filter(|limit| limit.shadow) {
            let key = format!("limit.{}.mode", limit.name);
            let what = "the limit is counted and refuses nothing";
            findings.relax("R-SHADOW", key, what, "\"enforce\"");
        }
        for limit in &self.blueprint.limits {
            if limit.across.on_error == OnError::Open {
                let key = format!("limit.{}.on_error", limit.name);
                let what = "the limit refuses nothing while Redis is lost";
                findings.relax("R-LIMIT-OPEN", key, what, "\"local\" or \"closed\"");
            }
        }
        if self.blueprint.process.failure_windows.is_empty() {
            let what = "credentials may be guessed at any rate, each for the price of a signature";
            findings.relax("R-FAILURES-OFF", "limiter.failures_per_address", what, "[\"600/min\"]");
        }
    }

    fn route_findings(&self, path: &str, route: &RouteConfig, findings: &mut Findings) {
        if matches!(route.authn, Authn::Public) {
            let at = match &route.at {
                At::Plain(place) => vec![super::compile::describe(place)],
                At::Mount(name) => {
                    let found =
                        self.blueprint.mounts.iter().find(|m| *m.is.name.as_str() == **name);
                    found.map(|mount| places(&mount.is)).unwrap_or_default()
                }
            };
            let methods: Vec<&str> = route.matches.methods.iter().map(|m| m.as_str()).collect();
            let methods = if methods.is_empty() { "*".into() } else { methods.join(",") };
            let what = format!("{methods} {}", route.matches.path);
            findings.public_routes.push(PublicRoute { route: route.name.to_string(), what, at });
        } else if route.authz == Authz::Authenticated {
            let what = "any proven caller may use it, whatever its roles and scopes";
            let key = format!("{path}.authz");
            findings.relax("R-NO-AUTHZ", key, what, "the mount's policy, or scopes or roles");
        }
        if !route.stream_grace.is_zero() {
            let key = format!("{path}.stream_grace");
            let what =
                format!("streams outlive their credential by {} s", route.stream_grace.as_secs());
            findings.relax("R-STREAM-GRACE", key, what, "\"0s\"");
        }
        if route.shadow_authn.is_some() {
            let key = format!("{path}.authn");
            let what = "a kind of credential is counted and not asked for";
            findings.relax("R-SHADOW", key, what, "mode = \"enforce\"");
        }
        if route.shadow_authz.is_some() {
            let key = format!("{path}.authz.mode");
            let what = "the rule is counted and refuses nothing";
            findings.relax("R-SHADOW", key, what, "\"enforce\"");
        }
        if route.limits.is_empty() {
            let key = format!("{path}.limits");
            findings.relax("R-UNLIMITED", key, "no limit at all", "at least one limit");
        }
        if route.forward_credential {
            let key = format!("{path}.forward_credential");
            let what = "the upstream sees the caller's token or key";
            findings.relax("R-FORWARD-CREDENTIAL", key, what, "false");
        }
        let allows = route.allows;
        if allows.encoded_slash || allows.semicolon || allows.empty_segment {
            let key = format!("{path}.allow");
            let what = "paths that the upstream might read in another way are let through";
            findings.relax("R-PATH-FORMS", key, what, "[]");
        }
    }
}

fn realm_findings(path: &str, realm: &RealmConfig, findings: &mut Findings) {
    let rules = &realm.rules;
    if rules.password.min_length < STRICT_PASSWORD {
        let key = format!("{path}.password.min_length");
        let what = format!("new passwords may have {} characters", rules.password.min_length);
        findings.relax("R-PASSWORD-LENGTH", key, what, "15");
    }
    if rules.lockout.is_none() {
        let key = format!("{path}.lockout");
        findings.relax("R-LOCKOUT-OFF", key, "no lock after failed logins", "{ failures = 10 }");
    }
    if rules.registration {
        let key = format!("{path}.registration");
        findings.relax("R-REGISTRATION-OPEN", key, "strangers may make accounts", "false");
    }
    if rules.change_spares_current {
        let key = format!("{path}.change_spares_current");
        let what = "a session outlives the change of its own password or address";
        findings.relax("R-CHANGE-KEEPS-SESSION", key, what, "false");
    }
    let throttle = &rules.throttle;
    if throttle.per_address.is_empty() && throttle.per_address_and_name.is_empty() {
        let key = format!("{path}.throttle");
        findings.relax("R-THROTTLE-OFF", key, "failed logins are not limited", "\"10/min\"");
    }
}

fn issuer_findings(path: &str, issuer: &IssuerConfig, findings: &mut Findings) {
    for kind in issuer.types.iter().filter(|kind| !kind.eq_ignore_ascii_case(STRICT_TYPE)) {
        let key = format!("{path}.typ");
        let what =
            format!("tokens of typ {kind} may be others than access tokens, such as ID tokens");
        findings.relax(
            "R-TOKEN-TYPE",
            key,
            what,
            "[\"at+jwt\"], or audiences that no ID token has",
        );
    }
}

fn introspection_findings(path: &str, issuer: &IssuerConfig, findings: &mut Findings) {
    if issuer.introspection.as_ref().is_some_and(|found| !found.needs_audience) {
        let key = format!("{path}.introspection.require_aud");
        let what = "a token that says nothing of its audience is taken, whoever it is for";
        findings.relax("R-NO-AUDIENCE", key, what, "true");
    }
}

fn mount_findings(path: &str, mount: &MountConfig, findings: &mut Findings) {
    for endpoint in mount.endpoints() {
        if matches!(endpoint.exposure, Exposure::Public) {
            findings.public_routes.push(PublicRoute {
                route: format!("{}:{} {}", mount.name, endpoint.method, endpoint.path),
                what: format!("{} {}", endpoint.method, endpoint.path),
                at: places(mount),
            });
        }
    }
    if mount.tokens.refresh_form != RefreshForm::None && !mount.tokens.refresh_rotates {
        let key = format!("{path}.refresh_rotates");
        findings.relax("R-REFRESH-REUSABLE", key, "refresh tokens can be used again", "true");
    }
    if mount.tokens.audience.is_none() {
        let key = format!("{path}.audience");
        let what = "tokens name no audience: only issuer and key tell whose they are";
        findings.relax("R-NO-AUDIENCE", key, what, "a name of the API");
    }
    for (name, rule) in [("reset", &mount.codes.reset), ("verify", &mount.codes.verify)] {
        if rule.form == CodeForm::Digits {
            let key = format!("{path}.codes.{name}");
            let what = format!("codes of six digits, {} tries each", rule.attempts);
            findings.relax("R-SHORT-CODES", key, what, "a contract with long codes");
        }
    }
    let rotates = mount.tokens.refresh_form == RefreshForm::Opaque && mount.tokens.refresh_rotates;
    if rotates && !mount.tokens.refresh_grace.is_zero() {
        let key = format!("{path}.refresh_grace");
        let grace = mount.tokens.refresh_grace.as_secs();
        let what = format!("a spent refresh token is answered once more for {grace} s");
        findings.relax("R-REFRESH-GRACE", key, what, "\"0s\"");
    }
    if mount.tokens.access_lifetime.as_secs() > 3600 {
        let key = format!("{path}.access_token_lifetime");
        findings.relax("R-TOKEN-LIFETIME", key, "access tokens live longer than an hour", "\"1h\"");
    }
    if let Some(oauth) = &mount.oauth {
        oauth::findings(path, oauth, findings);
    }
    if mount.cors.origins.iter().any(|origin| &**origin == "*") {
        let key = format!("{path}.cors.origins");
        findings.relax("R-CORS-ANY", key, "any web site may call", "the origins of your own pages");
    }
    for found in mount.static_keys.iter().filter(|found| found.length < STRICT_KEY) {
        let key = format!("{path}.static_key.{}.secret", found.name);
        let what = format!("the key has only {} characters", found.length);
        findings.relax("R-STATIC-KEY-SHORT", key, what, "at least 32 random characters");
    }
    if !mount.secure_cookies {
        let key = format!("{path}.secure_cookies");
        findings.relax("R-COOKIE-PLAIN", key, "cookies may travel over plain http", "true");
    }
    if mount.webhooks.as_ref().is_some_and(|webhooks| webhooks.allow_private) {
        let key = format!("{path}.webhooks.allow_private");
        let what = "webhooks may be sent over plain http and into the own networks";
        findings.relax("R-WEBHOOK-PRIVATE", key, what, "false");
    }
    if mount.limits.is_empty() {
        let key = format!("{path}.limits");
        findings.relax("R-UNLIMITED", key, "no limit at all", "at least one limit");
    }
}

fn places(mount: &MountConfig) -> Vec<String> {
    mount.places.iter().map(super::compile::describe).collect()
}

impl Findings {
    fn relax(
        &mut self,
        id: &'static str,
        key: impl Into<String>,
        what: impl Into<String>,
        strict: &str,
    ) {
        self.relaxations.push(Finding {
            id,
            key: key.into(),
            what: what.into(),
            strict: strict.to_owned(),
        });
    }
}
