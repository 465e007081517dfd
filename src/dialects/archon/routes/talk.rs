//! One conversation: who asks, in which casing the answer goes, and the envelope around it.

use std::time::Instant;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use serde_json::Value;

use super::App;
use crate::{
    dialects::{
        archon::{
            casing,
            wire::{Meta, Page, envelope},
        },
        exchange::{Answer, Hop, Rejected},
    },
    identity::Actor,
    model::{Clock, Principal, SystemClock},
    pipeline::Deny,
};

/// What every handler of the contract begins with.
pub(super) struct Talk {
    hop: Hop,
    /// Whether the caller bears snake case only.
    pub(super) snake: bool,
    began: Instant,
}

impl FromRequestParts<App> for Talk {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Rejected> {
        let hop = Hop::from_request_parts(parts, app).await?;
        let mut snake = casing::is_snake_client(hop.0.client.user_agent.as_deref());
        let session = hop.0.principal.as_ref().and_then(|caller| caller.session.as_ref());
        if let (false, Some(session)) = (snake, session) {
            // How it was opened says how its replies are read. Without an answer of the store the handler will say so.
            let found = app.identity.session(session).await.ok().flatten();
            let wants = found.and_then(|found| found.device?.get("snake")?.as_bool());
            snake = wants.unwrap_or(false);
        }
        Ok(Self { hop, snake, began: Instant::now() })
    }
}

impl Talk {
    /// Answers in snake case only, if the request was written so.
    pub(super) fn written_in(mut self, snake: bool) -> Self {
        self.snake |= snake;
        self
    }

    pub(super) fn actor(&self) -> Actor {
        self.hop.actor()
    }

    pub(super) fn caller(&self) -> Result<&Principal, Deny> {
        self.hop.caller()
    }

    pub(super) fn ok(&self, data: Value) -> Answer {
        self.answer(StatusCode::OK, data, &self.meta())
    }

    pub(super) fn created(&self, data: Value) -> Answer {
        self.answer(StatusCode::CREATED, data, &self.meta())
    }

    /// With how long it took.
    pub(super) fn timed(&self, data: Value) -> Answer {
        let meta = Meta { took: Some(self.began.elapsed()), ..self.meta() };
        self.answer(StatusCode::OK, data, &meta)
    }

    /// One page of a list.
    pub(super) fn page(&self, data: Vec<Value>, page: Page) -> Answer {
        let meta = Meta { page: Some(page), ..self.meta() };
        self.answer(StatusCode::OK, Value::Array(data), &meta)
    }

    fn meta(&self) -> Meta<'_> {
        Meta::new(&self.hop.0.client.request_id, SystemClock.now())
    }

    fn answer(&self, status: StatusCode, data: Value, meta: &Meta<'_>) -> Answer {
        let body = envelope(data, None, meta);
        Answer::new(status, &if self.snake { body } else { casing::both(body) })
    }
}
