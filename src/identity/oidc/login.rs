//! The way to the provider and back.

use std::time::Duration;

use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde_json::{Value, json};

use super::{OidcFault, OidcSettings, flow::PATIENCE, told};
use crate::{
    identity::{
        Actor, EventKind, Identity, IdentityError, MountSettings,
        oauth::{about, session_record},
    },
    issuer::{OpenId, Trouble},
    model::{AccountId, MountName, SecretString, opaque, secret::ExposeSecret},
    pipeline::{
        jwt::{Awaited, IdClaims, Presented},
        landing,
    },
    store::{AccountRecord, AuditRecord, ForeignKey, Joined, OidcLogged, OidcLogin},
};

/// A login that begins: what the browser is given.
#[derive(Debug)]
pub struct OidcStart {
    /// Where it is to go; holds the state.
    pub location: SecretString,
    /// Name of the cookie that it must bring back.
    pub cookie: String,
    /// Its value.
    pub sealed: SecretString,
    /// How long it is good.
    pub lifetime: Duration,
}

/// What the provider sent the browser back with, and what the browser brought.
#[derive(Debug, Default)]
pub struct OidcCallback {
    /// Proves the login there.
    pub code: Option<SecretString>,
    /// Ours.
    pub state: Option<SecretString>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
    /// Whether it reports an error.
    pub refused: bool,
    /// The cookie of this state.
    pub sealed: Option<SecretString>,
    /// The session that the browser has here already.
    pub session: Option<SecretString>,
}

/// A session just opened; the only moment its secret exists.
#[derive(Debug)]
pub struct OidcOpened {
    /// The secret id.
    pub secret: SecretString,
    /// Where the browser wanted to go: a path of our own.
    pub return_to: String,
    /// Whose.
    pub account: AccountId,
}

impl Identity {
    /// Begins a login that is to end at `return_to`, if that is a path of our own.
    pub async fn begin_oidc(
        &self,
        mount: &MountName,
        return_to: Option<&str>,
    ) -> Result<OidcStart, IdentityError> {
        let (mount, oidc) = self.oidc_of(mount)?;
        let provider = self.openid(&oidc)?;
        let described = provider.described().await;
        let described = described.map_err(|trouble| told(&oidc, "metadata", trouble))?;
        let missing = || told(&oidc, "metadata", Trouble::Wrong("no_authorization_endpoint"));
        let mut location = described.authorize.clone().ok_or_else(missing)?;
        let return_to = return_to.filter(|text| landing::is_own_path(text)).unwrap_or("/");
        let flow = self.new_flow(&oidc.party.issuer, return_to)?;
        let verifier = PkceCodeVerifier::new(flow.verifier().expose_secret().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &oidc.party.client_id)
            .append_pair("redirect_uri", &oidc.redirect_uri)
            .append_pair("scope", &oidc.scopes)
            .append_pair("state", flow.state())
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        Ok(OidcStart {
            location: String::from(location).into(),
            cookie: oidc.flow_cookie(flow.state()),
            sealed: self.sealed_flow(&mount, &flow)?,
            lifetime: PATIENCE,
        })
    }

    /// Ends a login: uses the state up, trades the code, verifies who it is, and opens a session. The one that the browser had
    /// here before ends.
    pub async fn finish_oidc(
        &self,
        mount: &MountName,
        callback: OidcCallback,
        by: &Actor,
    ) -> Result<OidcOpened, IdentityError> {
        let (mount, oidc) = self.oidc_of(mount)?;
        let provider = self.openid(&oidc)?;
        let result = self.finish(&mount, &oidc, &provider, callback, by).await;
        provider.count(result.as_ref().map_or_else(IdentityError::reason, |_| "ok"));
        result
    }

