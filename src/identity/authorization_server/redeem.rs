//! What a client is given in a login: tokens for its code, and for its refresh token.

use serde_json::{Map, json};

use super::{
    Grant, GrantFault, Issued, ProvenClient, Server, Wanted,
    authorize::{CodeFacts, fits, purpose, spent},
    issue::{Content, Made, told_of},
    targets,
};
use crate::{
    identity::{Actor, EventKind, Identity, IdentityError, audit, settings::RefreshForm},
    model::{MountName, SecretString, SessionId, Timestamp, TokenId, opaque, secret::ExposeSecret},
    store::{
        AccountRecord, AuditRecord, CodeProof, CodeRecord, FamilyRecord, Judged, RedeemedGrant,
        RefreshRecord, StoreError,
    },
};

const REFUSED: IdentityError = IdentityError::Grant(GrantFault::Grant);
/// How long a traded code is remembered, so that a copy of it ends what it gave (RFC 6749 section 4.1.2).
const REMEMBER: std::time::Duration = std::time::Duration::from_secs(600);

/// What comes to the token endpoint with a code.
#[derive(Debug)]
pub struct CodeTrade {
    /// `code`.
    pub code: SecretString,
    /// `redirect_uri`.
    pub redirect_uri: String,
    /// `code_verifier`.
    pub verifier: SecretString,
}

/// One of our client's logins, as far as tokens go.
struct Within<'a> {
    account: &'a AccountRecord,
    session: &'a SessionId,
    scopes: &'a [String],
    audiences: &'a [String],
}

impl Identity {
    /// Trades a code for tokens. It is good once, for the client, the address and the secret it was made for.
    pub async fn trade_code(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        trade: &CodeTrade,
        by: &Actor,
    ) -> Result<Issued, IdentityError> {
        client.may(Grant::AuthorizationCode)?;
        let (server, now) = (self.server(mount)?, self.now());
        let digest = opaque::digest(trade.code.expose_secret()).ok_or(REFUSED)?;
        let proof = |purpose: String| CodeProof {
            realm: server.mount.realm.clone(),
            purpose,
            digest,
            account: None,
            attempts: 0,
            now,
        };
        let store = &self.inner.store;
        let Judged::Right(code) = store.judge_code(&proof(purpose(mount)), &[]).await? else {
            return Err(self.end_copied(mount, &proof(spent(mount)), by, now).await?);
        };
        let facts: CodeFacts =
            serde_json::from_value(code.payload.clone()).map_err(|_| IdentityError::Internal)?;
        let right = facts.client == client.id().as_str()
            && facts.redirect_uri == trade.redirect_uri
            && fits(&facts.challenge, trade.verifier.expose_secret());
        if !right {
            return Err(REFUSED);
        }
        let session = SessionId::from(facts.session);
        let login = store.client_session(&session).await?.ok_or(REFUSED)?;
        if login.client != *client.id() {
            return Err(REFUSED);
        }
        let within = Within {
            account: &login.account,
            session: &session,
            scopes: &login.scopes,
            audiences: &login.audiences,
        };
        let ends = now + server.own.refresh_lifetime;
        let mut made = self.person_token(&server, client, &within, None, None, now)?;
        let family = self.inner.uuid()?;
        let refresh = client.may(Grant::RefreshToken).is_ok().then(|| {
            let text = self.inner.refresh_key.derive(&family, 0);
            made.issued.refresh_token = Some(text.text.clone());
            let token = RefreshRecord {
                id: text.id,
                family: family.clone(),
                generation: 0,
                digest: text.digest,
                issued_at: now,
                expires_at: ends,
                spent_at: None,
            };
            let family = FamilyRecord {
                id: family.clone(),
                session: session.clone(),
                reusable: false,
                generation: 0,
                created_at: now,
                expires_at: ends,
                ended_at: None,
            };
            (family, token)
        });
        let grant = Grant::AuthorizationCode.as_str();
        let told = told_of(&server, &made.record, grant, &made.issued.scope, by, now);
        // Without renewal the login lasts as long as its only token.
        let ends = if refresh.is_some() { ends } else { made.record.expires_at };
        let redeemed = RedeemedGrant {
            realm: code.realm.clone(),
            purpose: code.purpose.clone(),
            digest,
            spent: CodeRecord {
                purpose: spent(mount),
                payload: json!({ "session": session.as_str() }),
                created_at: now,
                expires_at: now + REMEMBER,
                ..code
            },
            session: session.clone(),
            ends,
            refresh,
            token: made.record,
            now,
        };
        match store.redeem_grant(&redeemed, &[told]).await {
            // Somebody was faster with the same code.
            Err(StoreError::Spent) => {
                Err(self.end_copied(mount, &proof(spent(mount)), by, now).await?)
            }
            Err(StoreError::Changed) => Err(REFUSED),
            other => Ok(other.map(|()| made.issued)?),
        }
    }

