//! A narrower token for somebody's token (RFC 8693). The result never reaches further, never lives longer, and ends with
//! the token and the session it was made from.

use serde_json::{Map, Value, json};

use super::{Grant, GrantFault, Issued, ProvenClient, Server, Wanted, issue::Content, targets};
use crate::{
    identity::{Actor, Identity, IdentityError, tokens},
    model::{
        AuthMethod, MountName, Principal, ScopeSet, SecretString, Timestamp, secret::ExposeSecret,
    },
    pipeline::{RevocationView, carrier::MAX_TOKEN_BYTES, jwt::Presented},
    store::ClientRecord,
};

/// What one exchange asks for.
#[derive(Debug)]
pub struct Exchange {
    /// `subject_token`.
    pub subject: SecretString,
    /// Scope and audiences; of an agent token the capabilities.
    pub wanted: Wanted,
    /// Type of the agent, where its token is wanted.
    pub agent: Option<String>,
}

/// A token of this mount, proven.
pub(super) struct Subject {
    /// Whom it is about.
    pub(super) who: Principal,
    /// Everything it says.
    pub(super) claims: Map<String, Value>,
    /// Whether the standard issuer made it; else it is of the contract's own login.
    pub(super) standard: bool,
}

const REFUSED: IdentityError = IdentityError::Grant(GrantFault::Grant);

impl Identity {
    /// Makes a client a narrower token out of one that it holds.
    pub async fn exchange_token(
        &self,
        mount: &MountName,
        client: &ProvenClient,
        exchange: &Exchange,
        by: &Actor,
    ) -> Result<Issued, IdentityError> {
        client.may(Grant::TokenExchange)?;
        let server = self.server(mount)?;
        let now = self.now();
        let subject = self.subject_of(&server, &exchange.subject, now).ok_or(REFUSED)?;
        // A bound one is worth something only to who has shown the same.
        let owned = subject.who.bound.is_none_or(|bound| Some(bound) == client.bound);
        if subject.who.method != AuthMethod::Jwt || !owned {
            return Err(REFUSED);
        }
        let (proven, client) = (client, &client.record);
        if let Some(kind) = &exchange.agent {
            let wanted = &exchange.wanted;
            return self.exchange_for_agent(&server, proven, &subject, kind, wanted, by).await;
        }
        let (scopes, audiences) = within(&server, client, &subject, &exchange.wanted)?;
        // Our own tokens about people always name their session, so one without is about a client. One of the contract's
        // login without would outlive a logout.
        let about_client = subject.standard && subject.who.session.is_none();
        if !about_client && subject.who.session.is_none() {
            return Err(REFUSED);
        }
        let content = Content {
            client,
            bound: proven.bound,
            subject: subject.who.subject.as_str(),
            account: (!about_client).then_some(&subject.who.subject),
            session: subject.who.session.as_ref(),
            parent: subject.who.token.as_ref(),
            scopes: &scopes,
            audiences: &audiences,
            ends_by: subject.who.expires_at,
            more: carried(&subject, client),
        };
        let made = self.make_token(&server, &content, now)?;
        self.note(&server, made, Grant::TokenExchange.as_str(), by, now).await
    }

