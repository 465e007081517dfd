//! Subscriptions: made, changed, shown, removed; their deliveries shown and repeated.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Attempt, Event, NewWebhook, Webhook, WebhookDelivery, WebhookWish, rules};
use crate::{
    identity::{
        Actor, EventKind, FieldError, Identity, IdentityError, Inner, MountSettings,
        WebhookSettings, audit,
    },
    model::{MountName, SecretString, Timestamp, api_key::hex, secret::ExposeSecret},
    store::{AuditRecord, Ciphertext, DeliveryRecord, NewDelivery, WebhookRecord},
};

impl Identity {
    /// Makes a subscription.
    pub async fn create_webhook(
        &self,
        mount: &MountName,
        wish: WebhookWish,
        by: &Actor,
    ) -> Result<NewWebhook, IdentityError> {
        let (mount, settings) = self.inner.webhooks_of(mount)?;
        let mut faults = rules::faults(&wish, settings.herald.known(), settings.allow_private);
        let mut missing = |field, there: bool| {
            if !there {
                let message = "Field required".to_owned();
                faults.push(FieldError { field, kind: "missing", message });
            }
        };
        missing("url", wish.url.is_some());
        missing("events", wish.events.is_some());
        if !faults.is_empty() {
            return Err(IdentityError::Invalid(faults));
        }
        let now = self.now();
        let id = format!("wh_{}", self.inner.uuid()?.replace('-', ""));
        let secret = match wish.secret {
            Some(secret) => secret,
            None => self.inner.webhook_secret()?,
        };
        let headers = wish.headers.unwrap_or_default();
        let record = WebhookRecord {
            secret: self.inner.seal_webhook(&id, "secret", secret.expose_secret().as_bytes())?,
            headers: self.inner.seal_headers(&id, &headers)?,
            id,
            realm: mount.realm.clone(),
            mount: mount.name.clone(),
            url: wish.url.unwrap_or_default(),
            events: wish.events.unwrap_or_default(),
            active: wish.active.unwrap_or(true),
            description: wish.description,
            retry: rules::retry_json(&wish.retry.unwrap_or_default()),
            filters: rules::filters_json(&wish.filters.unwrap_or_default()),
            read_to: 0,
            created_at: now,
            updated_at: now,
        };
        let told = about(EventKind::WebhookCreated, &record, by, now);
        self.inner.store.insert_webhook(&record, settings.most, &[told]).await?;
        Ok(NewWebhook { webhook: self.inner.shown_webhook(record)?, secret })
    }

    /// Changes a subscription.
    pub async fn update_webhook(
        &self,
        mount: &MountName,
        id: &str,
        wish: WebhookWish,
        by: &Actor,
    ) -> Result<Webhook, IdentityError> {
        let (mount, settings) = self.inner.webhooks_of(mount)?;
        let faults = rules::faults(&wish, settings.herald.known(), settings.allow_private);
        if !faults.is_empty() {
            return Err(IdentityError::Invalid(faults));
        }
        let mut record = self.inner.own_webhook(&mount, id).await?;
        let now = self.now();
        record.updated_at = now;
        if let Some(secret) = &wish.secret {
            let bytes = secret.expose_secret().as_bytes();
            record.secret = self.inner.seal_webhook(id, "secret", bytes)?;
        }
        if let Some(headers) = &wish.headers {
            record.headers = self.inner.seal_headers(id, headers)?;
        }
        record.url = wish.url.unwrap_or(record.url);
        record.events = wish.events.unwrap_or(record.events);
        record.active = wish.active.unwrap_or(record.active);
        record.description = wish.description.or(record.description);
        record.retry = wish.retry.as_ref().map_or(record.retry, rules::retry_json);
        record.filters = wish.filters.as_ref().map_or(record.filters, rules::filters_json);
        let told = about(EventKind::WebhookChanged, &record, by, now);
        self.inner.store.update_webhook(&record, &[told]).await?;
        self.inner.shown_webhook(record)
    }

    /// Removes a subscription with everything that waits for it.
    pub async fn delete_webhook(
        &self,
        mount: &MountName,
        id: &str,
        by: &Actor,
    ) -> Result<(), IdentityError> {
        let (mount, _) = self.inner.webhooks_of(mount)?;
        let record = self.inner.own_webhook(&mount, id).await?;
        let told = about(EventKind::WebhookDeleted, &record, by, self.now());
        Ok(self.inner.store.delete_webhook(id, &[told]).await?)
    }

