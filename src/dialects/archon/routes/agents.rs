//! Agents: their tokens made, and verified for others.

use axum::extract::State;
use serde_json::{Value, json};

use super::{App, talk::Talk};
use crate::{
    dialects::{
        archon::wire::{Agent, AgentToken, Refusal},
        exchange::{Answer, Sent},
    },
    model::secret::ExposeSecret,
};

pub(super) async fn authenticate(
    State(app): State<App>,
    talk: Talk,
    Sent(Agent(request)): Sent<Agent>,
) -> Result<Answer, Refusal> {
    let made = app.identity.authenticate_agent(talk.caller()?, request, &talk.actor()).await?;
    Ok(talk.ok(json!({
        "agent_token": made.token.expose_secret(),
        "capabilities_granted": made.grant.granted,
        "capabilities_denied": made.grant.denied,
        "expires_in": made.expires_in,
        "restrictions": Value::Object(made.grant.restrictions),
    })))
}

pub(super) async fn validate(
    State(app): State<App>,
    talk: Talk,
    Sent(AgentToken(token)): Sent<AgentToken>,
) -> Result<Answer, Refusal> {
    let facts = app.identity.validate_agent(&app.mount, &token)?;
    Ok(talk.ok(json!({
        "valid": true,
        "agent_type": facts.kind,
        "capabilities": facts.capabilities,
        "restrictions": facts.restrictions,
        "expires_at": facts.expires_at.iso(),
    })))
}
