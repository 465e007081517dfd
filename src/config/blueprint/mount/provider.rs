//! `provider`, `login`, `administrator` and `session` of a mount whose people log in through a provider.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Uri, header};
use toml::Value as Toml;

use crate::{
    config::{
        blueprint::{Context, process::secret_of_identity},
        document::Value,
        secret::SecretRef,
        section::Section,
        shape::{Fault, Shape},
    },
    dialects::OAuthDefaults,
    identity::{Administrator, OAuthSettings, refused_hash},
    model::{SecretString, secret::ExposeSecret},
    pipeline::SessionCarrier,
};

/// What the file says about a provider and the logins through it.
#[derive(Clone, Debug)]
pub struct OAuthConfig {
    /// Provider and logins.
    pub settings: Arc<OAuthSettings>,
    /// Who may administrate the mount.
    pub administrator: Option<Administrator>,
    /// Where a session may sit on protected routes.
    pub session_carrier: Option<SessionCarrier>,
    /// Whether endpoints of the contract take a session out of the query.
    pub session_in_query: bool,
}

pub(super) fn read(
    mount: &mut Section<'_>,
    context: &Context<'_>,
    start: OAuthDefaults,
) -> Option<OAuthConfig> {
    let provider = provider(mount, context, start.clone());
    let (settings, session_in_query) = login(mount, provider, start);
    let administrator = administrator(mount, context);
    let session_carrier = carrier(mount);
    if !session_in_query && session_carrier.is_none() {
        let why = "then the mount's cookie or header brings the session, and there is none";
        let fix = "add session = { cookie = \"hh_session_id\" } to the mount";
        mount.fault("login", Fault::new("session_in_query = false without session", why, fix));
    }
    settings.map(|settings| OAuthConfig {
        settings: Arc::new(settings),
        administrator,
        session_carrier,
        session_in_query,
    })
}

struct Provider {
    name: Arc<str>,
    urls: [Arc<str>; 3],
    redirect_uri: Arc<str>,
    other_redirect_uris: Vec<Arc<str>>,
    client: (Arc<str>, SecretString),
    user_agent: Arc<str>,
    pkce: bool,
    client_at_refresh: bool,
    timeout: Duration,
}

fn provider(
    mount: &mut Section<'_>,
    context: &Context<'_>,
    start: OAuthDefaults,
) -> Option<Provider> {
    let mut section = mount.inner("provider");
    let name = section.or("name", Arc::from(start.provider));
    let authorize = section.checked("authorize_url", Arc::from(start.authorize_url), web_address);
    let token = section.checked("token_url", Arc::from(start.token_url), web_address);
    let profile = section.checked("profile_url", Arc::from(start.profile_url), web_address);
    let client_id = section.need::<Arc<str>>("client_id");
    if !section.has("client_secret") {
        section.missing("client_secret", SecretRef::EXPECTED);
    }
    let client_secret = secret_of_identity(&mut section, "client_secret", context);
    let redirect_uri = section.need::<Arc<str>>("redirect_uri");
    if let Some(Err(fault)) = redirect_uri.as_ref().map(web_address) {
        section.fault("redirect_uri", fault);
    }
    let main = redirect_uri.clone();
    let others = section.checked("other_redirect_uris", Vec::<Arc<str>>::new(), |others| {
        others.iter().try_for_each(web_address)?;
        // One cookie for all of them: it asks for TLS, or it does not.
        let scheme = |uri: &str| uri.split_once(':').map(|(scheme, _)| scheme.to_owned());
        if others.iter().all(|uri| main.as_ref().is_none_or(|main| scheme(main) == scheme(uri))) {
            return Ok(());
        }
        let why = "the cookie of a login either asks for TLS or does not";
        Err(Fault::new("another scheme than redirect_uri", why, "write https everywhere"))
    });
    let user_agent = section.checked("user_agent", Arc::from(start.user_agent), |text| {
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        if !text.trim().is_empty() && text.chars().all(plain) {
            return Ok(());
        }
        let why = "it goes into a header field, and the provider wants to know who calls";
        Err(Fault::new("bad user agent", why, "write \"MyService/1.0 (me@example.org)\""))
    });
    let pkce = section.or("pkce", start.pkce);
    let client_at_refresh = section.or("client_at_refresh", start.client_at_refresh);
    let timeout = section.checked("timeout", Duration::from_secs(5), |span| {
        let range = Duration::from_millis(100)..=Duration::from_secs(8);
        if range.contains(span) {
            return Ok(());
        }
        let why = "a callback makes two calls, and a browser waits for both";
        Err(Fault::new("out of range", why, "write \"100ms\" to \"8s\""))
    });
    mount.note("provider", Toml::Table(section.finish()));
    Some(Provider {
        name,
        urls: [authorize, token, profile],
        redirect_uri: redirect_uri?,
        other_redirect_uris: others,
        client: (client_id?, client_secret?),
        user_agent,
        pkce,
        client_at_refresh,
        timeout,
    })
}

