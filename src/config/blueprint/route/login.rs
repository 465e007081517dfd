//! `login` of a route: whether people without a session are sent to the login of the mount.

use std::sync::Arc;

use super::{MountConfig, Section};
use crate::{config::shape::Fault, dialects::oidc, model::AuthMethod, pipeline::Authn};

/// `login`: whether browsers without a session are sent to the login of the mount.
pub(super) fn read(
    section: &mut Section<'_>,
    mount: Option<&MountConfig>,
    authn: Option<&Authn>,
) -> Option<Arc<str>> {
    if !section.or("login", false) {
        return None;
    }
    let oidc = mount.and_then(|mount| mount.oidc_login.as_ref());
    if mount.is_some() && oidc.is_none() {
        let why = "there is no login to send browsers to";
        let fix = "add [mount.oidc_login] to the mount";
        section.fault("login", Fault::new("login without a login of the mount", why, fix));
    }
    if authn.is_some_and(|authn| !authn.takes(AuthMethod::Session)) {
        let why = "who has logged in comes back with a session, and the route takes none";
        let fix = "add \"session\" to authn";
        section.fault("login", Fault::new("login without session", why, fix));
    }
    let settings = &oidc?.settings;
    Some(format!("{}{}{}", settings.origin, settings.prefix, oidc::LOGIN).into())
}
