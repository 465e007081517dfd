//! `[[mount]]`: one contract in one realm, at its places. Everything not written is what the contract fixes.

use std::{sync::Arc, time::Duration};

use toml::Value as Toml;

use super::{
    Context, Declared, each,
    issuer::{self, IssuerConfig},
    policy,
    realm::RealmConfig,
};
use crate::{
    config::{
        problem::Place as Written,
        section::Section,
        shape::{Fault, Shape},
    },
    dialects::{self, Endpoint, Registered, oauth, oidc},
    identity::AuthorizationServerSettings,
    identity::settings::{AgentSettings, CodeSettings, TokenSettings, WebhookSettings},
    model::{
        Digest, MountName, RealmName,
        api_key::{KeyForm, KeyFormat},
    },
    pipeline::{Policy, ProofRule, RateHeaders, SessionCarrier, cors::Cors, route::Place},
};

mod agents;
mod authorization_server;
mod client_certs;
mod codes;
mod oidc_login;
pub(super) mod places;
pub(in crate::config) mod provider;
mod static_keys;
mod tokens;
mod webhooks;

use authorization_server::path_of;
pub use static_keys::StaticKeyConfig;

/// Name that plain routes use for their mount in logs and metrics.
pub const PLAIN: &str = "plain";
/// The longest `stream_grace`.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 3600);

/// One mount.
#[derive(Clone, Debug)]
pub struct MountConfig {
    /// Name.
    pub name: MountName,
    /// Its contract.
    pub dialect: &'static Registered,
    /// Its realm.
    pub realm: RealmName,
    /// Where it is reachable.
    pub places: Vec<Place>,
    /// Whether it renders what no mount claims at its places.
    pub default: bool,
    /// Tokens.
    pub tokens: TokenSettings,
    /// Other issuers whose tokens it takes.
    pub issuers: Vec<Arc<IssuerConfig>>,
    /// Agents, in contracts that have them.
    pub agents: Option<AgentSettings>,
    /// Webhooks, in contracts that have them.
    pub webhooks: Option<WebhookSettings>,
    /// The standard issuer beside the contract.
    pub authorization_server: Option<Arc<AuthorizationServerSettings>>,
    /// What its routes are as a protected resource.
    pub protected_resource: Option<dialects::ResourceFacts>,
    /// One-time codes.
    pub codes: CodeSettings,
    /// How its API keys look.
    pub api_key_format: Option<KeyFormat>,
    /// Whether its cookies travel over https only.
    pub secure_cookies: bool,
    /// Logins through a provider, where the contract has them.
    pub oauth: Option<provider::OAuthConfig>,
    /// Browser logins through an OpenID provider.
    pub oidc_login: Option<oidc_login::OidcConfig>,
    /// API keys that the operator chose.
    pub static_keys: Vec<StaticKeyConfig>,
    /// Whom certificates of clients stand for.
    pub client_certs: Vec<(Box<str>, Arc<crate::model::Principal>)>,
    /// Who may do what.
    pub policy: Policy,
    /// Cross-origin rules.
    pub cors: Cors,
    /// Rate-limit headers.
    pub rate_headers: RateHeaders,
    /// Limits of routes that name none.
    pub limits: Vec<Arc<str>>,
    /// Which proof routes that do not say ask for beside a token.
    pub proof: ProofRule,
    /// Whether their proofs must carry a nonce of ours.
    pub proof_nonce: bool,
    /// How long streams of routes that do not say may outlive the end of their credential.
    pub stream_grace: Duration,
}

