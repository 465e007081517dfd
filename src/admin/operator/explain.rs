//! Questions about requests: what would become of one, and what became of one.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Vitals, ask::Sent};
use crate::{
    admin::problem::Problem,
    model::AuthMethod,
    pipeline::explain::{Assumed, Question},
};

/// Requests that somebody might send. Nothing is forwarded, charged or noted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// At most 1000, answered in order.
    requests: Vec<AskedRequest>,
}

/// One request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedRequest {
    /// Its head as the bytes of HTTP/1.1, the empty line included, in base64.
    head: String,
    /// Listener; left out: the one that fits port and scheme.
    listener: Option<String>,
    /// Port of its URL.
    port: Option<u16>,
    /// The name that the TLS connection was opened to; left out: plain HTTP.
    server_name: Option<String>,
    /// The certificate that the client shows, as base64 of DER. Taken for proven where the listener asks for one.
    certificate: Option<String>,
    /// Address that connects; left out: 127.0.0.1.
    client: Option<String>,
    /// Who is taken for the caller, whatever the request carries.
    assumed: Option<AskedCaller>,
}

/// A caller who is taken for proven.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedCaller {
    /// `jwt`, `api_key`, `agent`, `session`, `client_cert`.
    by: String,
    /// Account id.
    user: String,
    /// Login name.
    username: Option<String>,
    /// Organisation or namespace.
    tenant: Option<String>,
    /// Roles.
    #[serde(default)]
    roles: Vec<String>,
    /// Scopes of the credential; left out: it narrows nothing.
    scopes: Option<Vec<String>>,
    /// What an agent was granted.
    #[serde(default)]
    capabilities: Vec<String>,
}

/// The answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Answers {
    /// The configuration they are given on.
    config_hash: String,
    /// Whose evidence: `running` or `store`.
    evidence: &'static str,
    /// One for each request, in order: outcome, reason, route, and every stage with what it looked at.
    #[schema(value_type = Vec<Object>)]
    answers: Vec<Value>,
}

const MOST: usize = 1000;

/// Tells what would become of requests, stage by stage.
#[utoipa::path(post, path = "/v1/explain", tag = "explain", request_body = Ask,
    responses((status = 200, body = Answers), (status = 422, body = Problem)))]
pub(super) async fn explain(
    State(app): State<Vitals>,
    Sent(ask): Sent<Ask>,
) -> Result<Json<Answers>, Problem> {
    if ask.requests.len() > MOST {
        return Err(Problem::field("requests", "too_many", "requests must be at most 1000"));
    }
    let questions: Result<Vec<Question>, Problem> =
        ask.requests.into_iter().map(AskedRequest::read).collect();
    let control = &app.parts.control;
    let told = control
        .explain(questions?)
        .await
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_explained", why))?;
    let answers = told.answers.iter().filter_map(|answer| serde_json::to_value(answer).ok());
    Ok(Json(Answers {
        config_hash: control.config().hash.to_string(),
        evidence: told.evidence,
        answers: answers.collect(),
    }))
}

/// A request that was refused, while it is remembered: the last thousand are.
#[utoipa::path(get, path = "/v1/refusals/{request_id}", tag = "explain", params(("request_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn refusal(
    State(app): State<Vitals>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let unknown = || {
        let why = "no refused request of this id is remembered: the last thousand are";
        Problem::new(StatusCode::NOT_FOUND, "not_found", why)
    };
    let past = app.parts.control.refusal(&id).ok_or_else(unknown)?;
    serde_json::to_value(past).map(Json).map_err(|_| unknown())
}

/// What rules in shadow mode would have refused since the start of the process: one entry per rule, route and reason.
#[utoipa::path(get, path = "/v1/shadow", tag = "explain", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn shadow(State(app): State<Vitals>) -> Json<Vec<Value>> {
    let lines = app.parts.control.shadow();
    Json(lines.iter().filter_map(|line| serde_json::to_value(line).ok()).collect())
}

impl AskedRequest {
    fn read(self) -> Result<Question, Problem> {
        let decoded = |field: &'static str, text: &str| {
            let not = |_| Problem::field(field, "invalid", format!("{field} must be base64"));
            BASE64_STANDARD.decode(text).map_err(not)
        };
        let head = decoded("head", &self.head)?;
        let certificate = self.certificate.as_deref().map(|text| decoded("certificate", text));
        let peer = self.client.as_deref().unwrap_or("127.0.0.1").parse::<IpAddr>();
        Ok(Question {
            head,
            listener: self.listener,
            port: self.port,
            server_name: self.server_name,
            certificate: certificate.transpose()?,
            peer: peer
                .map_err(|_| Problem::field("client", "invalid", "client must be an address"))?,
            assumed: self.assumed.map(AskedCaller::read).transpose()?,
        })
    }
}

impl AskedCaller {
    fn read(self) -> Result<Assumed, Problem> {
        let unknown = || {
            let kinds = "by must be jwt, api_key, agent, session or client_cert";
            Problem::field("assumed.by", "invalid", kinds)
        };
        let method = AuthMethod::ALL.into_iter().find(|method| method.as_str() == self.by);
        Ok(Assumed {
            method: method.ok_or_else(unknown)?,
            subject: self.user,
            username: self.username,
            tenant: self.tenant,
            roles: self.roles,
            scopes: self.scopes,
            capabilities: self.capabilities,
        })
    }
}
