//! What the inkpass contract fixes, as data the configuration starts from. Decides nothing.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::{
    dialects::{
        Defaults,
        table::{DAY, HOUR, MINUTE, limit, texts},
    },
    identity::settings::{
        Claim, CodeForm, CodeRule, CodeSettings, Fact, LoginThrottle, PasswordRule, RealmRules,
        RefreshForm, TokenSettings,
    },
    model::api_key::{KeyForm, KeyFormat},
    pipeline::{Limit, Per, Policy, RateHeaders, Window},
};

/// Roles of the contract, the mightiest first; names only.
const ROLES: [&str; 4] = ["owner", "admin", "developer", "viewer"];

/// The defaults of an inkpass mount.
pub(super) fn defaults() -> Defaults {
    Defaults {
        tokens: tokens(),
        codes: codes(),
        agents: None,
        webhooks: None,
        api_key_format: Some(KeyFormat { form: KeyForm::Bare, .."inkpass_".into() }),
        realm: realm(),
        // What keys and accounts may do is not a matter of paths here; a route says itself whom it takes.
        policy: Policy::default(),
        limits: vec![
            per_minute("inkpass-register", 3),
            per_minute("inkpass-refresh", 10),
            per_minute("inkpass-verify", 5),
            per_minute("inkpass-resend", 3),
            per_minute("inkpass-forgot", 3),
            per_minute("inkpass-reset", 5),
            limit("inkpass-own", Per::Credential, 30, MINUTE),
        ],
        // One server calls `me` and `check` for every request of its users, all from one address.
        general_limits: &[],
        rate_headers: RateHeaders { legacy_always: true, policy: false, ietf: false },
        body_limit: 64 * 1024,
        timeout: Duration::from_secs(10),
    }
}

/// Contract section "Tokens, sessions, keys".
fn tokens() -> TokenSettings {
    TokenSettings {
        // A sister service that verifies locally without an audience would refuse a token that has one.
        audience: None,
        algorithm: Algorithm::HS256,
        key_id_in_header: false,
        access_claims: CLAIMS,
        refresh_claims: CLAIMS,
        access_lifetime: MINUTE * 30,
        refresh_form: RefreshForm::Jwt,
        refresh_lifetime: DAY * 7,
        refresh_rotates: false,
        ..TokenSettings::strict("inkpass")
    }
}

/// The claims of the contract beside the registered ones.
const CLAIMS: &[Claim] = &[
    Claim::new("email", Fact::Email),
    Claim::new("organization_id", Fact::Tenant),
    Claim::new("sid", Fact::Session),
    Claim::new("type", Fact::Kind),
];

/// Contract rows of `verify-email` and `reset-password`.
fn codes() -> CodeSettings {
    let digits = |lifetime| CodeRule {
        form: CodeForm::Digits,
        lifetime,
        per_address: vec![Window { limit: 3, per: MINUTE }, Window { limit: 10, per: HOUR }],
        ..CodeRule::default()
    };
    CodeSettings { reset: digits(MINUTE * 10), verify: digits(MINUTE * 30) }
}

/// Contract section "Accounts, organizations, permissions".
fn realm() -> RealmRules {
    RealmRules {
        password: PasswordRule::at_least(8),
        lockout: None,
        throttle: LoginThrottle {
            per_address_and_name: Vec::new(),
            per_address: vec![Window { limit: 100, per: MINUTE }],
            attempts: vec![Window { limit: 10, per: MINUTE }],
        },
        roles: texts(&ROLES),
        default_role: "viewer".into(),
        registration: true,
        organisations: true,
        ..RealmRules::strict()
    }
}

fn per_minute(name: &str, most: u32) -> Limit {
    limit(name, Per::Client, most, MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_apart_by_kind_and_name_the_organisation() {
        let tokens = tokens();
        assert_eq!(tokens.access_lifetime.as_secs(), 1800);
        assert_eq!(tokens.access_type(), Some("access"));
        assert_eq!(tokens.tenant_claim(), Some("organization_id"));
        assert!(tokens.audience.is_none() && !tokens.refresh_rotates);
    }
}
