//! From the log of events to deliveries: each subscription reads on from where it was.

use std::collections::HashMap;

use serde_json::Value;

use super::{Event, Occurrence, manage::event_id, rules};
use crate::{
    identity::{Account, Identity, IdentityError, Session, WebhookSettings, accounts, sessions},
    store::{AuditRecord, Happened, NewDelivery, WebhookRecord},
};

/// Events read at once.
const PAGE: u32 = 200;

/// What is known of one event beside what the log says.
struct Known {
    account: Option<Account>,
    session: Option<Session>,
}

impl Identity {
    /// Makes deliveries of what happened since the last time; gives whether there may be more. Called by whoever carries.
    pub async fn spread_webhooks(&self) -> Result<bool, IdentityError> {
        let mut behind = self.inner.store.webhooks_behind().await?;
        // One node's log at a time; the others' are the next turns'.
        let Some(node) = behind.first().map(|(node, _)| node.clone()) else { return Ok(false) };
        let all = behind.len();
        behind.retain(|(of, _)| *of == node);
        let others = behind.len() < all;
        let behind: Vec<WebhookRecord> = behind.into_iter().map(|(_, webhook)| webhook).collect();
        let from = behind.iter().map(|webhook| webhook.read_to).min().unwrap_or_default();
        let page = self.inner.store.happened_after(&node, from, PAGE).await?;
        let Some(last) = page.last().map(|happened| happened.chained.seq) else { return Ok(false) };
        let mut known: HashMap<u64, Known> = HashMap::new();
        for webhook in &behind {
            if webhook.read_to >= last {
                continue;
            }
            // A subscription of a mount that is gone, or serves another realm now, is told nothing more.
            let settings = self.inner.webhooks_of(&webhook.mount).ok();
            let settings =
                settings.filter(|(mount, _)| mount.realm == webhook.realm).map(|(_, found)| found);
            let mut new = Vec::new();
            if let Some(settings) = &settings {
                for happened in page.iter().filter(|one| one.chained.seq > webhook.read_to) {
                    let record = &happened.chained.record;
                    if !concerns(webhook, record) {
                        continue;
                    }
                    let seq = happened.chained.seq;
                    if let std::collections::hash_map::Entry::Vacant(slot) = known.entry(seq) {
                        slot.insert(self.known_of(record).await?);
                    }
                    let Some(facts) = known.get(&seq) else { continue };
                    new.extend(self.told(webhook, settings, happened, facts)?);
                }
            }
            // Lost to another change of the subscription: the next turn judges anew.
            self.inner
                .store
                .tell_webhook(&webhook.id, &node, (webhook.read_to, last), &new)
                .await?;
        }
        Ok(others || page.len() >= PAGE as usize)
    }

    /// What a subscription is told of an event.
    fn told(
        &self,
        webhook: &WebhookRecord,
        settings: &WebhookSettings,
        happened: &Happened,
        facts: &Known,
    ) -> Result<Vec<NewDelivery>, IdentityError> {
        let record = &happened.chained.record;
        let occurrence = Occurrence {
            event: &record.event,
            details: &record.details,
            at: record.at,
            account: facts.account.as_ref(),
            session: facts.session.as_ref(),
            address: record.ip,
        };
        let filters = rules::filters_of(&webhook.filters);
        let roles = facts.account.as_ref().map(|account| account.roles.as_slice());
        let agent = record.details.get("agent_type").and_then(Value::as_str);
        let mut new = Vec::new();
        for (kind, data) in settings.herald.told(&occurrence) {
            let wanted = webhook.events.iter().any(|word| rules::is_told(word, kind));
            if !wanted || !rules::passes(&filters, roles, agent) {
                continue;
            }
            let id = event_id(&happened.hash, kind);
            let body = settings.herald.body(&Event {
                id: &id,
                kind,
                at: record.at,
                environment: &settings.environment,
                instance: &happened.chained.node,
                mount: &webhook.mount,
                data,
                request_id: record.request_id.as_deref(),
                user_agent: record.user_agent.as_deref(),
            });
            let now = self.now();
            new.push(NewDelivery {
                id: self.inner.delivery_id()?,
                event_id: id,
                event_type: kind.to_owned(),
                body: body.to_string(),
                created_at: now,
                expires_at: now + settings.keep_trying,
            });
        }
        Ok(new)
    }

    async fn known_of(&self, record: &AuditRecord) -> Result<Known, IdentityError> {
        let account = match &record.account {
            Some(id) => self.inner.store.account(id).await?.map(accounts::shown),
            None => None,
        };
        let session = match record.details.get("session").and_then(Value::as_str) {
            Some(id) => self.inner.store.session(&id.into()).await?.map(sessions::shown),
            None => None,
        };
        Ok(Known { account, session })
    }
}

/// Whether an event is one of the subscription's mount: by name, or, where it names none, by its realm.
fn concerns(webhook: &WebhookRecord, record: &AuditRecord) -> bool {
    let realm = record.realm.as_ref().is_none_or(|realm| *realm == webhook.realm);
    match &record.mount {
        Some(mount) => *mount == webhook.mount && realm,
        None => record.realm.as_ref() == Some(&webhook.realm),
    }
}
