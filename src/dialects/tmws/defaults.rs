//! What the tmws contract fixes, as data the configuration starts from. Decides nothing.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::policy;
use crate::{
    dialects::{
        Defaults,
        table::{DAY, HOUR, MINUTE, limit, texts},
    },
    identity::settings::{
        Claim, CodeSettings, Fact, Lockout, LoginThrottle, PasswordRule, RealmRules, TokenSettings,
    },
    pipeline::{Per, RateHeaders, Window},
};

/// Roles of the contract, the mightiest first. A creator gives no role that stands before its own.
pub(super) const ROLES: [&str; 5] = ["SUPER_ADMIN", "ADMIN", "USER", "READONLY", "SERVICE"];

/// The defaults of a tmws mount.
pub(super) fn defaults() -> Defaults {
    Defaults {
        tokens: tokens(),
        agents: None,
        webhooks: None,
        codes: CodeSettings::default(),
        api_key_format: Some("tmws_key_".into()),
        realm: realm(),
        policy: policy::policy(),
        limits: vec![limit("tmws-general", Per::Credential, 100, MINUTE)],
        general_limits: &["tmws-general"],
        rate_headers: RateHeaders { legacy_always: true, policy: false, ietf: false },
        body_limit: 64 * 1024,
        // A login must be answered well inside 5 s (README of the contracts, rule 15); this is the last resort.
        timeout: Duration::from_secs(10),
    }
}

/// Contract section "Tokens and keys".
fn tokens() -> TokenSettings {
    TokenSettings {
        audience: Some("tmws-api".into()),
        algorithm: Algorithm::HS256,
        key_id_in_header: false,
        access_claims: CLAIMS,
        access_lifetime: HOUR,
        refresh_lifetime: DAY * 30,
        refresh_rotates: true,
        refresh_grace: Duration::from_secs(10),
        ..TokenSettings::strict("tmws-auth-service")
    }
}

/// The claims of the contract beside the registered ones. The namespace stands there also as null.
const CLAIMS: &[Claim] = &[
    Claim::new("username", Fact::Username),
    Claim::new("email", Fact::Email),
    Claim::new("roles", Fact::Roles),
    Claim { name: "agent_namespace", says: Fact::Tenant, null: true },
    Claim::new("sid", Fact::Session),
];

/// Contract section "Passwords and lockout".
fn realm() -> RealmRules {
    RealmRules {
        password: PasswordRule {
            upper: true,
            lower: true,
            digit: true,
            symbols: "!@#$%^&*()_+-=[]{}|;:,.<>?".into(),
            forbidden: texts(&["password", "123456", "qwerty", "admin", "user"]),
            ..PasswordRule::at_least(12)
        },
        lockout: Some(Lockout { failures: 5, duration: MINUTE * 30 }),
        throttle: LoginThrottle {
            per_address_and_name: vec![Window { limit: 10, per: MINUTE }],
            per_address: vec![Window { limit: 100, per: MINUTE }],
            ..LoginThrottle::default()
        },
        roles: texts(&ROLES),
        default_role: "USER".into(),
        ..RealmRules::strict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_tokens_outlive_the_clients_refresh_margin() {
        let tokens = tokens();
        assert_eq!(tokens.access_lifetime.as_secs(), 3600);
        assert!(tokens.access_lifetime > Duration::from_secs(300), "trap 3 of the contract");
        assert!(tokens.refresh_rotates && tokens.refresh_grace == Duration::from_secs(10));
    }
}
