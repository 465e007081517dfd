//! Minting tokens: compact JWS with the claims of the mount's profile (RFC 7519), nothing secret in them.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Account, IdentityError, MountSettings, TokenSettings,
    settings::{ACCESS, Claim, Fact, REFRESH},
    signing::SigningKey,
};
use crate::{
    model::{SecretString, SessionId, Timestamp, TokenId},
    pipeline::jwt::{TokenProfile, VerificationKey},
};

/// An access token just made.
pub(super) struct Minted {
    /// Compact JWS.
    pub(super) text: SecretString,
    /// Seconds it lives.
    pub(super) expires_in: u64,
}

/// Whom a token is about.
#[derive(Clone, Copy)]
pub(super) struct Bearer<'a> {
    /// The account.
    pub(super) account: &'a Account,
    /// Its session.
    pub(super) session: &'a SessionId,
    /// What its roles may hand out.
    pub(super) scopes: &'a [Arc<str>],
    /// Types of agents that its roles may run.
    pub(super) agents: &'a [&'a str],
}

#[derive(Serialize)]
struct Header<'a> {
    // The order of the guide's sample token: `alg` first.
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Makes an access token.
pub(super) fn mint(
    settings: &TokenSettings,
    key: &SigningKey,
    bearer: &Bearer<'_>,
    token: &TokenId,
    now: Timestamp,
) -> Result<Minted, IdentityError> {
    let expires_in = settings.access_lifetime.as_secs();
    let exp = now.secs().saturating_add(i64::try_from(expires_in).unwrap_or(i64::MAX));
    let mut claims = registered(settings, bearer.account.id.as_str(), token.as_str(), now, exp);
    add(&mut claims, settings.access_claims, bearer, ACCESS);
    Ok(Minted { text: compact(key, settings.key_id_in_header, &claims)?, expires_in })
}

/// Makes a signed refresh token that ends with its session.
pub(super) fn mint_refresh(
    settings: &TokenSettings,
    key: &SigningKey,
    bearer: &Bearer<'_>,
    id: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<SecretString, IdentityError> {
    let account = bearer.account.id.as_str();
    let mut claims = registered(settings, account, id, now, expires_at.secs());
    add(&mut claims, settings.refresh_claims, bearer, REFRESH);
    claims.insert("type".to_owned(), REFRESH.into());
    compact(key, settings.key_id_in_header, &claims)
}

/// The claims that every token has (RFC 7519 section 4.1).
pub(super) fn registered(
    settings: &TokenSettings,
    subject: &str,
    id: &str,
    now: Timestamp,
    exp: i64,
) -> Map<String, Value> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", (*settings.issuer).into());
    set("sub", subject.into());
    if let Some(audience) = &settings.audience {
        let audience = Value::from(&**audience);
        set("aud", if settings.audience_list { Value::Array(vec![audience]) } else { audience });
    }
    set("iat", now.secs().into());
    set("exp", exp.into());
    set("jti", id.into());
    claims
}

/// A compact JWS over these claims.
pub(super) fn compact(
    key: &SigningKey,
    with_kid: bool,
    claims: &Map<String, Value>,
) -> Result<SecretString, IdentityError> {
    compact_as(key, "JWT", with_kid, claims)
}

/// The same with a `typ` of its own.
pub(super) fn compact_as(
    key: &SigningKey,
    typ: &'static str,
    with_kid: bool,
    claims: &Map<String, Value>,
) -> Result<SecretString, IdentityError> {
    let kid = with_kid.then_some(&**key.kid());
    let header = Header { alg: algorithm_name(key), typ, kid };
    let mut text = format!("{}.{}", part(&header)?, part(claims)?);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    text.push_str(&signature);
    Ok(text.into())
}

/// How tokens of this mount that are not access tokens are verified when they come back.
pub(super) fn profile(
    mount: &MountSettings,
    audience: Option<Arc<str>>,
    kind: Option<&'static str>,
    keys: Vec<VerificationKey>,
) -> TokenProfile {
    TokenProfile {
        issuer: mount.tokens.issuer.clone(),
        audience,
        token_type: kind.map(Arc::from),
        standard: false,
        agent_audience: None,
        tenant_claim: mount.tokens.tenant_claim().map(Arc::from),
        keys,
        leeway: std::time::Duration::ZERO,
        mount: mount.name.clone(),
        realm: mount.realm.clone(),
    }
}

fn add(into: &mut Map<String, Value>, table: &[Claim], bearer: &Bearer<'_>, kind: &'static str) {
    for claim in table {
        let value = said(claim.says, bearer, kind);
        if claim.null || !value.is_null() {
            into.insert(claim.name.to_owned(), value);
        }
    }
}

fn said(fact: Fact, bearer: &Bearer<'_>, kind: &'static str) -> Value {
    let Bearer { account, session, scopes, agents } = bearer;
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    match fact {
        Fact::Username => text(&account.username),
        Fact::Email => text(&account.email),
        Fact::FullName => text(&account.full_name),
        Fact::Roles => account.roles.clone().into(),
        Fact::Tenant => text(&account.tenant),
        Fact::Session => session.as_str().into(),
        Fact::SessionAfter(before) => format!("{before}{session}").into(),
        Fact::AgentTypes => agents.iter().map(|kind| Value::from(*kind)).collect(),
        Fact::Scopes => scopes.iter().map(|scope| Value::from(&**scope)).collect(),
        Fact::Kind => kind.into(),
    }
}

fn algorithm_name(key: &SigningKey) -> &'static str {
    use jsonwebtoken::Algorithm;
    match key.algorithm() {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        // No other key can be loaded.
        _ => "HS256",
    }
}

