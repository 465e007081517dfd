//! Forms of the standard endpoints. Parameters without a value count as absent, unknown ones are ignored (RFC 6749 section 3.2).

use super::Presented;
use crate::{
    dialects::fields::{Encoding, Fields, Request},
    identity::{Authorization, CodeTrade, Login, Wanted},
    model::SecretString,
};

/// `grant_type` of an exchange.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The kind of token that there is.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The kind of token that an agent has.
pub const AGENT_TOKEN: &str = "urn:portcullis:token-type:agent";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A body of the token endpoint.
#[derive(Debug)]
pub struct TokenBody {
    /// Who asks.
    pub client: Presented,
    /// For what.
    pub kind: Kind,
    /// Scope and resources.
    pub wanted: Wanted,
}

/// Which grant, with what it needs.
#[derive(Debug)]
pub enum Kind {
    /// `client_credentials`.
    Client,
    /// Token exchange.
    Exchange {
        /// `subject_token`.
        subject: SecretString,
        /// Whether its type and the wanted type are ones there are.
        types_fit: bool,
        /// `agent_type`, where an agent token is wanted.
        agent: Option<String>,
        /// Whether there is an `actor_token`, which nobody takes here.
        actor: bool,
    },
    /// `authorization_code`.
    Code(CodeTrade),
    /// `refresh_token`.
    Refresh(SecretString),
    /// Anything else.
    Unknown,
}

impl Request for TokenBody {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        let client = Presented::read(fields);
        let kind = fields.text("grant_type");
        let scope = given(fields, "scope");
        let mut resources = fields.optional_texts("resource").unwrap_or_default();
        let kind = match kind?.as_str() {
            "client_credentials" => Kind::Client,
            TOKEN_EXCHANGE => {
                resources.extend(fields.optional_texts("audience").unwrap_or_default());
                let is_token = |kind: &str| kind == ACCESS_TOKEN || kind == JWT;
                let wanted = given(fields, "requested_token_type");
                let subject_type = fields.text("subject_token_type")?;
                let for_agent = wanted.as_deref() == Some(AGENT_TOKEN);
                let usual = wanted.as_deref().is_none_or(is_token);
                Kind::Exchange {
                    subject: fields.secret("subject_token")?,
                    types_fit: is_token(&subject_type) && (for_agent || usual),
                    agent: given(fields, "agent_type").filter(|_| for_agent),
                    actor: given(fields, "actor_token").is_some(),
                }
            }
            "authorization_code" => {
                let (code, redirect_uri) = (fields.secret("code"), fields.text("redirect_uri"));
                let verifier = fields.secret("code_verifier");
                Kind::Code(CodeTrade {
                    code: code?,
                    redirect_uri: redirect_uri?,
                    verifier: verifier?,
                })
            }
            "refresh_token" => Kind::Refresh(fields.secret("refresh_token")?),
            _ => Kind::Unknown,
        };
        resources.retain(|resource| !resource.is_empty());
        Some(Self { client, kind, wanted: Wanted { scope, resources } })
    }
}

/// What an application sends a browser with.
#[derive(Debug)]
pub struct AuthorizeQuery(pub Authorization);

impl Request for AuthorizeQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let mut resources = fields.optional_texts("resource").unwrap_or_default();
        resources.retain(|resource| !resource.is_empty());
        Some(Self(Authorization {
            client_id: given(fields, "client_id"),
            redirect_uri: given(fields, "redirect_uri"),
            response_type: given(fields, "response_type"),
            response_mode: given(fields, "response_mode"),
            challenge: given(fields, "code_challenge"),
            challenge_method: given(fields, "code_challenge_method"),
            state: given(fields, "state"),
            wanted: Wanted { scope: given(fields, "scope"), resources },
        }))
    }
}

/// The form of the login page.
#[derive(Debug)]
pub struct LoginForm {
    /// The query that it was shown for.
    pub request: String,
    /// That it is ours, and this browser's.
    pub proof: String,
    /// Who logs in.
    pub login: Login,
}

impl Request for LoginForm {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        let (request, proof) = (fields.text("request"), fields.text("proof"));
        let (name, password) = (fields.text("username"), fields.secret("password"));
        let second_factor = given(fields, "code").map(|code| code.trim().to_owned().into());
        let login = Login { second_factor, ..Login::new(name?, password?) };
        Some(Self { request: request?, proof: proof?, login })
    }
}

/// A body of revocation and introspection. `token_type_hint` changes nothing.
#[derive(Debug)]
pub struct Posted {
    /// Who asks.
    pub client: Presented,
    /// About what.
    pub token: SecretString,
}

impl Request for Posted {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        let client = Presented::read(fields);
        Some(Self { client, token: fields.secret("token")? })
    }
}

fn given(fields: &mut Fields, name: &str) -> Option<String> {
    fields.optional_text(name, usize::MAX).filter(|text| !text.is_empty())
}