    /// Trades a refresh token of a client's login for the next one and an access token.
    pub async fn renew_for_client(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        token: &SecretString,
        wanted: &Wanted,
        by: &Actor,
    ) -> Result<Issued, IdentityError> {
        client.may(Grant::RefreshToken)?;
        let server = self.server(mount)?;
        let owner = Some(client.id());
        let renewed = self.renew_login(&server.mount, RefreshForm::Opaque, owner, token, by).await;
        let renewed = renewed.map_err(|error| match error {
            IdentityError::InvalidRefreshToken | IdentityError::Disabled => REFUSED,
            other => other,
        })?;
        let login =
            self.inner.store.client_session(&renewed.state.session.id).await?.ok_or(REFUSED)?;
        let within = Within {
            account: &login.account,
            session: &renewed.state.session.id,
            scopes: &login.scopes,
            audiences: &login.audiences,
        };
        let now = self.now();
        let made = self.person_token(
            &server,
            client,
            &within,
            wanted.scope.as_deref(),
            (!wanted.resources.is_empty()).then_some(wanted),
            now,
        )?;
        let issued = self.note(&server, made, Grant::RefreshToken.as_str(), by, now).await?;
        Ok(Issued { refresh_token: Some(renewed.text), ..issued })
    }

    /// A token about a person, within what was granted at the login and what the person's roles hold now.
    fn person_token(
        &self,
        server: &Server,
        client: &ProvenClient,
        within: &Within<'_>,
        scope: Option<&str>,
        wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> Result<Made, IdentityError> {
        let (account, bound) = (within.account, client.bound);
        let client = &client.record;
        let held = targets::of_roles(&server.mount.role_scopes, &account.roles);
        let bounds = [Some(within.scopes), held.as_deref()];
        let scopes = targets::scopes(&server.own, scope, client, &bounds)?;
        let audiences = match wanted {
            None => within.audiences.to_vec(),
            Some(wanted) => targets::audiences(wanted, client, &server.own, within.audiences)?,
        };
        let mut more = Map::from_iter([("roles".to_owned(), json!(account.roles))]);
        for (name, text) in [("username", &account.username), ("tenant", &account.tenant)] {
            if let Some(text) = text {
                more.insert(name.to_owned(), text.as_str().into());
            }
        }
        let content = Content {
            client,
            bound,
            subject: account.id.as_str(),
            account: Some(&account.id),
            session: Some(within.session),
            parent: None::<&TokenId>,
            scopes: &scopes,
            audiences: &audiences,
            ends_by: None,
            more,
        };
        self.make_token(server, &content, now)
    }

    /// A code that was traded comes again: somebody has a copy, and it is not known who. What it gave ends.
    async fn end_copied(
        &self,
        mount: &MountName,
        proof: &CodeProof,
        by: &Actor,
        now: Timestamp,
    ) -> Result<IdentityError, IdentityError> {
        if let Judged::Right(code) = self.inner.store.judge_code(proof, &[]).await?
            && let Some(session) = code.payload.get("session").and_then(|id| id.as_str())
        {
            tracing::warn!(event = "authorization_code_reuse", session);
            let told = AuditRecord {
                realm: Some(code.realm.clone()),
                mount: Some(mount.clone()),
                account: code.account.clone(),
                details: json!({ "session": session }),
                ..audit::event(EventKind::AuthorizationCodeReuse, by, now)
            };
            let (inner, session) = (self.inner.clone(), SessionId::from(session));
            self.to_the_end(async move { inner.end(Some(session), None, now, told).await }).await?;
        }
        Ok(REFUSED)
    }
}