    async fn finish(
        &self,
        mount: &MountSettings,
        oidc: &OidcSettings,
        provider: &OpenId,
        callback: OidcCallback,
        by: &Actor,
    ) -> Result<OidcOpened, IdentityError> {
        const REJECTED: IdentityError = IdentityError::Oidc(OidcFault::Rejected);
        let OidcCallback { code, state, issuer, refused, sealed, session } = callback;
        let flow = self.take_flow(mount, state.as_ref(), sealed.as_ref()).await?;
        let wrong = |step, trouble| told(oidc, step, trouble);
        let described = provider.described().await.map_err(|away| wrong("metadata", away))?;
        let own = &oidc.party.issuer;
        // RFC 9207 section 2.4: whoever says who he is must be the one that was asked, and who always says so must say so.
        let from_it = issuer.as_deref().map_or(!described.says_issuer, |said| *said == **own);
        if !from_it || flow.issuer != **own {
            self.note_failed(mount, json!({ "reason": "another_issuer" }), by).await?;
            return Err(REJECTED);
        }
        let Some(code) = code.filter(|_| !refused) else {
            self.note_failed(mount, json!({ "reason": "consent_refused" }), by).await?;
            return Err(REJECTED);
        };
        let given = match provider.redeem(&code, &flow.verifier()).await {
            Ok(given) => given,
            Err(trouble) => {
                if trouble == Trouble::Refused {
                    self.note_failed(mount, json!({ "reason": "code_rejected" }), by).await?;
                }
                return Err(wrong("token", trouble));
            }
        };
        let presented = Presented::read(given.id_token.expose_secret());
        let presented = presented.ok_or_else(|| wrong("id_token", Trouble::Wrong("no_jws")))?;
        let access_token = given.access_token.as_ref().map(ExposeSecret::expose_secret);
        let awaited = Awaited { nonce: &flow.nonce, access_token };
        let now = self.now();
        let claims = provider.judge(|keys| oidc.party.id_token(&presented, keys, awaited, now));
        let claims = claims.await.map_err(|trouble| wrong("id_token", trouble))?;
        self.write(mount, oidc, claims, session.as_ref(), flow.return_to, by).await
    }

    async fn write(
        &self,
        mount: &MountSettings,
        oidc: &OidcSettings,
        claims: IdClaims,
        before: Option<&SecretString>,
        return_to: String,
        by: &Actor,
    ) -> Result<OidcOpened, IdentityError> {
        let now = self.now();
        let (secret, digest) = self.secret()?;
        let session = session_record(mount, self.inner.uuid()?, digest, now, oidc.lifetime, by);
        let key = ForeignKey {
            realm: mount.realm.clone(),
            provider: oidc.party.issuer.to_string(),
            subject: claims.subject.clone(),
        };
        let create = match &oidc.create {
            None => None,
            Some(roles) => Some(AccountRecord {
                // For people to read in listings and logs.
                username: Some(format!("oidc:{}", claims.subject)),
                roles: roles.iter().map(ToString::to_string).collect(),
                full_name: claims.name.clone(),
                ..AccountRecord::new(self.inner.uuid()?.into(), mount.realm.clone(), now)
            }),
        };
        let proven = claims.email.clone().filter(|_| claims.email_verified);
        let login = OidcLogin {
            key,
            profile: json!({
                "email": claims.email,
                "email_verified": claims.email_verified,
                "full_name": claims.name,
            }),
            create,
            join: proven.filter(|_| oidc.join_by_email),
            sid: claims.session.clone(),
            replaces: before.and_then(|text| opaque::digest(text.expose_secret())),
            session,
        };
        let id = login.session.id.clone();
        let (issuer, subject) = (oidc.party.issuer.clone(), claims.subject);
        let facts = json!({ "session": id.as_str(), "issuer": &*issuer, "subject": &subject });
        let (opened, joined, created) = (
            about(EventKind::LoginSuccess, mount, facts.clone(), by, now),
            about(EventKind::AccountLinked, mount, facts.clone(), by, now),
            about(EventKind::AccountCreated, mount, facts, by, now),
        );
        let told = move |account: &AccountId, how| {
            let first = match how {
                Joined::Before => vec![],
                Joined::ByEmail => vec![joined.clone()],
                Joined::Created => vec![created.clone()],
            };
            let all = first.into_iter().chain([opened.clone()]);
            all.map(|event| AuditRecord { account: Some(account.clone()), ..event }).collect()
        };
        let inner = self.inner.clone();
        let logged = self
            .to_the_end(async move {
                let logged = inner.store.oidc_login(&login, now, told).await?;
                if let OidcLogged::Done { ended, .. } = &logged {
                    inner.forget_sessions(ended.clone(), now);
                }
                Ok(logged)
            })
            .await?;
        let (reason, refusal) = match logged {
            OidcLogged::Done { account, .. } => {
                return Ok(OidcOpened { secret, return_to, account });
            }
            OidcLogged::Unknown => {
                ("account_not_linked", IdentityError::Oidc(OidcFault::NotLinked))
            }
            OidcLogged::Disabled(_) => ("account_disabled", IdentityError::Disabled),
        };
        let facts = json!({ "reason": reason, "issuer": &*issuer, "subject": subject });
        self.note_failed(mount, facts, by).await?;
        Err(refusal)
    }

    async fn note_failed(
        &self,
        mount: &MountSettings,
        facts: Value,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let told = about(EventKind::LoginFailed, mount, facts, by, self.now());
        Ok(self.inner.store.audit_append(&[told]).await?)
    }
}
