//! What the bearer contract fixes, as data the configuration starts from. Decides nothing.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::{
    dialects::{
        Defaults,
        table::{self, ALL, HOUR, MINUTE, limit, resource, texts},
    },
    identity::settings::{
        Claim, CodeForm, CodeRule, CodeSettings, Fact, LoginThrottle, PasswordRule, RealmRules,
        RefreshForm, TokenSettings,
    },
    pipeline::{Per, Policy, RateHeaders, Window},
};

/// The role behind `is_superuser`, and the one of everybody else.
pub(super) const SUPERUSER: &str = "superuser";
pub(super) const USER: &str = "user";

/// The defaults of a bearer mount.
pub(super) fn defaults() -> Defaults {
    Defaults {
        tokens: tokens(),
        codes: CodeSettings {
            reset: code("fastapi-users:reset"),
            verify: code("fastapi-users:verify"),
        },
        api_key_format: None,
        agents: None,
        webhooks: None,
        realm: realm(),
        policy: policy(),
        // The contract fixes none; without any, registration and mail would be open to floods.
        limits: vec![
            limit("bearer-general", Per::Credential, 300, MINUTE),
            limit("bearer-register", Per::Client, 10, MINUTE),
            limit("bearer-mail", Per::Client, 10, MINUTE),
            limit("bearer-codes", Per::Client, 10, MINUTE),
        ],
        general_limits: &["bearer-general"],
        rate_headers: RateHeaders { legacy_always: false, policy: false, ietf: false },
        body_limit: 64 * 1024,
        timeout: Duration::from_secs(10),
    }
}

/// Contract section "Semantics". `iat`, `jti`, `iss`, the session and the roles beside what the library has: without them
/// nothing could be revoked, and no policy could be asked.
fn tokens() -> TokenSettings {
    TokenSettings {
        audience: Some("fastapi-users:auth".into()),
        audience_list: true,
        algorithm: Algorithm::HS256,
        key_id_in_header: false,
        access_claims: CLAIMS,
        access_lifetime: HOUR,
        refresh_form: RefreshForm::None,
        ..TokenSettings::strict("fastapi-users")
    }
}

const CLAIMS: &[Claim] = &[Claim::new("roles", Fact::Roles), Claim::new("sid", Fact::Session)];

fn code(audience: &str) -> CodeRule {
    let form = CodeForm::Jwt { audience: audience.into() };
    CodeRule { form, lifetime: HOUR, ..CodeRule::default() }
}

/// Throttle only, no lock: a client that logs in again at each 401 must meet a 429 (trap 5). The library ends no session
/// when a password or address changes; here the others end.
fn realm() -> RealmRules {
    RealmRules {
        password: PasswordRule::at_least(8),
        lockout: None,
        throttle: LoginThrottle {
            per_address_and_name: vec![Window { limit: 10, per: MINUTE }],
            per_address: vec![Window { limit: 100, per: MINUTE }],
            attempts: Vec::new(),
        },
        roles: texts(&[SUPERUSER, USER]),
        default_role: USER.into(),
        registration: true,
        verified_email: false,
        organisations: false,
        change_spares_current: true,
    }
}

/// Other people's accounts are a superuser's; everything else is for every user.
fn policy() -> Policy {
    Policy {
        actions: table::actions(),
        resources: vec![
            resource("own account", &["/users/me"], &[(SUPERUSER, ALL), (USER, ALL)]),
            resource("users", &["/users/**"], &[(SUPERUSER, ALL)]),
            resource("everything else", &["/**"], &[(SUPERUSER, ALL), (USER, ALL)]),
        ],
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_live_well_above_the_clients_margin_and_are_never_refreshed() {
        let tokens = tokens();
        assert_eq!(tokens.access_lifetime.as_secs(), 3600);
        assert_eq!(tokens.refresh_form, RefreshForm::None);
    }

    #[test]
    fn the_password_of_the_guide_is_good_enough() {
        let rule = realm().password;
        assert!("Admin123".len() >= rule.min_length && !rule.upper && !rule.digit);
    }
}