impl MountConfig {
    /// The contract's own endpoints, and the one for public keys where there are some.
    pub fn endpoints(&self) -> impl Iterator<Item = &'static Endpoint> {
        let shared_secret = self.tokens.algorithm == jsonwebtoken::Algorithm::HS256;
        let keys = (!shared_secret).then_some(&dialects::JWKS);
        let in_query = self.oauth.as_ref().is_none_or(|oauth| oauth.session_in_query);
        let of_mount = move |endpoint: &'static Endpoint| match endpoint.strict {
            Some(strict) if !in_query => strict,
            _ => endpoint,
        };
        let issuer = self.authorization_server.iter().flat_map(|own| {
            let served = move |endpoint: &&Endpoint| own.login || !oauth::is_login(endpoint);
            oauth::ENDPOINTS.iter().filter(served)
        });
        let login = self.oidc_login.iter().flat_map(|_| oidc::ENDPOINTS.iter());
        self.dialect.dialect.endpoints().iter().map(of_mount).chain(keys).chain(issuer).chain(login)
    }

    /// Where a session may sit on its routes.
    pub fn session_carrier(&self) -> Option<SessionCarrier> {
        let own = self.oidc_login.as_ref().map(oidc_login::OidcConfig::carrier);
        own.or_else(|| self.oauth.as_ref()?.session_carrier.clone())
    }

    /// Endpoints that stand at the root of the mount's hosts, whatever its prefix: where each is, and what it is.
    pub fn well_known(&self) -> Vec<(String, &'static Endpoint)> {
        let mut all = Vec::new();
        if let Some(own) = &self.authorization_server {
            let path = format!("{}{}", oauth::METADATA.path, path_of(&own.issuer));
            all.push((path, &oauth::METADATA));
        }
        if let Some(own) = &self.protected_resource {
            let path = format!("{}{}", oauth::RESOURCE.path, path_of(&own.resource));
            all.push((path, &oauth::RESOURCE));
        }
        all
    }
}

pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
    realms: &[Declared<RealmConfig>],
    issuers: &[Declared<Arc<IssuerConfig>>],
) -> Vec<Declared<MountConfig>> {
    let mut defaults_at: Vec<(Place, String)> = Vec::new();
    let mut secrets: Vec<(crate::model::SecretString, String, Written)> = Vec::new();
    let mut keys: Vec<(Digest, String)> = Vec::new();
    each(top, "mount", |name, section| {
        if name == PLAIN {
            let why = "routes without a mount go by this name in logs and metrics";
            let fault = Fault::new(format!("the name \"{PLAIN}\" is taken"), why, "choose another");
            section.fault("name", fault);
        }
        let mount = one(name, section, context, realms, issuers)?;
        if mount.default {
            for place in &mount.places {
                match defaults_at.iter().find(|(known, _)| overlaps(known, place)) {
                    Some((_, other)) => {
                        let what =
                            format!("a second default mount on listener \"{}\"", place.listener);
                        let why = format!("\"{other}\" is the default there already");
                        section.fault("default", Fault::new(what, why, "keep one default = true"));
                    }
                    None => defaults_at.push((place.clone(), name.to_owned())),
                }
            }
        }
        for found in &mount.static_keys {
            let digest = found.key.digest;
            match keys.iter().find(|(known, other)| *known == digest && other != name) {
                Some((_, other)) => {
                    let what = format!("static key \"{}\" is one of mount \"{other}\"", found.name);
                    let why = "a credential is valid at one mount only";
                    section.fault("static_key", Fault::new(what, why, "give each mount its own"));
                }
                None => keys.push((digest, name.to_owned())),
            }
        }
        if let Some(secret) = &mount.tokens.secret {
            match secrets.iter().find(|(known, ..)| crate::config::secret::same(known, secret)) {
                Some((_, other, place)) => {
                    let what =
                        format!("the same secret as mount \"{other}\" ({})", place.in_words());
                    let why = "a token of one mount would verify on the other";
                    section
                        .fault("secret", Fault::new(what, why, "give each mount its own secret"));
                }
                None => {
                    secrets.push((secret.clone(), name.to_owned(), section.place_of("secret")));
                }
            }
        }
        Some(mount)
    })
}

fn overlaps(a: &Place, b: &Place) -> bool {
    a.listener == b.listener
        && a.prefix == b.prefix
        && (a.hosts == b.hosts || a.hosts.iter().any(|host| b.hosts.contains(host)))
}