fn login(
    mount: &mut Section<'_>,
    provider: Option<Provider>,
    start: OAuthDefaults,
) -> (Option<OAuthSettings>, bool) {
    let mut section = mount.inner("login");
    let spans = [
        ("state_lifetime", start.state_lifetime, Duration::from_secs(3600)),
        ("exchange_code_lifetime", start.code_lifetime, Duration::from_secs(3600)),
        ("session_lifetime", start.session_lifetime, Duration::from_secs(366 * 24 * 3600)),
    ];
    let [state_lifetime, code_lifetime, session_lifetime] = spans.map(|(key, span, most)| {
        section.checked(key, span, |span| {
            if (Duration::from_secs(1)..=most).contains(span) {
                return Ok(());
            }
            let fix = format!("write \"1s\" to \"{}m\"", most.as_secs() / 60);
            Err(Fault::new("out of range", "it would be no use, or never end", fix))
        })
    });
    let redirect_page = section.maybe::<Arc<str>>("redirect_page");
    if let Some(Err(fault)) = redirect_page.as_ref().map(web_address) {
        section.fault("redirect_page", fault);
    }
    let json_login = section.or("json", false);
    let removal_ends_sessions = section.or("removal_ends_sessions", false);
    let session_in_query = section.or("session_in_query", start.session_in_query);
    mount.note("login", Toml::Table(section.finish()));
    let Some(provider) = provider else { return (None, session_in_query) };
    let Provider {
        name,
        urls: [authorize_url, token_url, profile_url],
        redirect_uri,
        other_redirect_uris,
        client: (client_id, client_secret),
        user_agent,
        pkce,
        client_at_refresh,
        timeout,
    } = provider;
    let settings = OAuthSettings {
        provider: name,
        authorize_url,
        token_url,
        profile_url,
        client_id,
        client_secret,
        redirect_uri,
        other_redirect_uris: other_redirect_uris.into(),
        user_agent,
        pkce,
        client_at_refresh,
        timeout,
        state_lifetime,
        code_lifetime,
        session_lifetime,
        removal_ends_sessions,
        redirect_page,
        json_login,
    };
    (Some(settings), session_in_query)
}

fn administrator(mount: &mut Section<'_>, context: &Context<'_>) -> Option<Administrator> {
    if !mount.has("administrator") {
        // Asked for all the same, so that it is a known key.
        mount.raw("administrator");
        return None;
    }
    let mut section = mount.inner("administrator");
    let username = section.need::<Arc<str>>("username");
    let password_hash = hash(&mut section, context);
    mount.note("administrator", Toml::Table(section.finish()));
    let username = username?;
    if username.is_empty() || username.contains(':') {
        let why = "a colon ends the name in HTTP Basic (RFC 7617)";
        let fault = Fault::new("bad user name", why, "choose another name");
        mount.fault("administrator", fault);
    }
    Some(Administrator { username, password_hash: password_hash? })
}

/// A hash may stand in the file: it is no password. So is a reference to one.
fn hash(section: &mut Section<'_>, context: &Context<'_>) -> Option<SecretString> {
    if !section.has("password_hash") {
        section.raw("password_hash");
        section.missing("password_hash", "a bcrypt hash, or a reference to one");
        return None;
    }
    let literal = match section.raw("password_hash").map(|node| &node.value) {
        Some(Value::Text(text)) if text.starts_with('$') => Some(text.clone()),
        _ => None,
    };
    let found = match literal {
        Some(text) => {
            section.note("password_hash", Toml::String(text.clone()));
            SecretString::from(text)
        }
        None => secret_of_identity(section, "password_hash", context)?,
    };
    if let Some(what) = refused_hash(found.expose_secret().trim()) {
        let why = "it must be the strong hash of a password, never a password";
        let fix = "make one: htpasswd -nbBC 12 admin 'the password' | cut -d: -f2";
        section.fault("password_hash", Fault::new(what, why, fix));
        return None;
    }
    Some(found.expose_secret().trim().into())
}

fn carrier(mount: &mut Section<'_>) -> Option<SessionCarrier> {
    if !mount.has("session") {
        mount.raw("session");
        return None;
    }
    let mut section = mount.inner("session");
    let cookie = section.maybe::<Arc<str>>("cookie");
    let header = section.maybe::<HeaderName>("header");
    let fault = |what: &str, why: &str| {
        Fault::new(what, why, "write session = { cookie = \"hh_session_id\" }")
    };
    let carrier = match (cookie, header) {
        (Some(name), None) => {
            if !crate::pipeline::cookie::is_name(&name) {
                let why = "a cookie's name has letters, digits and a few signs (RFC 6265)";
                section.fault("cookie", fault("bad cookie name", why));
            }
            Some(SessionCarrier::Cookie(name))
        }
        (None, Some(name)) => {
            let taken = [header::AUTHORIZATION, header::COOKIE, crate::pipeline::view::API_KEY];
            if taken.contains(&name) || crate::pipeline::is_reserved(&name) {
                let why = "this field has another meaning, or only the gateway may set it";
                section.fault("header", fault("header name that is taken", why));
            }
            Some(SessionCarrier::Header(name))
        }
        (None, None) => {
            section.missing("cookie", "\"hh_session_id\"");
            None
        }
        (Some(_), Some(_)) => {
            let why = "one request could then carry two sessions";
            section.fault("header", fault("both a cookie and a header", why));
            None
        }
    };
    mount.note("session", Toml::Table(section.finish()));
    carrier
}

/// An address that secrets may be sent to: TLS, or this machine.
pub(super) fn web_address(text: &Arc<str>) -> Result<(), Fault> {
    let fix = "write \"https://…\"; plain http is for loopback only";
    let wrong = |why: &str| Err(Fault::new(format!("bad address \"{text}\""), why, fix));
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("it is no address");
    };
    let Some(authority) = uri.authority() else {
        return wrong("it names no host");
    };
    if authority.as_str().contains('@') || text.contains('#') {
        return wrong("neither user names nor fragments belong into it");
    }
    let host = authority.host().trim_matches(['[', ']']);
    let loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if loopback => Ok(()),
        _ => wrong("codes and tokens would go over the network in clear"),
    }
}
