//! What the archon contract fixes, as data the configuration starts from. Decides nothing.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::herald::Words;
use crate::{
    dialects::{
        Defaults,
        table::{self, ALL, DAY, HOUR, MINUTE, Row, limit, resource, texts},
    },
    identity::settings::{
        AgentSettings, Claim, CodeRule, CodeSettings, Fact, Lockout, PasswordRule, RealmRules,
        RefreshForm, TokenSettings, WebhookSettings,
    },
    pipeline::{AgentPolicy, Limit, Per, Policy, RateHeaders, Window, agent::AgentType},
};

/// Roles of the contract, the mightiest first: nobody gives away one that stands before its own.
const ROLES: [&str; 9] = [
    "admin",
    "agent_operator",
    "system_architect",
    "code_implementer",
    "security_auditor",
    "performance_optimizer",
    "deployment_automation",
    "user",
    "guest",
];

/// Types of agents with what each may have at most.
const AGENTS: [Row; 8] = [
    ("system_architect", &["file:read"]),
    ("code_implementer", &["file:read", "file:write", "file:create", "git:commit"]),
    ("test_coverage_validator", &["file:read"]),
    ("security_auditor", &["file:read"]),
    ("performance_optimizer", &["file:read", "file:write"]),
    ("deployment_automation", &["file:read", "git:commit"]),
    ("database_architect", &["file:read", "file:write"]),
    ("api_design_architect", &["file:read"]),
];

/// The defaults of an archon mount.
pub(super) fn defaults() -> Defaults {
    Defaults {
        tokens: tokens(),
        codes: codes(),
        agents: Some(agents()),
        webhooks: Some(WebhookSettings {
            environment: "production".into(),
            allow_private: false,
            timeout: Duration::from_secs(30),
            keep_trying: DAY * 3,
            most: 50,
            herald: &Words,
        }),
        // No endpoint makes keys: the operator writes them into the configuration.
        api_key_format: None,
        realm: realm(),
        policy: policy(),
        limits: limits(),
        general_limits: &["archon-user"],
        rate_headers: RateHeaders { legacy_always: true, policy: true, ietf: false },
        body_limit: 64 * 1024,
        timeout: Duration::from_secs(10),
    }
}

/// Contract section "Tokens, sessions, cookie".
fn tokens() -> TokenSettings {
    TokenSettings {
        audience: Some("archon-api".into()),
        algorithm: Algorithm::RS256,
        key_id_in_header: true,
        access_claims: CLAIMS,
        access_lifetime: HOUR,
        refresh_form: RefreshForm::Jwt,
        refresh_lifetime: DAY * 7,
        remembered_lifetime: Some(DAY * 30),
        // Neither SDK picks up a new refresh token (trap 6).
        refresh_rotates: false,
        // The fourth rejected try is 429: only that stops one of the SDKs (trap 4).
        refresh_rejections: vec![Window { limit: 3, per: MINUTE }],
        ..TokenSettings::strict("archon-auth-service")
    }
}

/// The claims of the contract beside the registered ones.
const CLAIMS: &[Claim] = &[
    Claim::new("type", Fact::Kind),
    Claim::new("email", Fact::Email),
    Claim::new("roles", Fact::Roles),
    Claim::new("permissions", Fact::Scopes),
    Claim::new("agent_capabilities", Fact::AgentTypes),
    Claim::new("session_id", Fact::SessionAfter("sess_")),
    Claim::new("sid", Fact::Session),
];

fn codes() -> CodeSettings {
    let rule = |lifetime| CodeRule {
        lifetime,
        per_address: vec![Window { limit: 3, per: HOUR }],
        ..CodeRule::default()
    };
    CodeSettings { reset: rule(HOUR), verify: rule(DAY) }
}

/// Contract section "Passwords, roles, rate limits".
fn realm() -> RealmRules {
    RealmRules {
        password: PasswordRule {
            upper: true,
            lower: true,
            digit: true,
            symbols: "@$!%*?&".into(),
            only_listed: true,
            ..PasswordRule::at_least(8)
        },
        lockout: Some(Lockout { failures: 5, duration: MINUTE * 15 }),
        roles: texts(&ROLES),
        default_role: "user".into(),
        registration: true,
        // Ending the session at hand would send one of the SDKs into trap 4.
        change_spares_current: true,
        ..RealmRules::strict()
    }
}

fn limits() -> Vec<Limit> {
    vec![
        limit("archon-login", Per::Client, 5, MINUTE),
        limit("archon-register", Per::Client, 3, MINUTE),
        limit("archon-password-reset", Per::Client, 10, HOUR),
        limit("archon-public", Per::Client, 600, MINUTE),
        limit("archon-user", Per::Credential, 1000, MINUTE),
        limit("archon-agent", Per::Credential, 10_000, MINUTE),
        limit("archon-admin", Per::Credential, 5000, MINUTE),
        limit("archon-health", Per::Client, 60, MINUTE),
    ]
}

/// Contract section "Capability grants".
fn agents() -> AgentSettings {
    let kind = |(name, capabilities): Row| {
        let restrictions = match name {
            // Relative, because the guide's agent compares beginnings of relative paths.
            "code_implementer" => json!({
                "file_paths": ["src/**", "tests/**"],
                "git_branches": ["feature/**"],
                "max_file_size": "10MB",
            }),
            _ => json!({}),
        };
        AgentType {
            name: name.into(),
            capabilities: texts(capabilities),
            restrictions: restrictions.as_object().cloned().unwrap_or_default(),
            context: Vec::new(),
        }
    };
    let same = |name: &'static str| (Arc::from(name), texts(&[name]));
    AgentSettings {
        audience: "archon-agent-system".into(),
        lifetime: HOUR,
        most: 1000,
        policy: AgentPolicy {
            types: AGENTS.map(kind).into(),
            runs: vec![
                ("admin".into(), texts(&["*"])),
                ("agent_operator".into(), texts(&["*"])),
                same("code_implementer"),
                same("deployment_automation"),
                same("performance_optimizer"),
                same("security_auditor"),
                same("system_architect"),
                ("user".into(), texts(&["code_implementer"])),
            ],
            bounds: Vec::new(),
        },
    }
}

/// Who may reach what is administered, and what is protected behind the gateway.
fn policy() -> Policy {
    let administrators: &[Row] = &[("admin", ALL)];
    Policy {
        actions: table::actions(),
        resources: vec![
            resource("users", &["/admin/**"], administrators),
            resource("webhooks", &["/webhooks/**"], administrators),
        ],
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_stay_and_access_tokens_outlive_the_clients_margin() {
        let tokens = tokens();
        assert!(!tokens.refresh_rotates, "trap 6");
        assert_eq!(tokens.access_lifetime, HOUR);
        assert_eq!(tokens.access_type(), Some("access"));
    }

    #[test]
    fn every_role_that_runs_agents_exists() {
        let roles = realm().roles;
        assert!(agents().policy.runs.iter().all(|(role, _)| roles.contains(role)));
    }

    #[test]
    fn the_example_of_the_contract_is_granted_as_it_says() {
        let asked: Vec<String> =
            ["file:read", "npm:install", "git:commit", "shell:execute"].map(str::to_owned).into();
        let grant = agents().policy.grant(
            &["user".to_owned()],
            "code_implementer",
            &asked,
            &serde_json::Map::new(),
        );
        let grant = grant.unwrap();
        assert_eq!(grant.granted, ["file:read", "git:commit"]);
        assert_eq!(grant.denied, ["npm:install", "shell:execute"]);
    }
}
