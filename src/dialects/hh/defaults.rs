//! What the hh contract fixes, as data the configuration starts from. Decides nothing.

use std::time::Duration;

use crate::{
    dialects::{
        Defaults, OAuthDefaults,
        table::{self, ALL, DAY, HOUR, MINUTE},
    },
    identity::settings::{CodeSettings, RealmRules, TokenSettings},
    pipeline::{Limit, Per, Policy, RateHeaders, Window},
};

/// The one role: whoever is on the allow list.
const USER: &str = "USER";

/// hh.ru as a provider (public documentation of its API) and the life times of the contract.
pub(super) fn oauth() -> OAuthDefaults {
    OAuthDefaults {
        provider: "hh.ru",
        authorize_url: "https://hh.ru/oauth/authorize",
        token_url: "https://api.hh.ru/token",
        profile_url: "https://api.hh.ru/me",
        user_agent: concat!("Portcullis/", env!("CARGO_PKG_VERSION")),
        // hh.ru knows no PKCE, and wants to see nothing but the token at a refresh.
        pkce: false,
        client_at_refresh: false,
        state_lifetime: MINUTE * 10,
        code_lifetime: MINUTE * 5,
        session_lifetime: DAY * 30,
        // Published clients ask for `/users/me?session_id=`.
        session_in_query: true,
    }
}

/// The defaults of an hh mount.
pub(super) fn defaults() -> Defaults {
    Defaults {
        // None are issued: sessions are opaque, and the access tokens are the provider's.
        tokens: TokenSettings::strict("hh-auth-service"),
        codes: CodeSettings::default(),
        api_key_format: None,
        agents: None,
        webhooks: None,
        realm: realm(),
        policy: policy(),
        limits: vec![Limit {
            name: "hh-general".into(),
            per: vec![Per::Client],
            windows: vec![Window { limit: 100, per: MINUTE }, Window { limit: 1000, per: HOUR }],
            shadow: false,
            across: crate::pipeline::quota::Across::default(),
        }],
        general_limits: &["hh-general"],
        rate_headers: RateHeaders { legacy_always: true, policy: false, ietf: false },
        body_limit: 64 * 1024,
        // A callback waits for two calls to the provider.
        timeout: Duration::from_secs(20),
    }
}

/// Nobody has a password here, so these rules are the strict ones; the throttle also counts the administrator's failures.
fn realm() -> RealmRules {
    RealmRules { roles: vec![USER.into()], default_role: USER.into(), ..RealmRules::strict() }
}

/// Who is on the allow list may use what the operator opens to sessions; a route may ask for more.
fn policy() -> Policy {
    Policy {
        actions: vec![table::action(&[], None, "use")],
        resources: vec![table::resource("everything", &["/**"], &[(USER, ALL)])],
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_times_are_those_of_the_contract() {
        let oauth = oauth();
        assert_eq!(oauth.state_lifetime.as_secs(), 600);
        assert_eq!(oauth.code_lifetime.as_secs(), 300);
        assert_eq!(oauth.session_lifetime.as_secs(), 720 * 3600);
    }

    #[test]
    fn both_windows_count_per_client() {
        let limits = defaults().limits;
        let [limit] = limits.as_slice() else { panic!("one limit") };
        assert_eq!(limit.per, [Per::Client]);
        assert_eq!(limit.windows.len(), 2);
    }
}
