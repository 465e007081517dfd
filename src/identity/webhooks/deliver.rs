//! Carrying deliveries to their receivers: one at a time per subscription, many subscriptions at once.

use std::{collections::HashSet, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{
    Attempt, Carrier, CarryFault, Letter, Stamp,
    retry::{self, Outcome},
    rules,
};
use crate::{
    identity::{Identity, IdentityError},
    model::api_key::hex,
    store::{DeliveryRecord, Tried},
};

/// Subscriptions served at once.
const AT_ONCE: usize = 32;
/// How often the log is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// For how long a node that goes away keeps the others from telling in its place.
const WATCH: Duration = Duration::from_secs(15);
/// How often a node asks whether it is to tell.
const IDLE: Duration = Duration::from_secs(2);
/// Pause after the store could not be asked.
const BREATH: Duration = Duration::from_secs(2);
/// Tries that are kept of a delivery.
const KEPT_ATTEMPTS: usize = 20;

impl Identity {
    /// Tells receivers what happens, for as long as it is polled. What it was carrying when it is dropped is carried anew by
    /// the next one.
    pub async fn deliver_webhooks(&self, carrier: Arc<dyn Carrier>) {
        let mut running: JoinSet<String> = JoinSet::new();
        let mut busy: HashSet<String> = HashSet::new();
        loop {
            let pause = match self.turn(&carrier, &mut running, &mut busy).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(event = "webhooks_not_read", reason = error.reason());
                    BREATH
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(done) = running.join_next() => match done {
                    Ok(webhook) => drop(busy.remove(&webhook)),
                    Err(error) => {
                        tracing::error!(event = "webhook_delivery_failed", %error);
                        // Which one it was is not known: the store says what is still to be done.
                        running.shutdown().await;
                        busy.clear();
                    }
                },
            }
        }
    }

    async fn turn(
        &self,
        carrier: &Arc<dyn Carrier>,
        running: &mut JoinSet<String>,
        busy: &mut HashSet<String>,
    ) -> Result<Duration, IdentityError> {
        if !self.does("webhooks", WATCH).await? {
            return Ok(IDLE);
        }
        let more = self.spread_webhooks().await?;
        let limit = u32::try_from(AT_ONCE + busy.len()).unwrap_or(u32::MAX);
        for delivery in self.inner.store.due_deliveries(self.now(), limit).await? {
            if running.len() >= AT_ONCE || !busy.insert(delivery.webhook.clone()) {
                continue;
            }
            let (identity, carrier) = (self.clone(), carrier.clone());
            running.spawn(async move {
                let webhook = delivery.webhook.clone();
                if let Err(error) = identity.carry(&*carrier, delivery).await {
                    // Not noted, so it is due again; not at once, or a full disk would make us send without end.
                    tracing::warn!(event = "webhook_try_not_noted", reason = error.reason());
                    tokio::time::sleep(BREATH).await;
                }
                webhook
            });
        }
        Ok(if more { Duration::ZERO } else { PERIOD })
    }

    /// One try of one delivery, and what follows from it.
    pub(super) async fn carry(
        &self,
        carrier: &dyn Carrier,
        delivery: DeliveryRecord,
    ) -> Result<(), IdentityError> {
        let inner = &self.inner;
        let Some(webhook) = inner.store.webhook(&delivery.webhook).await? else { return Ok(()) };
        let Ok((_, settings)) = inner.webhooks_of(&webhook.mount) else {
            let gone = Tried {
                status: "failed",
                tries: delivery.tries,
                attempts: delivery.attempts,
                next_at: None,
            };
            return Ok(inner.store.delivery_tried(&delivery.what.id, &gone, self.now()).await?);
        };
        let what = &delivery.what;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &inner.secret_of(&webhook)?);
        let signature = hex(hmac::sign(&key, what.body.as_bytes()).as_ref());
        let stamp =
            Stamp { event_id: &what.event_id, event_type: &what.event_type, at: what.created_at };
        let mut headers = inner.headers_of(&webhook)?;
        let own = settings.herald.headers(&stamp, &signature);
        headers.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let letter = Letter {
            url: webhook.url.clone(),
            headers,
            body: what.body.clone().into_bytes(),
            timeout: settings.timeout,
            allow_private: settings.allow_private,
        };
        let (began, started) = (self.now(), Instant::now());
        let answer = carrier.post(&letter).await;
        let outcome = match answer {
            Err(CarryFault::Forbidden) => Outcome::Refused,
            other => Outcome::of(other.ok()),
        };
        let tries = delivery.tries.saturating_add(1);
        let now = self.now();
        let policy = rules::retry_of(&webhook.retry);
        let next = retry::next(&policy, outcome, tries, now, what.expires_at);
        let attempt = Attempt {
            attempt: tries,
            at: began.millis(),
            status_code: answer.ok(),
            fault: answer.err().map(|fault| fault.as_str().to_owned()),
            response_time_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let mut attempts: Vec<Attempt> =
            serde_json::from_value(delivery.attempts).unwrap_or_default();
        attempts.push(attempt);
        let old = attempts.len().saturating_sub(KEPT_ATTEMPTS);
        attempts.drain(..old);
        let tried =
            Tried { status: next.status, tries, attempts: json!(attempts), next_at: next.at };
        if next.status == "failed" {
            let given_up = next.at.is_none();
            tracing::warn!(event = "webhook_failed", webhook = %webhook.id, delivery = %what.id, given_up);
        }
        Ok(inner.store.delivery_tried(&what.id, &tried, now).await?)
    }
}
