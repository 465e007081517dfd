//! Agents: programs that act for an account with capabilities of their own. What one gets is the grant rule's to say
//! (`pipeline/agent.rs`); here its token is made, noted, and verified for others.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    Account, Actor, AgentSettings, EventKind, FieldError, Identity, IdentityError, MountSettings,
    audit, tokens,
};
use crate::{
    model::{MountName, Principal, SecretString, Timestamp, secret::ExposeSecret},
    pipeline::{
        AgentGrant, RevocationView, Toll, Window,
        carrier::MAX_TOKEN_BYTES,
        jwt::{AGENT, TokenProfile},
    },
    store::{AgentTokenRecord, AuditRecord, ExpiredAgent, StoreError},
};

/// Most capabilities of one request; as many as a token may carry.
const MOST_CAPABILITIES: usize = 64;
const LONGEST_NAME: usize = 128;
/// When one of an account's tokens may have expired.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// A request for an agent token.
#[derive(Debug)]
pub struct AgentRequest {
    /// Type of the agent.
    pub kind: String,
    /// What it wants.
    pub capabilities: Vec<String>,
    /// What it is to do; goes into the token as it is.
    pub task_context: Map<String, Value>,
}

/// An agent token just made.
#[derive(Debug)]
pub struct AgentGranted {
    /// Compact JWS.
    pub token: SecretString,
    /// Seconds it lives.
    pub expires_in: u64,
    /// What was granted and denied, and the restrictions.
    pub grant: AgentGrant,
}

/// What an agent token says, to whoever holds one and wants to know whether it is good.
#[derive(Debug)]
pub struct AgentFacts {
    /// Type of the agent.
    pub kind: String,
    /// What it was granted.
    pub capabilities: Vec<String>,
    /// Told to the agent.
    pub restrictions: Value,
    /// End by itself.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Makes a token for an agent that acts for the caller's account. It ends with the caller's session, or with whatever
    /// ends the account's sessions where an API key asked for it.
    pub async fn authenticate_agent(
        &self,
        caller: &Principal,
        request: AgentRequest,
        by: &Actor,
    ) -> Result<AgentGranted, IdentityError> {
        let mount = self.inner.state().mount(&caller.mount)?;
        let agents = mount.agents.clone().ok_or(IdentityError::NotFound)?;
        acceptable(&request)?;
        // The roles as they are now: those in the token may be of an hour ago.
        let account = self.account_of(caller).await?;
        let now = self.now();
        let told = |kind, details| AuditRecord {
            realm: Some(mount.realm.clone()),
            mount: Some(mount.name.clone()),
            account: Some(account.id.clone()),
            details,
            ..audit::event(kind, by, now)
        };
        let AgentRequest { kind, capabilities, task_context } = &request;
        let grant = agents.policy.grant(&account.roles, kind, capabilities, task_context);
        let Some(grant) = grant else {
            let details = json!({ "agent_type": kind, "reason": "type_not_allowed" });
            self.inner.store.audit_append(&[told(EventKind::AgentRefused, details)]).await?;
            return Err(IdentityError::AgentRefused);
        };
        let record = AgentTokenRecord {
            id: self.inner.uuid()?.into(),
            account: account.id.clone(),
            session: caller.session.clone(),
            mount: mount.name.clone(),
            kind: kind.clone(),
            capabilities: grant.granted.clone(),
            restrictions: Value::Object(grant.restrictions.clone()),
            task_context: Value::Object(task_context.clone()),
            created_at: now,
            expires_at: now + agents.lifetime,
        };
        let token = self.mint_agent(&mount, &agents, &account, &record)?;
        let mut events = vec![told(
            EventKind::AgentAuthenticated,
            json!({
                "agent_type": kind,
                "token": record.id.as_str(),
                "session": record.session.as_ref().map(|id| id.as_str()),
                "capabilities_granted": grant.granted,
                "capabilities_denied": grant.denied,
            }),
        )];
        if !grant.denied.is_empty() {
            let details = json!({
                "agent_type": kind,
                "token": record.id.as_str(),
                "session": record.session.as_ref().map(|id| id.as_str()),
                "capabilities_denied": grant.denied,
            });
            events.push(told(EventKind::AgentCapabilityDenied, details));
        }
        match self.inner.store.insert_agent_token(&record, agents.most, &events).await {
            Ok(true) => {}
            Ok(false) => return Err(IdentityError::CredentialEnded),
            Err(StoreError::Full) => return Err(too_many(&agents)),
            Err(error) => return Err(error.into()),
        }
        Ok(AgentGranted { token, expires_in: agents.lifetime.as_secs(), grant })
    }