fn part<T: Serialize>(value: &T) -> Result<String, IdentityError> {
    let json = serde_json::to_vec(value).map_err(|_| IdentityError::Internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{Algorithm, Validation};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{SystemRandom, secret::ExposeSecret};

    const TMWS: &[Claim] = &[
        Claim::new("username", Fact::Username),
        Claim::new("email", Fact::Email),
        Claim::new("roles", Fact::Roles),
        Claim { name: "agent_namespace", says: Fact::Tenant, null: true },
        Claim::new("sid", Fact::Session),
    ];

    fn settings(algorithm: Algorithm, key_id_in_header: bool) -> TokenSettings {
        TokenSettings {
            audience: Some("tmws-api".into()),
            algorithm,
            key_id_in_header,
            access_claims: TMWS,
            access_lifetime: Duration::from_secs(3600),
            ..TokenSettings::strict("tmws-auth-service")
        }
    }

    fn account() -> Account {
        Account {
            id: "6c1c3c3e-0000-4000-8000-000000000001".into(),
            realm: "main".into(),
            username: Some("ada".into()),
            email: Some("ada@example.org".into()),
            full_name: None,
            first_name: None,
            last_name: None,
            preferences: json!({}),
            roles: vec!["USER".into()],
            tenant: Some("default".into()),
            enabled: true,
            email_verified: false,
            second_factor: false,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            last_login_at: None,
        }
    }

    fn minted(algorithm: Algorithm, with_kid: bool) -> (SigningKey, Minted) {
        let key = SigningKey::generate(algorithm, &SystemRandom).unwrap().key;
        let settings = settings(algorithm, with_kid);
        let now = Timestamp(1_700_000_000_999);
        let (account, session) = (account(), "s1".into());
        let bearer = Bearer { account: &account, session: &session, scopes: &[], agents: &[] };
        let out = mint(&settings, &key, &bearer, &"t1".into(), now).unwrap();
        (key, out)
    }

    #[test]
    fn the_header_is_exactly_the_one_of_the_guide() {
        let (_, token) = minted(Algorithm::HS256, false);
        let header = token.text.expose_secret().split('.').next().unwrap().to_owned();
        assert_eq!(header, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
        let (key, token) = minted(Algorithm::EdDSA, true);
        let header = token.text.expose_secret().split('.').next().unwrap().to_owned();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": &**key.kid()}));
    }

    #[test]
    fn claims_are_those_of_the_contract_under_every_algorithm() {
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let (key, token) = minted(algorithm, false);
            let mut rules = Validation::new(algorithm);
            rules.set_audience(&["tmws-api"]);
            rules.validate_exp = false;
            let check = key.verification().key;
            let seen =
                jsonwebtoken::decode::<Value>(token.text.expose_secret(), &check, &rules).unwrap();
            let wanted = json!({
                "iss": "tmws-auth-service", "aud": "tmws-api",
                "sub": "6c1c3c3e-0000-4000-8000-000000000001",
                "username": "ada", "email": "ada@example.org", "roles": ["USER"],
                "agent_namespace": "default", "iat": 1_700_000_000, "exp": 1_700_003_600,
                "jti": "t1", "sid": "s1",
            });
            assert_eq!(seen.claims, wanted);
            assert_eq!(token.expires_in, 3600);
        }
    }

    const ACCESS_TABLE: &[Claim] = &[
        Claim::new("type", Fact::Kind),
        Claim::new("session_id", Fact::Session),
        Claim::new("permissions", Fact::Scopes),
        Claim::new("name", Fact::FullName),
    ];
    const REFRESH_TABLE: &[Claim] = &[Claim::new("organization_id", Fact::Tenant)];

    #[test]
    fn a_profile_says_which_claims_stand_where_and_refresh_tokens_always_say_what_they_are() {
        let key = SigningKey::generate(Algorithm::HS256, &SystemRandom).unwrap().key;
        let settings = TokenSettings {
            audience: Some("fastapi-users:auth".into()),
            audience_list: true,
            access_claims: ACCESS_TABLE,
            refresh_claims: REFRESH_TABLE,
            ..settings(Algorithm::HS256, false)
        };
        let (account, session) = (account(), "s1".into());
        let scopes = ["READ".into()];
        let bearer = Bearer { account: &account, session: &session, scopes: &scopes, agents: &[] };
        let now = Timestamp(1_700_000_000_000);
        let access = mint(&settings, &key, &bearer, &"t1".into(), now).unwrap().text;
        let end = Timestamp(1_700_000_100_000);
        let refresh = mint_refresh(&settings, &key, &bearer, "r1", now, end).unwrap();
        let claims = |text: &SecretString| -> Value {
            let payload = text.expose_secret().split('.').nth(1).unwrap().to_owned();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
        };
        let wanted = json!({
            "iss": "tmws-auth-service", "aud": ["fastapi-users:auth"], "sub": account.id,
            "iat": 1_700_000_000, "exp": 1_700_003_600, "jti": "t1",
            "type": "access", "session_id": "s1", "permissions": ["READ"],
        });
        assert_eq!(claims(&access), wanted, "no name, so no claim");
        let wanted = json!({
            "iss": "tmws-auth-service", "aud": ["fastapi-users:auth"], "sub": account.id,
            "iat": 1_700_000_000, "exp": 1_700_000_100, "jti": "r1",
            "type": "refresh", "organization_id": "default",
        });
        assert_eq!(claims(&refresh), wanted);
    }
}