fn one(
    name: &str,
    section: &mut Section<'_>,
    context: &Context<'_>,
    realms: &[Declared<RealmConfig>],
    issuers: &[Declared<Arc<IssuerConfig>>],
) -> Option<MountConfig> {
    let dialect = dialect(section);
    let realm = realm(section, context);
    let places = places::read(section, context);
    let default = section.or("default", false);
    // Without a contract nothing below has a default. The keys are read all the same, to find their faults.
    let defaults = dialect.or_else(|| dialects::ALL.first())?.dialect.defaults();

    let tokens = tokens::read(section, context, defaults.tokens);
    let agents = agents::read(section, defaults.agents);
    let webhooks = webhooks::read(section, defaults.webhooks);
    let codes = codes::read(section, defaults.codes);
    let provider = dialect.and_then(|entry| entry.dialect.oauth());
    let oauth = provider.map(|start| provider::read(section, context, start));
    let secure_cookies = section.or("secure_cookies", true);
    let mut api_key_format = defaults.api_key_format;
    if let Some(prefix) = section.maybe::<String>("api_key_prefix") {
        // What stands behind the prefix is the contract's; one that has no keys gets the usual ones.
        let form = api_key_format.map_or(KeyForm::WithId, |format| format.form);
        api_key_format = Some(KeyFormat { prefix: prefix.into(), form });
    }
    if let Some(KeyFormat { prefix, .. }) = &api_key_format {
        section.note("api_key_prefix", prefix.write());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if prefix.is_empty() || prefix.len() > 32 || !prefix.chars().all(plain) {
            let why = "the prefix tells people and scanners what the key is";
            let fix = "use 1 to 32 letters, digits, _ and -, such as \"tmws_key_\"";
            section.fault("api_key_prefix", Fault::new("bad prefix", why, fix));
        }
    }
    let policy = policy::read(section, defaults.policy);
    let around = static_keys::Around { realms, realm: realm.as_ref(), policy: &policy };
    let authorization_server =
        authorization_server::read(section, &places, &tokens.issuer, &policy);
    let own = authorization_server.as_deref();
    let protected_resource = authorization_server::resource(section, &places, own);
    let ours: Vec<&str> = own.iter().map(|own| &*own.issuer).chain([&*tokens.issuer]).collect();
    let issuers = issuer::of_mount(section, context, issuers, &ours);
    for role in issuers.iter().flat_map(|issuer| issuer.roles()) {
        static_keys::known_role(section, "issuers", role, &around);
    }
    let in_house = dialect.is_some_and(|entry| entry.dialect.oauth().is_some());
    let oidc_login = oidc_login::read(section, context, (name, &places, in_house), &around);
    let static_keys = static_keys::read(section, context, &around);
    let client_certs = client_certs::read(section, name, &around);
    let cors = cors(section);
    let rate_headers = rate_headers(section, defaults.rate_headers);
    let brought = defaults.general_limits.iter().map(|name| Arc::from(*name)).collect();
    let limits: Vec<Arc<str>> = section.or("limits", brought);
    if dialect.is_some() {
        known_limits(section, &limits, context);
    }
    let proof = proof(section, ProofRule::None);
    let proof_nonce = section.or("proof_nonce", false);
    let stream_grace = stream_grace(section, Duration::ZERO);

    Some(MountConfig {
        name: MountName::from(name),
        dialect: dialect?,
        realm: realm?,
        places,
        default,
        tokens,
        issuers,
        agents,
        webhooks,
        authorization_server,
        protected_resource,
        secure_cookies,
        codes,
        api_key_format,
        // Its faults are told; a mount without what its contract needs is none.
        oauth: match oauth {
            Some(read) => Some(read?),
            None => None,
        },
        oidc_login,
        static_keys,
        client_certs,
        policy,
        cors,
        rate_headers,
        limits,
        proof,
        proof_nonce,
        stream_grace,
    })
}

/// Which proof is asked for beside a token.
pub(super) fn proof(section: &mut Section<'_>, start: ProofRule) -> ProofRule {
    const KNOWN: [(&str, ProofRule); 4] = [
        ("none", ProofRule::None),
        ("dpop", ProofRule::Dpop),
        ("certificate", ProofRule::Certificate),
        ("any", ProofRule::Any),
    ];
    let word = KNOWN.iter().find(|(_, rule)| *rule == start).map_or("none", |(word, _)| *word);
    let name = section.or("proof", word.to_owned());
    if let Some((_, found)) = KNOWN.iter().find(|(known, _)| *known == name) {
        return *found;
    }
    let (place, names) = (section.place_of("proof"), KNOWN.iter().map(|(name, _)| *name));
    section.problems.unknown(&place, section.key("proof"), "proof", &name, names, "remove the key");
    start
}

