//! What may be asked of a new client. Pure; every fault is reported at once.

use std::time::Duration;

use url::Url;

use super::{GRANTS, Grant, NewClient, client_keys};
use crate::identity::{FieldError, IdentityError, RealmRules};

const LONGEST_NAME: usize = 128;
const LONGEST_SCOPE: usize = 128;
const MOST: usize = 64;
const LONGEST_URI: usize = 2048;
/// Longest life of a client that has an end.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
/// Longest overlap of two secrets.
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Says everything that is wrong with a request for a client.
pub(super) fn acceptable(rules: &RealmRules, new: &NewClient) -> Result<(), IdentityError> {
    let mut faults = Vec::new();
    let mut fault = |field, kind, message: String| faults.push(FieldError { field, kind, message });
    let length = new.name.chars().count();
    if !(2..=LONGEST_NAME).contains(&length) || new.name.chars().any(char::is_control) {
        fault("name", "invalid", format!("Must have 2 to {LONGEST_NAME} printable characters"));
    }
    for scope in new.scopes.iter().filter(|scope| !is_scope(scope)) {
        let message = format!("{:?} is no scope (RFC 6749 section 3.3)", shown(scope));
        fault("scopes", "invalid", message);
    }
    for role in new.roles.iter().filter(|role| rules.roles.iter().all(|known| **known != ***role)) {
        fault("roles", "unknown", format!("The realm has no role {:?}", shown(role)));
    }
    if new.grants.is_empty() {
        fault("grants", "missing", "At least one grant is needed".to_owned());
    }
    for name in new.grants.iter().filter(|name| GRANTS.iter().all(|(_, known)| known != name)) {
        let known: Vec<_> = GRANTS.iter().map(|(_, name)| *name).collect();
        let message = format!("There is no grant {:?}, but {}", shown(name), known.join(", "));
        fault("grants", "unknown", message);
    }
    for resource in new.resources.iter().filter(|resource| !is_resource(resource)) {
        let message =
            format!("{:?} is no absolute address without a fragment (RFC 8707)", shown(resource));
        fault("resources", "invalid", message);
    }
    let has = |grant: Grant| new.grants.iter().any(|name| name == grant.as_str());
    let logs_in = has(Grant::AuthorizationCode);
    if logs_in == new.redirect_uris.is_empty() {
        let message = "The grant authorization_code needs one, and no other does".to_owned();
        fault("redirect_uris", "invalid", message);
    }
    if has(Grant::RefreshToken) && !logs_in {
        let message = "refresh_token renews what authorization_code gave".to_owned();
        fault("grants", "invalid", message);
    }
    for uri in new.redirect_uris.iter().filter(|uri| !is_redirect(uri)) {
        let message = format!("{:?} is no https address (http on loopback)", shown(uri));
        fault("redirect_uris", "invalid", message);
    }
    let lists = [&new.scopes, &new.roles, &new.grants, &new.resources, &new.redirect_uris];
    if lists.into_iter().any(|list| list.len() > MOST) {
        fault("scopes", "too_long", format!("No list may have more than {MOST} entries"));
    }
    if let Some(Err(why)) = new.jwks.as_ref().map(client_keys::read) {
        fault("jwks", "invalid", why.to_owned());
    }
    if new.lifetime.is_some_and(|life| life.is_zero() || life > LONGEST_LIFE) {
        fault("expires_days", "invalid", "Must be 1 to 36500".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(faults)) }
}

/// Refuses an overlap that is too long.
pub(super) fn acceptable_overlap(overlap: Duration) -> Result<(), IdentityError> {
    if overlap <= LONGEST_OVERLAP {
        return Ok(());
    }
    let message = format!("Must be at most {}", LONGEST_OVERLAP.as_secs());
    let fault = FieldError { field: "overlap_seconds", kind: "invalid", message };
    Err(IdentityError::Invalid(vec![fault]))
}

/// RFC 6749 section 3.3, `scope-token`.
pub(super) fn is_scope(text: &str) -> bool {
    (1..=LONGEST_SCOPE).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// RFC 8707 section 2: absolute, without a fragment. URNs are addresses too.
pub(super) fn is_resource(text: &str) -> bool {
    text.len() <= LONGEST_URI
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains('#')
        && Url::parse(text).is_ok()
}

/// RFC 9700 section 2.1: compared exactly, and nobody can read along.
fn is_redirect(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    is_resource(text)
        && url.username().is_empty()
        && url.password().is_none()
        && url.host().is_some()
        && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_sent_to_https_or_to_this_machine_only() {
        for fine in ["https://app.example.org/cb", "http://127.0.0.1:8080/cb", "http://[::1]/cb"] {
            assert!(is_redirect(fine), "{fine}");
        }
        for odd in [
            "http://app.example.org/cb",
            "https://app.example.org/cb#a",
            "https://u:p@app.example.org/cb",
            "javascript:alert(1)",
            "app://cb",
            "/cb",
            "https://app.example.org/a b",
        ] {
            assert!(!is_redirect(odd), "{odd}");
        }
    }

    #[test]
    fn scopes_are_words() {
        for fine in ["READ", "users:view", "a/b"] {
            assert!(is_scope(fine), "{fine}");
        }
        for odd in ["", "a b", "a\"", "a\\", "\u{e4}", &"x".repeat(129)] {
            assert!(!is_scope(odd), "{odd}");
        }
    }
}
