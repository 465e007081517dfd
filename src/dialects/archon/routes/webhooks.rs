//! Subscriptions and their deliveries, for administrators.

use axum::extract::State;
use serde_json::Value;

use super::{App, talk::Talk};
use crate::{
    dialects::{
        archon::wire::{self, Change, Create, Page, PageQuery, Refusal},
        exchange::{Answer, Asked, Param, Sent},
    },
    identity::IdentityError,
    model::secret::ExposeSecret,
};

pub(super) async fn create(
    State(app): State<App>,
    talk: Talk,
    Sent(Create(wish)): Sent<Create>,
) -> Result<Answer, Refusal> {
    let made = app.identity.create_webhook(&app.mount, wish, &talk.actor()).await?;
    Ok(talk.created(wire::webhook(&made.webhook, Some(made.secret.expose_secret()))))
}

pub(super) async fn list(State(app): State<App>, talk: Talk) -> Result<Answer, Refusal> {
    let all = app.identity.webhooks(&app.mount).await?;
    Ok(talk.ok(all.iter().map(|webhook| wire::webhook(webhook, None)).collect::<Value>()))
}

pub(super) async fn get(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let found = app.identity.webhook(&app.mount, &id).await.map_err(missing)?;
    Ok(talk.ok(wire::webhook(&found, None)))
}

pub(super) async fn change(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
    Sent(Change(wish)): Sent<Change>,
) -> Result<Answer, Refusal> {
    let by = talk.actor();
    let changed = app.identity.update_webhook(&app.mount, &id, wish, &by).await.map_err(missing)?;
    Ok(talk.ok(wire::webhook(&changed, None)))
}

pub(super) async fn remove(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    app.identity.delete_webhook(&app.mount, &id, &talk.actor()).await.map_err(missing)?;
    Ok(talk.ok(wire::message("Webhook deleted")))
}

pub(super) async fn test(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
) -> Result<Answer, Refusal> {
    let made = app.identity.test_webhook(&app.mount, &id, &talk.actor()).await.map_err(missing)?;
    Ok(talk.ok(wire::delivery(&made)))
}

pub(super) async fn deliveries(
    State(app): State<App>,
    talk: Talk,
    Param(id): Param,
    Asked(page): Asked<PageQuery>,
) -> Result<Answer, Refusal> {
    let (limit, offset) = (page.limit, u64::from(page.offset()));
    let found = app.identity.webhook_deliveries(&app.mount, &id, limit, offset).await;
    let (deliveries, total) = found.map_err(missing)?;
    let list = deliveries.iter().map(wire::delivery).collect();
    Ok(talk.page(list, Page { page: page.page, limit, total }))
}

pub(super) async fn redeliver(
    State(app): State<App>,
    talk: Talk,
    Param((id, delivery)): Param<(String, String)>,
) -> Result<Answer, Refusal> {
    let by = talk.actor();
    let made = app.identity.redeliver_webhook(&app.mount, &id, &delivery, &by).await;
    Ok(talk.ok(wire::delivery(&made.map_err(missing)?)))
}

fn missing(error: IdentityError) -> Refusal {
    Refusal::missing_as("Webhook not found", Some("WEBHOOK_NOT_FOUND"))(error)
}
