//! `mount.NAME.oidc_login`: browsers log in through an OpenID provider, and get a session of the gateway. Without this table there
//! is no such login.

use std::{sync::Arc, time::Duration};

use toml::Value as Toml;
use url::Url;

use super::{provider::web_address, static_keys};
use crate::{
    config::{
        blueprint::{Context, issuer, process::secret_of_identity},
        secret::SecretRef,
        section::Section,
        shape::{Fault, Shape},
    },
    dialects::oidc,
    identity::OidcSettings,
    issuer::{Client, Fetching},
    pipeline::{SessionCarrier, cookie, jwt::RelyingParty, landing, route::Place},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const IDLE: Duration = Duration::from_secs(30 * 60);
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Difference of clocks between the provider and us that is forgiven.
const LEEWAY: Duration = Duration::from_secs(30);
const OPENID: &str = "openid";

/// What the file says about browser logins of a mount.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Logins and sessions.
    pub settings: Arc<OidcSettings>,
    /// Where the provider is, and its keys.
    pub fetching: Fetching,
    /// Who we are there.
    pub client: Client,
}

impl OidcConfig {
    /// Where its sessions sit.
    pub fn carrier(&self) -> SessionCarrier {
        let (cookie, origin) = (self.settings.cookie.clone(), self.settings.origin.clone());
        SessionCarrier::Own { cookie, origin }
    }
}

pub(super) fn read(
    mount: &mut Section<'_>,
    context: &Context<'_>,
    (name, places, in_house): (&str, &[Place], bool),
    around: &static_keys::Around<'_>,
) -> Option<OidcConfig> {
    let mut section = mount.inner_or_off("oidc_login", false)?;
    if in_house {
        let why = "a session would be one of two kinds, and nobody could tell of which";
        let fix = "give the login a mount of its own";
        let what = "oidc_login beside the login of the contract's own provider";
        section.fault("issuer", Fault::new(what, why, fix));
    }
    let fetching = issuer::of_login(&mut section, context);
    let client_id = section.need::<Arc<str>>("client_id");
    if !section.has("client_secret") {
        section.missing("client_secret", SecretRef::EXPECTED);
    }
    let client_secret = secret_of_identity(&mut section, "client_secret", context);
    let callback = redirect_uri(&mut section, places);
    let scopes = scopes(&mut section);
    let create = accounts(&mut section, around);
    let join_by_email = section.or("join_by_email", false);
    let (idle, lifetime) = limits(&mut section);
    let after_logout = section.checked("after_logout", Arc::from("/"), |path: &Arc<str>| {
        if landing::is_own_path(path) {
            return Ok(());
        }
        let why = "browsers are sent there, and only to pages of our own";
        Err(Fault::new(format!("bad path \"{path}\""), why, "write a path such as \"/\""))
    });
    if !cookie::is_name(name) {
        let why = "the cookie of its sessions is called after it (RFC 6265)";
        let fix = "give the mount a name of letters, digits, - and _";
        let what = format!("no cookie can be called \"{name}\"");
        mount.fault("name", Fault::new(what, why, fix));
    }
    mount.note("oidc_login", Toml::Table(section.finish()));
    let (fetching, client_id, callback) = (fetching?, client_id?, callback?);
    let host = if callback.origin.starts_with("https://") { "__Host-" } else { "" };
    let settings = OidcSettings {
        provider: format!("{name}.oidc_login").into(),
        party: RelyingParty {
            issuer: fetching.issuer.clone(),
            client_id: client_id.clone(),
            leeway: LEEWAY,
        },
        redirect_uri: callback.address.clone(),
        scopes,
        origin: callback.origin,
        prefix: callback.prefix,
        cookie: format!("{host}portcullis-session-{name}").into(),
        create,
        join_by_email,
        idle,
        lifetime,
        after_logout,
    };
    let client = Client { client_id, secret: client_secret?, redirect_uri: callback.address };
    Some(OidcConfig { settings: Arc::new(settings), fetching, client })
}

/// Our callback, and what it says about where we are.
struct Callback {
    address: Arc<str>,
    origin: Arc<str>,
    prefix: Arc<str>,
}

