//! Forms of the standard endpoints. Parameters without a value count as absent, unknown ones are ignored (RFC 6749 section 3.2).

use super::Presented;
use crate::{
    dialects::fields::{Encoding, Fields, Request},
    identity::Wanted,
    model::SecretString,
};

/// `grant_type` of an exchange.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The kind of token that there is.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
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
        /// Whether there is an `actor_token`, which nobody takes here.
        actor: bool,
    },
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
                Kind::Exchange {
                    subject: fields.secret("subject_token")?,
                    types_fit: is_token(&subject_type)
                        && wanted.is_none_or(|wanted| is_token(&wanted)),
                    actor: given(fields, "actor_token").is_some(),
                }
            }
            _ => Kind::Unknown,
        };
        resources.retain(|resource| !resource.is_empty());
        Some(Self { client, kind, wanted: Wanted { scope, resources } })
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
