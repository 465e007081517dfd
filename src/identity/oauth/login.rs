//! The way to the provider and back: state out, callback in, exchange code to the browser.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

use super::{
    ForeignFault, OAuthSettings,
    client::{Given, Provider},
    key,
    profile::Profile,
    purpose,
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, MountSettings, audit},
    model::{Digest, MountName, SecretString, Timestamp, opaque, secret::ExposeSecret},
    store::{
        AccountRecord, AuditRecord, Ciphertext, CodeRecord, ForeignKey, ForeignLogin,
        ForeignTokens, LoggedIn,
    },
};

/// A login that begins: what the browser is to be given.
#[derive(Debug)]
pub struct LoginStart {
    /// Where the browser is to go; holds the state.
    pub authorization_url: SecretString,
    /// The state by itself.
    pub state: SecretString,
    /// What the browser must bring to the callback in a cookie; `None`: the state is bound to no browser.
    pub browser: Option<SecretString>,
    /// How long both are good.
    pub lifetime: Duration,
}

/// What the provider sent the browser back with.
#[derive(Debug, Default)]
pub struct Callback {
    /// Proves the consent; absent when it was refused.
    pub code: Option<SecretString>,
    /// Ours.
    pub state: Option<SecretString>,
    /// The cookie.
    pub browser: Option<SecretString>,
}

/// What a login's state remembers.
struct Begun {
    /// Of PKCE.
    verifier: Option<SecretString>,
    /// The callback that the provider was told, and wants to hear again.
    back: Option<String>,
}