fn redirect_uri(section: &mut Section<'_>, places: &[Place]) -> Option<Callback> {
    let address = section.need::<Arc<str>>("redirect_uri")?;
    if let Err(fault) = web_address(&address) {
        section.fault("redirect_uri", fault);
        return None;
    }
    let url = Url::parse(&address).ok()?;
    let prefix = url.path().strip_suffix(oidc::CALLBACK).filter(|_| url.query().is_none());
    let at = prefix.and_then(|prefix| places.iter().find(|place| *place.prefix == *prefix));
    let Some(place) = at else {
        let what = format!("\"{address}\" is not where the mount answers");
        let why = "the provider sends browsers there, and the mount must take them";
        let prefix = places.first().map_or("", |place| &*place.prefix);
        let fix = format!("write \"https://HOST{prefix}{}\"", oidc::CALLBACK);
        if !places.is_empty() {
            section.fault("redirect_uri", Fault::new(what, why, fix));
        }
        return None;
    };
    let (origin, prefix) = (url.origin().ascii_serialization().into(), place.prefix.clone());
    Some(Callback { address, origin, prefix })
}

fn scopes(section: &mut Section<'_>) -> Arc<str> {
    let written = section.checked("scopes", vec![OPENID.to_owned()], |scopes| {
        // RFC 6749 section 3.3.
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let fits = |scope: &String| !scope.is_empty() && scope.bytes().all(plain);
        if scopes.iter().all(fits) && scopes.iter().any(|scope| scope == OPENID) {
            return Ok(());
        }
        let why = "without \"openid\" the provider says nothing about who it is";
        Err(Fault::new("bad scopes", why, "write [\"openid\", \"email\"]"))
    });
    written.join(" ").into()
}

/// Who may come. Roles, where accounts are made.
fn accounts(section: &mut Section<'_>, around: &static_keys::Around<'_>) -> Option<Vec<Arc<str>>> {
    let word = section.or("accounts", "linked".to_owned());
    let realm = around.realms.iter().find(|realm| Some(&realm.is.name) == around.realm);
    let usual = realm.map(|realm| realm.is.rules.default_role.clone());
    let usual: Vec<Arc<str>> = usual.into_iter().filter(|role| !role.is_empty()).collect();
    if word != "create" {
        if word != "linked" {
            let known = ["linked", "create"];
            let (place, key) = (section.place_of("accounts"), section.key("accounts"));
            section.problems.unknown(&place, key, "word", &word, known, "write \"linked\"");
        }
        if section.has("roles") {
            let why = "they are the roles of accounts that a login makes, and none is made";
            let fix = "remove roles, or write accounts = \"create\"";
            section.fault("roles", Fault::new("roles without accounts = \"create\"", why, fix));
        }
        section.raw("roles");
        return None;
    }
    if realm.is_some_and(|realm| realm.is.rules.organisations) {
        let why =
            "in this realm every account belongs to an organisation, and nobody says to which";
        let fix = "write accounts = \"linked\", and join accounts with `user link`";
        section.fault(
            "accounts",
            Fault::new("accounts = \"create\" in a realm with organisations", why, fix),
        );
    }
    let roles = section.or("roles", usual);
    static_keys::known_roles(section, &roles, around);
    Some(roles)
}

fn limits(section: &mut Section<'_>) -> (Duration, Duration) {
    let within = |least: Duration, most: Duration| {
        move |span: &Duration| {
            if (least..=most).contains(span) {
                return Ok(());
            }
            let why = format!("it must be between {} and {}", least.write(), most.write());
            Err(Fault::new("out of range", why, "write a duration in range"))
        }
    };
    let lifetime = section.checked("lifetime", LIFETIME, within(MINUTE, LONGEST));
    let idle = section.checked("idle", IDLE.min(lifetime), within(MINUTE, 24 * HOUR));
    if idle > lifetime {
        let why = "no session would ever rest for so long";
        section.fault("idle", Fault::new("idle is longer than lifetime", why, "shorten it"));
    }
    (idle, lifetime)
}