    /// A token for an agent that acts for the subject: capabilities instead of roles, as the mount's rule for agents grants
    /// them, and only such as client and subject token have among their scopes.
    async fn exchange_for_agent(
        &self,
        server: &Server,
        client: &ProvenClient,
        subject: &Subject,
        kind: &str,
        wanted: &Wanted,
        by: &Actor,
    ) -> Result<Issued, IdentityError> {
        const NO_AGENTS: IdentityError =
            IdentityError::Grant(GrantFault::Request("There are no agents of this type here"));
        let (bound, client) = (client.bound, &client.record);
        let agents = server.mount.agents.as_ref().ok_or(NO_AGENTS)?;
        let session = subject.who.session.as_ref().ok_or(REFUSED)?;
        // The roles as they are now: those in the token may be of an hour ago.
        let account = self.account_of(&subject.who).await.map_err(|error| match error {
            IdentityError::Unavailable => error,
            _ => REFUSED,
        })?;
        let own = subject.who.scopes.as_ref().map(ScopeSet::names);
        let scope = wanted.scope.as_deref().unwrap_or_default();
        let asked = targets::scopes(&server.own, Some(scope), client, &[own.as_deref()])?;
        let granted = agents.policy.grant(&account.roles, kind, &asked, &Map::new());
        let granted = granted.ok_or(NO_AGENTS)?;
        if !granted.denied.is_empty() {
            return Err(IdentityError::Grant(GrantFault::Scope));
        }
        let (_, audiences) = within(
            server,
            client,
            subject,
            &Wanted { scope: None, resources: wanted.resources.clone() },
        )?;
        let now = self.now();
        let mut more = carried(subject, client);
        more.insert("roles".to_owned(), json!([]));
        more.insert("agent_type".to_owned(), kind.into());
        more.insert("capabilities".to_owned(), json!(granted.granted));
        more.insert("restrictions".to_owned(), Value::Object(granted.restrictions));
        let lives = now + agents.lifetime;
        let content = Content {
            client,
            bound,
            subject: account.id.as_str(),
            account: Some(&account.id),
            session: Some(session),
            parent: subject.who.token.as_ref(),
            scopes: &granted.granted,
            audiences: &audiences,
            ends_by: Some(subject.who.expires_at.map_or(lives, |end| end.min(lives))),
            more,
        };
        let made = self.make_token(server, &content, now)?;
        self.note(server, made, Grant::TokenExchange.as_str(), by, now).await
    }

    /// Proves a token of this mount, of either profile. `None`: it is none, or not any more. What it is bound to is for the
    /// caller to look at.
    pub(super) fn subject_of(
        &self,
        server: &Server,
        token: &SecretString,
        now: Timestamp,
    ) -> Option<Subject> {
        let text = token.expose_secret();
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        // Not proven yet: it only says whose keys and whose rules hold.
        let standard = Presented::read(text)?.issuer() == Some(&*server.own.issuer);
        let profile = if standard {
            self.issued_profile(server, now)
        } else {
            let keys = self.inner.mount_keys(&server.mount.name)?.verifying_at(now);
            let audience = server.mount.tokens.audience.clone();
            tokens::profile(&server.mount, audience, server.mount.tokens.access_type(), keys)
        };
        let who = profile.verify_unproven(text, now).ok()?;
        let claims = profile.verified_claims(text)?;
        if self.inner.feed.is_revoked(who.token.as_ref(), who.session.as_ref()) {
            return None;
        }
        Some(Subject { who, claims, standard })
    }
}

/// Scopes and audiences that client and subject token both have.
fn within(
    server: &Server,
    client: &ClientRecord,
    subject: &Subject,
    wanted: &Wanted,
) -> Result<(Vec<String>, Vec<String>), IdentityError> {
    let held = match &subject.who.scopes {
        Some(own) => Some(own.names()),
        None => targets::of_roles(&server.mount.role_scopes, &subject.who.roles),
    };
    let scopes = targets::scopes(&server.own, wanted.scope.as_deref(), client, &[held.as_deref()])?;
    let own: Vec<String> = match subject.claims.get("aud") {
        // The contract's own name for the same routes.
        _ if !subject.standard => vec![server.own.audience.to_string()],
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let audiences = targets::audiences(wanted, client, &server.own, &own)?;
    Ok((scopes, audiences))
}

/// What goes on from the subject token: who it is, and who acts (RFC 8693 section 4.1).
fn carried(subject: &Subject, client: &ClientRecord) -> Map<String, Value> {
    let who = &subject.who;
    let mut more = Map::from_iter([("roles".to_owned(), json!(who.roles))]);
    let texts = [("username", &who.username), ("email", &who.email), ("tenant", &who.tenant)];
    for (name, text) in texts {
        if let Some(text) = text {
            more.insert(name.to_owned(), (**text).into());
        }
    }
    let mut actor = Map::from_iter([("sub".to_owned(), client.id.as_str().into())]);
    if let (true, Some(before)) = (subject.standard, subject.claims.get("act")) {
        actor.insert("act".to_owned(), before.clone());
    }
    more.insert("act".to_owned(), Value::Object(actor));
    more
}