    /// What a token of an agent of this mount says, while it is good; [`IdentityError::CredentialEnded`] else.
    pub fn validate_agent(
        &self,
        mount: &MountName,
        token: &SecretString,
    ) -> Result<AgentFacts, IdentityError> {
        const ENDED: IdentityError = IdentityError::CredentialEnded;
        let mount = self.inner.state().mount(mount)?;
        let agents = mount.agents.clone().ok_or(IdentityError::NotFound)?;
        let text = token.expose_secret();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(ENDED);
        }
        let profile = self.agent_profile(&mount, &agents)?;
        let claims = profile.verified_claims(text).ok_or(ENDED)?;
        let caller = profile.verify(text, self.now()).map_err(|_| ENDED)?;
        let agent = caller.agent.ok_or(ENDED)?;
        if self.inner.feed.is_revoked(caller.token.as_ref(), caller.session.as_ref()) {
            return Err(ENDED);
        }
        Ok(AgentFacts {
            kind: agent.kind.to_string(),
            capabilities: agent.capabilities.iter().map(ToString::to_string).collect(),
            restrictions: claims.get("restrictions").cloned().unwrap_or_else(|| json!({})),
            expires_at: caller.expires_at.ok_or(ENDED)?,
        })
    }

    fn mint_agent(
        &self,
        mount: &MountSettings,
        agents: &AgentSettings,
        account: &Account,
        record: &AgentTokenRecord,
    ) -> Result<SecretString, IdentityError> {
        let key = self.inner.signing_key(&mount.name)?;
        let (subject, id) = (account.id.as_str(), record.id.as_str());
        let end = record.created_at.secs() + i64::try_from(agents.lifetime.as_secs()).unwrap_or(0);
        let mut claims = tokens::registered(&mount.tokens, subject, id, record.created_at, end);
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("aud", Value::from(&*agents.audience));
        set("type", AGENT.into());
        set("agent_type", record.kind.as_str().into());
        set("capabilities", json!(record.capabilities));
        set("task_context", record.task_context.clone());
        set("restrictions", record.restrictions.clone());
        if let Some(session) = &record.session {
            set("sid", session.as_str().into());
        }
        let token = tokens::compact(&key, mount.tokens.key_id_in_header, &claims)?;
        // What the edge would not read is no token: the context is the only part that can be too much.
        let text = token.expose_secret();
        let readable = text.len() <= MAX_TOKEN_BYTES
            && self.agent_profile(mount, agents)?.verify(text, record.created_at).is_ok();
        if !readable {
            let message = "The task context is too large or too deeply nested".to_owned();
            let fault = FieldError { field: "task_context", kind: "too_long", message };
            return Err(IdentityError::Invalid(vec![fault]));
        }
        Ok(token)
    }

    fn agent_profile(
        &self,
        mount: &MountSettings,
        agents: &AgentSettings,
    ) -> Result<TokenProfile, IdentityError> {
        let keys = self.inner.mount_keys(&mount.name).ok_or(IdentityError::Internal)?;
        let access = mount.tokens.access_type();
        let audience: Option<Arc<str>> = mount.tokens.audience.clone();
        let profile = tokens::profile(mount, audience, access, keys.verifying_at(self.now()));
        Ok(TokenProfile { agent_audience: Some(agents.audience.clone()), ..profile })
    }
}

/// What is told of a token that has expired.
pub(super) fn expired(agent: &ExpiredAgent) -> AuditRecord {
    AuditRecord {
        realm: Some(agent.realm.clone()),
        mount: Some(agent.mount.clone()),
        account: Some(agent.account.clone()),
        details: json!({
            "agent_type": agent.kind,
            "token": agent.id.as_str(),
            "session": agent.session.as_ref().map(|id| id.as_str()),
            "token_duration": agent.expires_at.since(agent.created_at).as_secs(),
        }),
        ..AuditRecord::new(EventKind::AgentTokenExpired.as_str(), agent.expires_at)
    }
}

/// The account's agents have as many tokens as they may; told like any other limit.
fn too_many(agents: &AgentSettings) -> IdentityError {
    let window = Window { limit: agents.most, per: agents.lifetime };
    let (reset_after, retry_after) = (agents.lifetime, Some(TRY_AGAIN.min(agents.lifetime)));
    IdentityError::Throttled(Toll {
        name: "agent-tokens".into(),
        window,
        remaining: 0,
        reset_after,
        retry_after,
    })
}

fn acceptable(request: &AgentRequest) -> Result<(), IdentityError> {
    let mut faults = Vec::new();
    let mut fault = |field, kind, message: String| faults.push(FieldError { field, kind, message });
    let plain = |text: &str| {
        (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if !plain(&request.kind) {
        fault("agent_type", "invalid", format!("1 to {LONGEST_NAME} visible characters"));
    }
    if request.capabilities.len() > MOST_CAPABILITIES {
        let message = format!("At most {MOST_CAPABILITIES} capabilities");
        fault("capabilities_requested", "too_long", message);
    }
    if !request.capabilities.iter().all(|name| plain(name)) {
        let message = format!("Every capability has 1 to {LONGEST_NAME} visible characters");
        fault("capabilities_requested", "invalid", message);
    }
    if faults.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(faults)) }
}
