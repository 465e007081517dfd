//! Minting access tokens: compact JWS with the claims of the contract (RFC 7519), nothing secret in them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{Account, IdentityError, TokenSettings, signing::SigningKey};
use crate::model::{SecretString, SessionId, Timestamp, TokenId};

/// An access token just made.
pub(super) struct Minted {
    /// Compact JWS.
    pub(super) text: SecretString,
    /// Seconds it lives.
    pub(super) expires_in: u64,
}

#[derive(Serialize)]
struct Header<'a> {
    // The order of the guide's sample token: `alg` first.
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    roles: &'a [String],
    // Always there, null where an account has none: the contract names it among the claims without a question mark.
    agent_namespace: Option<&'a str>,
    iat: i64,
    exp: i64,
    jti: &'a str,
    sid: &'a str,
}

/// Makes an access token for a session of `account`.
pub(super) fn mint(
    settings: &TokenSettings,
    key: &SigningKey,
    account: &Account,
    session: &SessionId,
    token: &TokenId,
    now: Timestamp,
) -> Result<Minted, IdentityError> {
    let expires_in = settings.access_lifetime.as_secs();
    let iat = now.secs();
    let exp = iat.saturating_add(i64::try_from(expires_in).unwrap_or(i64::MAX));
    let header = Header {
        alg: algorithm_name(key),
        typ: "JWT",
        kid: settings.key_id_in_header.then_some(&**key.kid()),
    };
    let claims = Claims {
        iss: &settings.issuer,
        aud: settings.audience.as_deref(),
        sub: account.id.as_str(),
        username: account.username.as_deref(),
        email: account.email.as_deref(),
        roles: &account.roles,
        agent_namespace: account.tenant.as_deref(),
        iat,
        exp,
        jti: token.as_str(),
        sid: session.as_str(),
    };
    let mut text = format!("{}.{}", part(&header)?, part(&claims)?);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    text.push_str(&signature);
    Ok(Minted { text: text.into(), expires_in })
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

    fn settings(algorithm: Algorithm, key_id_in_header: bool) -> TokenSettings {
        TokenSettings {
            issuer: "tmws-auth-service".into(),
            audience: Some("tmws-api".into()),
            algorithm,
            key_id_in_header,
            secret: None,
            access_lifetime: Duration::from_secs(3600),
            refresh_lifetime: Duration::from_secs(86_400),
            refresh_rotates: true,
            refresh_grace: Duration::from_secs(10),
        }
    }

    fn account() -> Account {
        Account {
            id: "6c1c3c3e-0000-4000-8000-000000000001".into(),
            realm: "main".into(),
            username: Some("ada".into()),
            email: Some("ada@example.org".into()),
            full_name: None,
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
        let out = mint(&settings, &key, &account(), &"s1".into(), &"t1".into(), now).unwrap();
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
}
