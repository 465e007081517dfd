//! What a token may reach: scopes and audiences, never more than client, account or subject token have (RFC 8707, RFC 9700
//! section 2.3).

use std::sync::Arc;

use super::{AuthorizationServerSettings, GrantFault, client_rules::is_scope};
use crate::{identity::IdentityError, store::ClientRecord};

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `scope`; `None`: whatever there is.
    pub scope: Option<String>,
    /// `resource` and `audience`, repeatable; none: what the token is usually for.
    pub resources: Vec<String>,
}

/// One thing that bounds scopes: only what it holds can be granted. `None`: it bounds none.
pub(super) type Bound<'a> = Option<&'a [String]>;

/// The scopes of a token. All that are asked for must be held by everybody; without a word it is what everybody holds.
pub(super) fn scopes(
    server: &AuthorizationServerSettings,
    wanted: Option<&str>,
    client: &ClientRecord,
    others: &[Bound<'_>],
) -> Result<Vec<String>, IdentityError> {
    let bounds = || others.iter().flatten().copied().chain([client.scopes.as_slice()]);
    let held = |scope: &str| bounds().all(|own| covers(server, own, scope));
    let mut granted: Vec<String> = match wanted {
        None => {
            // The narrowest names of all: one bound may say with one word what another says with many.
            let all = bounds().flatten().filter(|scope| held(scope)).cloned();
            all.collect()
        }
        Some(wanted) => {
            let asked: Vec<&str> = wanted.split(' ').filter(|scope| !scope.is_empty()).collect();
            if asked.is_empty() || !asked.iter().all(|scope| is_scope(scope) && held(scope)) {
                return Err(IdentityError::Grant(GrantFault::Scope));
            }
            asked.into_iter().map(str::to_owned).collect()
        }
    };
    granted.sort();
    granted.dedup();
    Ok(granted)
}

/// The audiences of a token: `own` is what it may be for at all, and what it is for without a word.
pub(super) fn audiences(
    wanted: &Wanted,
    client: &ClientRecord,
    server: &AuthorizationServerSettings,
    own: &[String],
) -> Result<Vec<String>, IdentityError> {
    let may = |target: &String| {
        own.contains(target) && (**target == *server.audience || client.resources.contains(target))
    };
    let asked = if wanted.resources.is_empty() {
        own.iter().filter(|target| may(target)).cloned().collect()
    } else {
        wanted.resources.clone()
    };
    let mut asked: Vec<String> = asked;
    asked.sort();
    asked.dedup();
    if asked.is_empty() || !asked.iter().all(may) {
        return Err(IdentityError::Grant(GrantFault::Target));
    }
    Ok(asked)
}

/// Whether one of these names is or includes the scope; exactly as written.
fn covers(server: &AuthorizationServerSettings, held: &[String], scope: &str) -> bool {
    if held.iter().any(|own| own == scope) {
        return true;
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = held.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if name == scope {
            return true;
        }
        // Inclusions may form a circle; each name is opened once.
        if !seen.contains(&name) {
            seen.push(name);
            let rows = server.includes.iter().filter(|(own, _)| **own == *name);
            open.extend(rows.flat_map(|(_, names)| names.iter().map(|name| &**name)));
        }
    }
    false
}

/// What these roles may hand out; `None` where no table says.
pub(super) fn of_roles(
    table: &[(Arc<str>, Vec<Arc<str>>)],
    roles: &[impl AsRef<str>],
) -> Option<Vec<String>> {
    if table.is_empty() {
        return None;
    }
    let own = |role: &str| roles.iter().any(|name| name.as_ref() == role);
    let rows = table.iter().filter(|(role, _)| own(role));
    Some(rows.flat_map(|(_, scopes)| scopes.iter().map(ToString::to_string)).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::Algorithm;

    use super::*;
    use crate::model::Timestamp;

    fn server() -> AuthorizationServerSettings {
        AuthorizationServerSettings {
            issuer: "https://a".into(),
            audience: "https://api".into(),
            algorithm: Algorithm::ES256,
            access_lifetime: Duration::from_secs(60),
            refresh_lifetime: Duration::from_secs(60),
            rotate_every: None,
            publish_ahead: Duration::ZERO,
            login: false,
            bind_certificates: false,
            includes: vec![
                ("FULL".into(), vec!["READ".into(), "WRITE".into()]),
                ("WRITE".into(), vec!["FULL".into()]),
            ],
        }
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn client(scopes: &[&str], resources: &[&str]) -> ClientRecord {
        ClientRecord {
            id: "c".into(),
            mount: "m".into(),
            realm: "r".into(),
            name: "c".into(),
            secret: None,
            spare_secret: None,
            jwks: None,
            scopes: texts(scopes),
            roles: Vec::new(),
            grants: Vec::new(),
            resources: texts(resources),
            redirect_uris: Vec::new(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            expires_at: None,
            disabled_at: None,
        }
    }

    #[test]
    fn scopes_never_go_beyond_anybody() {
        let server = server();
        let granted = |wanted: Option<&str>, own: &[&str], other: Option<&[&str]>| {
            let other = other.map(texts);
            scopes(&server, wanted, &client(own, &[]), &[other.as_deref()])
                .map(|scopes| scopes.join(" "))
                .ok()
        };
        assert_eq!(granted(None, &["A", "B"], None).as_deref(), Some("A B"));
        assert_eq!(granted(None, &["A", "B"], Some(&["B", "C"])).as_deref(), Some("B"));
        assert_eq!(granted(Some("A A"), &["A", "B"], None).as_deref(), Some("A"));
        assert_eq!(granted(Some("READ"), &["FULL"], Some(&["READ"])).as_deref(), Some("READ"));
        assert_eq!(granted(None, &["FULL"], Some(&["READ"])).as_deref(), Some("READ"));
        for (wanted, own, other) in [
            ("A C", &["A"][..], None),
            ("C", &["A", "C"], Some(&["A"][..])),
            ("FULL", &["READ"], None),
            ("a", &["A"], None),
            ("AB", &["A", "B"], None),
            ("", &["A"], None),
        ] {
            assert_eq!(granted(Some(wanted), own, other), None, "{wanted}");
        }
    }

    #[test]
    fn a_token_is_for_what_client_and_subject_may_both_reach() {
        let server = server();
        let asked = |resources: &[&str], own: &[&str]| {
            let wanted = Wanted { scope: None, resources: texts(resources) };
            audiences(&wanted, &client(&[], &["https://b"]), &server, &texts(own)).ok()
        };
        let both = ["https://api", "https://b"];
        assert_eq!(asked(&["https://b"], &both), Some(texts(&["https://b"])));
        assert_eq!(asked(&[], &["https://api"]), Some(texts(&["https://api"])));
        assert_eq!(asked(&both, &both), Some(texts(&both)));
        assert_eq!(asked(&["https://c"], &["https://c"]), None, "not the client's");
        assert_eq!(asked(&["https://b"], &["https://api"]), None, "not the subject's");
        assert_eq!(asked(&[], &["https://c"]), None);
    }
}
