//! Webhooks on the wire: wishes as they are read, subscriptions and deliveries as they are shown.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    dialects::fields::{Casing, Fields, Request},
    identity::webhooks::{Backoff, Filters, RetryPolicy, Webhook, WebhookDelivery, WebhookWish},
    model::Timestamp,
};

/// `POST /webhooks`.
#[derive(Debug)]
pub struct Create(pub WebhookWish);

impl Request for Create {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let url = fields.text("url");
        let events = fields.texts("events");
        let wish = wish(fields);
        Some(Self(WebhookWish { url: Some(url?), events: Some(events?), ..wish }))
    }
}

/// `PUT /webhooks/{webhook_id}`: what is absent stays.
#[derive(Debug)]
pub struct Change(pub WebhookWish);

impl Request for Change {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let url = fields.optional_text("url", usize::MAX);
        let events = fields.optional_texts("events");
        let wish = wish(fields);
        Some(Self(WebhookWish { url, events, ..wish }))
    }
}

fn wish(fields: &mut Fields) -> WebhookWish {
    WebhookWish {
        url: None,
        events: None,
        secret: fields.optional_secret("secret"),
        active: fields.optional_bool("active"),
        description: fields.optional_text("description", usize::MAX),
        headers: fields.optional_map("headers"),
        retry: fields.optional_object("retry_policy", |fields| Some(retry(fields))),
        filters: fields.optional_object("filters", |fields| {
            Some(Filters {
                user_roles: fields.optional_texts("user_roles").unwrap_or_default(),
                agent_types: fields.optional_texts("agent_types").unwrap_or_default(),
            })
        }),
    }
}

fn retry(fields: &mut Fields) -> RetryPolicy {
    let start = RetryPolicy::default();
    let name = fields.optional_text("backoff_strategy", 32);
    let found = name.as_deref().map(|name| Backoff::ALL.iter().find(|(known, _)| *known == name));
    if found == Some(None) {
        let text = "Input should be exponential, linear or fixed";
        fields.refuse::<()>("backoff_strategy", "enum", text);
    }
    let seconds = |value: Option<u64>, start| value.map_or(start, Duration::from_secs);
    RetryPolicy {
        max_attempts: fields
            .optional_int("max_attempts", 1, 10)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(start.max_attempts),
        backoff: found.flatten().map_or(start.backoff, |(_, backoff)| *backoff),
        initial_delay: seconds(fields.optional_int("initial_delay", 0, 3600), start.initial_delay),
        max_delay: seconds(fields.optional_int("max_delay", 0, 3600), start.max_delay),
    }
}

/// A subscription; its secret only where it was just made.
pub fn webhook(webhook: &Webhook, secret: Option<&str>) -> Value {
    let mut body = json!({
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "active": webhook.active,
        "description": webhook.description,
        "header_names": webhook.header_names,
        "retry_policy": {
            "max_attempts": webhook.retry.max_attempts,
            "backoff_strategy": webhook.retry.backoff.as_str(),
            "initial_delay": webhook.retry.initial_delay.as_secs(),
            "max_delay": webhook.retry.max_delay.as_secs(),
        },
        "filters": {
            "user_roles": webhook.filters.user_roles,
            "agent_types": webhook.filters.agent_types,
        },
        "created_at": webhook.created_at.iso(),
        "updated_at": webhook.updated_at.iso(),
    });
    if let (Some(secret), Value::Object(members)) = (secret, &mut body) {
        members.insert("secret".into(), secret.into());
    }
    body
}

/// A delivery with its tries.
pub fn delivery(delivery: &WebhookDelivery) -> Value {
    let attempts = delivery.attempts.iter().map(|attempt| {
        json!({
            "attempt": attempt.attempt,
            "timestamp": Timestamp(attempt.at).iso(),
            "status_code": attempt.status_code,
            "response_time_ms": attempt.response_time_ms,
            "error": attempt.fault,
        })
    });
    json!({
        "delivery_id": delivery.id,
        "webhook_id": delivery.webhook,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempts": attempts.collect::<Value>(),
        "next_retry": delivery.next_retry.map(Timestamp::iso),
        "created_at": delivery.created_at.iso(),
    })
}
