//! Where the logins of a mount through a provider are weaker than the strict values.

use super::Findings;
use crate::config::blueprint::OAuthConfig;

/// A day: what a session without an idle limit should not outlive.
const STRICT_SESSION: u64 = 24 * 3600;

pub(super) fn findings(path: &str, oauth: &OAuthConfig, findings: &mut Findings) {
    let settings = &oauth.settings;
    if !settings.pkce {
        let key = format!("{path}.provider.pkce");
        let what = "codes of the provider are bound to no verifier (RFC 7636)";
        findings.relax("R-OAUTH-NO-PKCE", key, what, "true");
    }
    if settings.json_login {
        let key = format!("{path}.login.json");
        findings.relax("R-LOGIN-UNBOUND", key, "a login is bound to no browser", "false");
    }
    if settings.session_lifetime.as_secs() > STRICT_SESSION {
        let key = format!("{path}.login.session_lifetime");
        let days = settings.session_lifetime.as_secs().div_ceil(STRICT_SESSION);
        let what = format!("a session id is good for {days} days, used or not");
        findings.relax("R-SESSION-LONG", key, what, "\"24h\"");
    }
    if oauth.session_in_query {
        let key = format!("{path}.login.session_in_query");
        let what =
            "GET /users/me takes the session id in the query, where proxies and histories keep it";
        findings.relax("R-SESSION-IN-QUERY", key, what, "false, and session = { cookie = … }");
    }
    if oauth.administrator.is_some() {
        let key = format!("{path}.administrator");
        let what = "an administrator sends name and password with every request";
        findings.relax("R-ADMIN-BASIC", key, what, "no administrator");
    }
}
