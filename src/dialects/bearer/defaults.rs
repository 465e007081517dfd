//! What the bearer contract fixes, as data the configuration starts from. Decides nothing.

use std::{sync::Arc, time::Duration};

use http::Method;
use jsonwebtoken::Algorithm;

use crate::{
    dialects::Defaults,
    identity::settings::{
        Claim, CodeForm, CodeRule, CodeSettings, Fact, LoginThrottle, PasswordRule, RealmRules,
        RefreshForm, TokenSettings,
    },
    pipeline::{
        Limit, Per, Policy, RateHeaders, Window,
        policy::{ActionRule, PathPattern, ResourceRule},
    },
};

const MINUTE: Duration = Duration::from_secs(60);

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
        api_key_prefix: None,
        realm: realm(),
        policy: policy(),
        // The contract fixes none; without any, registration and mail would be open to floods.
        limits: vec![
            limit("bearer-general", Per::Credential, 300),
            limit("bearer-register", Per::Client, 10),
            limit("bearer-mail", Per::Client, 10),
            limit("bearer-codes", Per::Client, 10),
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
        access_lifetime: Duration::from_secs(3600),
        refresh_form: RefreshForm::None,
        ..TokenSettings::strict("fastapi-users")
    }
}

const CLAIMS: &[Claim] = &[Claim::new("roles", Fact::Roles), Claim::new("sid", Fact::Session)];

fn code(audience: &str) -> CodeRule {
    let form = CodeForm::Jwt { audience: audience.into() };
    CodeRule { form, lifetime: Duration::from_secs(3600), ..CodeRule::default() }
}

/// Throttle only, no lock: a client that logs in again at each 401 must meet a 429 (trap 5). The library ends no session
/// when a password or address changes; here the others end.
fn realm() -> RealmRules {
    RealmRules {
        password: PasswordRule {
            min_length: 8,
            max_length: 256,
            upper: false,
            lower: false,
            digit: false,
            symbols: "".into(),
            forbidden: Vec::new(),
        },
        lockout: None,
        throttle: LoginThrottle {
            per_address_and_name: vec![Window { limit: 10, per: MINUTE }],
            per_address: vec![Window { limit: 100, per: MINUTE }],
        },
        roles: [SUPERUSER, USER].map(Arc::from).into(),
        default_role: USER.into(),
        registration: true,
        verified_email: false,
        change_spares_current: true,
    }
}

/// Other people's accounts are a superuser's; everything else is for every user.
fn policy() -> Policy {
    let all = || vec![Arc::from("*")];
    let rule = |resource: &str, path: &str, roles: &[&str]| ResourceRule {
        resource: resource.into(),
        paths: PathPattern::parse(path).into_iter().collect(),
        grants: roles.iter().map(|role| (Arc::from(*role), all())).collect(),
    };
    let action = |methods: &[Method], action: &str| ActionRule {
        methods: methods.to_vec(),
        path: None,
        action: action.into(),
    };
    Policy {
        actions: vec![
            action(&[Method::GET, Method::HEAD], "read"),
            action(&[Method::POST], "create"),
            action(&[Method::PUT, Method::PATCH], "update"),
            action(&[Method::DELETE], "delete"),
        ],
        resources: vec![
            rule("own account", "/users/me", &[SUPERUSER, USER]),
            rule("users", "/users/**", &[SUPERUSER]),
            rule("everything else", "/**", &[SUPERUSER, USER]),
        ],
        ..Policy::default()
    }
}

fn limit(name: &str, per: Per, limit: u32) -> Limit {
    Limit { name: name.into(), per: vec![per], windows: vec![Window { limit, per: MINUTE }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_policy_is_one() {
        assert!(policy().resources.iter().all(|rule| rule.paths.len() == 1));
    }

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