impl Identity {
    /// Begins a login; it comes back to `host` if a callback there is configured. `browser` is what the browser brought from a login that it began before: two tabs share it.
    pub async fn begin_login(
        &self,
        mount: &MountName,
        host: Option<&str>,
        browser: Option<&SecretString>,
    ) -> Result<LoginStart, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let back = oauth.callback_at(host);
        let now = self.now();
        let (state, digest) = self.secret()?;
        let browser = match browser.filter(|own| opaque::digest(own.expose_secret()).is_some()) {
            _ if oauth.json_login => None,
            Some(own) => Some(own.clone()),
            None => Some(self.secret()?.0),
        };
        let verifier = if oauth.pkce { Some(self.secret()?.0) } else { None };
        let sealed = match &verifier {
            Some(verifier) => Some(self.seal(&verifier_purpose(&digest), verifier)?),
            None => None,
        };
        let payload = json!({
            "browser": browser.as_ref().map(|own| encoded(&Digest::of(own.expose_secret().as_bytes()))),
            "callback": &**back,
            "verifier": sealed.map(|sealed| STANDARD_NO_PAD.encode(sealed.0)),
        });
        let code = CodeRecord {
            realm: mount.realm.clone(),
            purpose: state_purpose(&mount),
            digest,
            account: None,
            payload,
            created_at: now,
            expires_at: now + oauth.state_lifetime,
        };
        self.inner.store.insert_code(&code, &[]).await?;
        let provider = Provider::new(&oauth, &self.inner.outgoing, back)?;
        Ok(LoginStart {
            authorization_url: provider.authorize(&state, verifier.as_ref()),
            state,
            browser,
            lifetime: oauth.state_lifetime,
        })
    }

    /// Ends a login: burns the state, trades the code, asks who it is, and writes account, tokens and exchange code down
    /// at once. Gives the exchange code.
    pub async fn finish_login(
        &self,
        mount: &MountName,
        callback: Callback,
        by: &Actor,
    ) -> Result<SecretString, IdentityError> {
        let (mount, oauth) = self.provider_of(mount)?;
        let Begun { verifier, back } = self.burn_state(&mount, &callback).await?;
        let back = back.as_deref().unwrap_or(&oauth.redirect_uri);
        let provider = Provider::new(&oauth, &self.inner.outgoing, back)?;
        let given = match &callback.code {
            Some(code) => provider.trade(code, verifier.as_ref(), self.now()).await?,
            None => None,
        };
        let Some(given) = given else {
            let why = if callback.code.is_some() { "code_rejected" } else { "consent_refused" };
            self.note_failure(&mount, json!({ "reason": why }), by).await?;
            return Err(IdentityError::Foreign(ForeignFault::Rejected));
        };
        let profile = provider.profile(&given.access).await?;
        self.write_login(&mount, &oauth, given, profile, by).await
    }

    /// The state is used up whatever comes of it. Gives what belongs to it.
    async fn burn_state(
        &self,
        mount: &MountSettings,
        callback: &Callback,
    ) -> Result<Begun, IdentityError> {
        const INVALID: IdentityError = IdentityError::Foreign(ForeignFault::State);
        let state = callback.state.as_ref().map(ExposeSecret::expose_secret);
        let digest = state.and_then(opaque::digest).ok_or(INVALID)?;
        let now = self.now();
        let (store, purpose) = (&self.inner.store, state_purpose(mount));
        let taken = store.take_code(&mount.realm, &purpose, &digest, now, &[]).await?;
        let kept = taken.ok_or(INVALID)?.payload;
        if let Some(bound) = kept.get("browser").and_then(Value::as_str) {
            let bound = STANDARD_NO_PAD.decode(bound).ok().and_then(|raw| Digest::from_slice(&raw));
            let brought = callback.browser.as_ref().map(ExposeSecret::expose_secret);
            let brought = brought.and_then(opaque::digest);
            if bound.is_none() || bound != brought {
                return Err(INVALID);
            }
        }
        let back = kept.get("callback").and_then(Value::as_str).map(str::to_owned);
        let Some(sealed) = kept.get("verifier").and_then(Value::as_str) else {
            return Ok(Begun { verifier: None, back });
        };
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| IdentityError::Internal)?;
        let verifier = self.unseal(&verifier_purpose(&digest), &Ciphertext(sealed))?;
        Ok(Begun { verifier: Some(verifier), back })
    }

    async fn write_login(
        &self,
        mount: &MountSettings,
        oauth: &OAuthSettings,
        given: Given,
        profile: Profile,
        by: &Actor,
    ) -> Result<SecretString, IdentityError> {
        let now = self.now();
        let key = key(mount, oauth, &profile.subject);
        let (code, digest) = self.secret()?;
        let rules = self.inner.state().rules(&mount.realm)?;
        let account = AccountRecord {
            // For people to read in listings and logs.
            username: Some(format!("{}:{}", mount.dialect, profile.subject)),
            roles: vec![rules.default_role.to_string()],
            full_name: profile.full_name(),
            first_name: profile.first_name.clone(),
            last_name: profile.last_name.clone(),
            ..AccountRecord::new(self.inner.uuid()?.into(), mount.realm.clone(), now)
        };
        let login = ForeignLogin {
            account,
            profile: profile.kept(),
            tokens: self.sealed_tokens(&key, &given)?,
            code: CodeRecord {
                realm: mount.realm.clone(),
                purpose: code_purpose(mount),
                digest,
                account: None,
                payload: json!({}),
                created_at: now,
                expires_at: now + oauth.code_lifetime,
            },
            key,
        };
        let told = about(EventKind::LoginSuccess, mount, json!({}), by, now);
        let subject = profile.subject;
        match self.inner.store.foreign_login(&login, now, &told).await? {
            LoggedIn::Done(_) => Ok(code),
            refused => {
                let reason = match refused {
                    LoggedIn::Disabled(_) => "account_disabled",
                    _ => "not_allowed",
                };
                let facts = json!({ "reason": reason, "hh_user_id": subject });
                self.note_failure(mount, facts, by).await?;
                Err(IdentityError::Foreign(ForeignFault::NotAllowed { subject }))
            }
        }
    }

    pub(super) fn sealed_tokens(
        &self,
        key: &ForeignKey,
        given: &Given,
    ) -> Result<ForeignTokens, IdentityError> {
        let refresh = given.refresh.as_ref();
        let refresh = refresh.map(|token| self.seal(&purpose(REFRESH, key), token)).transpose()?;
        Ok(ForeignTokens {
            access: Some(self.seal(&purpose(ACCESS, key), &given.access)?),
            refresh,
            expires_at: Some(given.expires_at),
            generation: 0,
        })
    }

    pub(super) fn seal(
        &self,
        purpose: &str,
        secret: &SecretString,
    ) -> Result<Ciphertext, IdentityError> {
        let (keyring, random) = (&self.inner.keyring, &*self.inner.random);
        Ok(Ciphertext(keyring.seal(purpose, secret.expose_secret().as_bytes(), random)?))
    }

    pub(super) fn unseal(
        &self,
        purpose: &str,
        sealed: &Ciphertext,
    ) -> Result<SecretString, IdentityError> {
        let plain = self.inner.keyring.open(purpose, &sealed.0)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| IdentityError::Internal)
    }

    /// A new opaque secret and its digest.
    pub(in crate::identity) fn secret(&self) -> Result<(SecretString, Digest), IdentityError> {
        opaque::issue(&*self.inner.random).map_err(|_| IdentityError::Internal)
    }

    async fn note_failure(
        &self,
        mount: &MountSettings,
        facts: Value,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let told = about(EventKind::LoginFailed, mount, facts, by, self.now());
        Ok(self.inner.store.audit_append(&[told]).await?)
    }
}

/// Purposes of sealed tokens.
pub(super) const ACCESS: &str = "provider-access";
pub(super) const REFRESH: &str = "provider-refresh";

/// An event at this mount.
pub(in crate::identity) fn about(
    kind: EventKind,
    mount: &MountSettings,
    details: Value,
    by: &Actor,
    now: Timestamp,
) -> AuditRecord {
    AuditRecord {
        realm: Some(mount.realm.clone()),
        mount: Some(mount.name.clone()),
        details,
        ..audit::event(kind, by, now)
    }
}

/// Codes of one mount are none of another, also in a shared realm.
pub(super) fn code_purpose(mount: &MountSettings) -> String {
    format!("exchange:{}", mount.name)
}

fn state_purpose(mount: &MountSettings) -> String {
    format!("login-state:{}", mount.name)
}

fn verifier_purpose(state: &Digest) -> String {
    format!("pkce:{}", encoded(state))
}

fn encoded(digest: &Digest) -> String {
    STANDARD_NO_PAD.encode(digest.as_bytes())
}