    /// One subscription.
    pub async fn webhook(&self, mount: &MountName, id: &str) -> Result<Webhook, IdentityError> {
        let (mount, _) = self.inner.webhooks_of(mount)?;
        self.inner.shown_webhook(self.inner.own_webhook(&mount, id).await?)
    }

    /// All subscriptions of a mount, oldest first.
    pub async fn webhooks(&self, mount: &MountName) -> Result<Vec<Webhook>, IdentityError> {
        let (mount, _) = self.inner.webhooks_of(mount)?;
        let all = self.inner.store.webhooks(&mount.name).await?;
        let own = all.into_iter().filter(|record| record.realm == mount.realm);
        own.map(|record| self.inner.shown_webhook(record)).collect()
    }

    /// Deliveries of a subscription, newest first, and how many there are.
    pub async fn webhook_deliveries(
        &self,
        mount: &MountName,
        id: &str,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<WebhookDelivery>, u64), IdentityError> {
        let (mount, _) = self.inner.webhooks_of(mount)?;
        self.inner.own_webhook(&mount, id).await?;
        let (page, total) = self.inner.store.deliveries(id, limit, offset).await?;
        Ok((page.into_iter().map(shown_delivery).collect(), total))
    }

    /// Tells an event once more, behind everything that waits.
    pub async fn redeliver_webhook(
        &self,
        mount: &MountName,
        id: &str,
        delivery: &str,
        by: &Actor,
    ) -> Result<WebhookDelivery, IdentityError> {
        let (mount, settings) = self.inner.webhooks_of(mount)?;
        let record = self.inner.own_webhook(&mount, id).await?;
        let old = self.inner.store.delivery(id, delivery).await?.ok_or(IdentityError::NotFound)?;
        let now = self.now();
        let new = NewDelivery {
            id: self.inner.delivery_id()?,
            created_at: now,
            expires_at: now + settings.keep_trying,
            ..old.what
        };
        self.inner.put_delivery(&record, new, by, now).await
    }

    /// Tells a test event, behind everything that waits.
    pub async fn test_webhook(
        &self,
        mount: &MountName,
        id: &str,
        by: &Actor,
    ) -> Result<WebhookDelivery, IdentityError> {
        let (mount, settings) = self.inner.webhooks_of(mount)?;
        let record = self.inner.own_webhook(&mount, id).await?;
        let now = self.now();
        let (kind, data) = settings.herald.test();
        let event_id = format!("evt_{}", self.inner.uuid()?.replace('-', ""));
        let client = by.client.as_ref();
        let body = settings.herald.body(&Event {
            id: &event_id,
            kind,
            at: now,
            environment: &settings.environment,
            instance: self.inner.store.node(),
            mount: &mount.name,
            data,
            request_id: client.map(|facts| facts.request_id.as_str()),
            user_agent: client.and_then(|facts| facts.user_agent.as_deref()),
        });
        let new = NewDelivery {
            id: self.inner.delivery_id()?,
            event_id,
            event_type: kind.to_owned(),
            body: body.to_string(),
            created_at: now,
            expires_at: now + settings.keep_trying,
        };
        self.inner.put_delivery(&record, new, by, now).await
    }
}

impl Inner {
    /// A mount and its webhook settings; a mount without webhooks has none to be found.
    pub(super) fn webhooks_of(
        &self,
        mount: &MountName,
    ) -> Result<(std::sync::Arc<MountSettings>, WebhookSettings), IdentityError> {
        let mount = self.state().mount(mount)?;
        let settings = mount.webhooks.clone().ok_or(IdentityError::NotFound)?;
        Ok((mount, settings))
    }

    async fn own_webhook(
        &self,
        mount: &MountSettings,
        id: &str,
    ) -> Result<WebhookRecord, IdentityError> {
        let found = self.store.webhook(id).await?;
        let own =
            |record: &WebhookRecord| record.mount == mount.name && record.realm == mount.realm;
        found.filter(own).ok_or(IdentityError::NotFound)
    }

