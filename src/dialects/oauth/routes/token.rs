//! The token endpoint.

use axum::extract::State;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::proven;
use crate::{
    dialects::{
        App,
        exchange::{Answer, Hop, Sent},
        oauth::wire::{ACCESS_TOKEN, AGENT_TOKEN, Kind, Refusal, TokenBody, fault},
    },
    identity::{Exchange, GrantFault, Issued},
    model::secret::ExposeSecret,
};

pub(super) async fn give(
    State(app): State<App>,
    hop: Hop,
    headers: HeaderMap,
    Sent(body): Sent<TokenBody>,
) -> Result<Answer, Refusal> {
    let client = proven(&app, &headers, &hop, body.client).await?.offering(hop.0.offered)?;
    let (by, wanted) = (hop.actor(), body.wanted);
    match body.kind {
        Kind::Client => {
            let issued = app.identity.grant_to_client(&app.mount, &client, &wanted, &by).await?;
            Ok(answer(&issued, None))
        }
        Kind::Exchange { subject, types_fit, agent, actor } => {
            if actor {
                return Err(fault(GrantFault::Request("actor_token is not supported")));
            }
            if !types_fit {
                return Err(fault(GrantFault::Request("Only access tokens can be exchanged")));
            }
            let kind = if agent.is_some() { AGENT_TOKEN } else { ACCESS_TOKEN };
            let exchange = Exchange { subject, wanted, agent };
            let issued = app.identity.exchange_token(&app.mount, &client, &exchange, &by).await?;
            Ok(answer(&issued, Some(kind)))
        }
        Kind::Code(trade) => {
            Ok(answer(&app.identity.trade_code(&app.mount, &client, &trade, &by).await?, None))
        }
        Kind::Refresh(token) => {
            let (identity, mount) = (&app.identity, &app.mount);
            let renewed = identity.renew_for_client(mount, &client, &token, &wanted, &by).await?;
            Ok(answer(&renewed, None))
        }
        Kind::Unknown => Err(fault(GrantFault::Unknown)),
    }
}

fn answer(issued: &Issued, kind: Option<&str>) -> Answer {
    let mut body = Map::from_iter([
        ("access_token".to_owned(), issued.token.expose_secret().into()),
        ("token_type".to_owned(), if issued.signs { "DPoP" } else { "Bearer" }.into()),
        ("expires_in".to_owned(), issued.expires_in.into()),
        ("scope".to_owned(), issued.scope.as_str().into()),
    ]);
    let more = [
        ("issued_token_type", kind.map(Value::from)),
        ("refresh_token", issued.refresh_token.as_ref().map(|text| text.expose_secret().into())),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    }
    Answer::ok(&body).with(header::CACHE_CONTROL, "no-store").with(header::PRAGMA, "no-cache")
}