/// How long a stream may outlive the end of its credential.
pub(super) fn stream_grace(section: &mut Section<'_>, start: Duration) -> Duration {
    section.checked("stream_grace", start, |span: &Duration| {
        if *span <= LONGEST_GRACE {
            return Ok(());
        }
        let why = "a stream would go on for longer than a day after its credential has ended";
        Err(Fault::new("too long", why, "write at most \"24h\""))
    })
}

/// Reports limits that are not declared.
pub(super) fn known_limits(section: &Section<'_>, limits: &[Arc<str>], context: &Context<'_>) {
    let mut known: Vec<String> = context.names.of("limit").map(str::to_owned).collect();
    for dialect in context.names.dialects() {
        for limit in dialect.dialect.defaults().limits {
            if known.iter().all(|name| **name != *limit.name) {
                known.push(limit.name.to_string());
            }
        }
    }
    for name in limits {
        if !known.iter().any(|known| **known == **name) {
            section.problems.unknown(
                &section.place_of("limits"),
                section.key("limits"),
                "limit",
                name,
                known.iter().map(String::as_str),
                "add a [[limit]] of this name",
            );
        }
    }
}

fn dialect(section: &mut Section<'_>) -> Option<&'static Registered> {
    let name = section.need::<String>("dialect")?;
    let found = dialects::find(&name);
    if found.is_none() {
        section.problems.unknown(
            &section.place_of("dialect"),
            section.key("dialect"),
            "dialect",
            &name,
            dialects::ALL.iter().map(|entry| entry.dialect.name()),
            "name a contract this program speaks",
        );
    }
    found
}

fn realm(section: &mut Section<'_>, context: &Context<'_>) -> Option<RealmName> {
    let name = match context.names.only("realm") {
        Some(only) => section.or("realm", only.to_owned()),
        None => section.need::<String>("realm")?,
    };
    if context.names.has("realm", &name) {
        return Some(RealmName::from(name));
    }
    section.problems.unknown(
        &section.place_of("realm"),
        section.key("realm"),
        "realm",
        &name,
        context.names.of("realm"),
        "add a [[realm]] of this name",
    );
    None
}

fn cors(section: &mut Section<'_>) -> Cors {
    let mut inner = section.inner("cors");
    let origins: Vec<Arc<str>> = inner.or("origins", Vec::new());
    let credentials = inner.or("credentials", false);
    let max_age = inner.or("max_age", Duration::from_secs(600));
    for origin in &origins {
        if !is_origin(origin) {
            let what = format!("bad origin \"{origin}\"");
            let why = "an origin is a scheme and a host, compared exactly, without a path";
            let fix = "write \"https://app.example.org\", or \"*\" for any";
            inner.fault("origins", Fault::new(what, why, fix));
        }
    }
    if credentials && origins.iter().any(|origin| &**origin == "*") {
        let why = "any web site could act with the visitor's cookies (Fetch standard)";
        let fix = "list the origins, or write credentials = false";
        inner.fault("credentials", Fault::new("credentials for any origin", why, fix));
    }
    section.note("cors", Toml::Table(inner.finish()));
    Cors { origins, credentials, max_age: u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX) }
}

fn is_origin(text: &str) -> bool {
    let bare = |text: &str| {
        text.parse::<http::uri::Authority>().is_ok_and(|found| !found.as_str().contains('@'))
    };
    text == "*" || text.strip_prefix("https://").or(text.strip_prefix("http://")).is_some_and(bare)
}

fn rate_headers(section: &mut Section<'_>, start: RateHeaders) -> RateHeaders {
    let mut inner = section.inner("rate_headers");
    let legacy_always = inner.or("always", start.legacy_always);
    let policy = inner.or("policy", start.policy);
    let ietf = inner.or("ietf", start.ietf);
    section.note("rate_headers", Toml::Table(inner.finish()));
    RateHeaders { legacy_always, policy, ietf }
}