    async fn put_delivery(
        &self,
        webhook: &WebhookRecord,
        new: NewDelivery,
        by: &Actor,
        now: Timestamp,
    ) -> Result<WebhookDelivery, IdentityError> {
        if !webhook.active {
            let message = "the webhook is not active".to_owned();
            let fault = FieldError { field: "active", kind: "invalid", message };
            return Err(IdentityError::Invalid(vec![fault]));
        }
        let told = AuditRecord {
            details: audit::done_by(
                by,
                [
                    ("webhook", webhook.id.as_str().into()),
                    ("delivery", new.id.as_str().into()),
                    ("event", new.event_id.as_str().into()),
                ],
            ),
            ..about(EventKind::WebhookRepeated, webhook, by, now)
        };
        self.store.insert_delivery(&webhook.id, &new, &[told]).await?;
        let found = self.store.delivery(&webhook.id, &new.id).await?;
        found.map(shown_delivery).ok_or(IdentityError::NotFound)
    }

    pub(super) fn delivery_id(&self) -> Result<String, IdentityError> {
        Ok(format!("dlv_{}", self.uuid()?.replace('-', "")))
    }

    fn webhook_secret(&self) -> Result<SecretString, IdentityError> {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        self.random.fill(&mut bytes).map_err(|_| IdentityError::Internal)?;
        Ok(format!("whsec_{}", URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    fn seal_webhook(
        &self,
        id: &str,
        part: &str,
        plain: &[u8],
    ) -> Result<Ciphertext, IdentityError> {
        Ok(Ciphertext(self.keyring.seal(&purpose(id, part), plain, &*self.random)?))
    }

    fn seal_headers(
        &self,
        id: &str,
        headers: &Map<String, Value>,
    ) -> Result<Ciphertext, IdentityError> {
        let plain = serde_json::to_vec(headers).map_err(|_| IdentityError::Internal)?;
        self.seal_webhook(id, "headers", &plain)
    }

    /// What signs the bodies of a subscription.
    pub(super) fn secret_of(&self, webhook: &WebhookRecord) -> Result<Vec<u8>, IdentityError> {
        self.keyring.open(&purpose(&webhook.id, "secret"), &webhook.secret.0)
    }

    /// Its further header fields.
    pub(super) fn headers_of(
        &self,
        webhook: &WebhookRecord,
    ) -> Result<Vec<(String, String)>, IdentityError> {
        let plain = self.keyring.open(&purpose(&webhook.id, "headers"), &webhook.headers.0)?;
        let map: Map<String, Value> =
            serde_json::from_slice(&plain).map_err(|_| IdentityError::Internal)?;
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        Ok(map.into_iter().map(|(name, value)| (name, text(value))).collect())
    }

    fn shown_webhook(&self, record: WebhookRecord) -> Result<Webhook, IdentityError> {
        let names = self.headers_of(&record)?.into_iter().map(|(name, _)| name);
        Ok(Webhook {
            header_names: names.collect(),
            id: record.id,
            url: record.url,
            events: record.events,
            active: record.active,
            description: record.description,
            retry: rules::retry_of(&record.retry),
            filters: rules::filters_of(&record.filters),
            created_at: record.created_at,
            updated_at: record.updated_at,
        })
    }
}

/// The id of an event of the log under one of the types it is told as: the same whoever computes it.
pub(super) fn event_id(hash: &[u8], kind: &str) -> String {
    let mut text = hash.to_vec();
    text.extend_from_slice(kind.as_bytes());
    let digest = crate::model::Digest::of(&text);
    let short: String = hex(digest.as_bytes()).chars().take(32).collect();
    format!("evt_{short}")
}

/// The words under which a part of a subscription is sealed: it opens for no other.
fn purpose(id: &str, part: &str) -> String {
    format!("webhook {id} {part}")
}

fn about(kind: EventKind, webhook: &WebhookRecord, by: &Actor, now: Timestamp) -> AuditRecord {
    AuditRecord {
        realm: Some(webhook.realm.clone()),
        mount: Some(webhook.mount.clone()),
        // Never the address: it may carry a secret of the receiver.
        details: audit::done_by(by, [("webhook", webhook.id.as_str().into())]),
        ..audit::event(kind, by, now)
    }
}

pub(super) fn shown_delivery(record: DeliveryRecord) -> WebhookDelivery {
    let attempts: Vec<Attempt> = serde_json::from_value(record.attempts).unwrap_or_default();
    WebhookDelivery {
        id: record.what.id,
        webhook: record.webhook,
        event_id: record.what.event_id,
        event_type: record.what.event_type,
        status: record.status,
        attempts,
        next_retry: record.done_at.is_none().then_some(record.next_at),
        created_at: record.what.created_at,
    }
}
