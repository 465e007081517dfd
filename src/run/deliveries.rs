//! Carries what lies in the outbox: one loop per kind, woken when something is put in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::Gateway;
use crate::{
    identity::{Delivery, Identity, Parcel, outbox},
    mail::{Letter, MailError},
    telemetry::Metrics,
};

/// Parcels carried at once.
const BATCH: u32 = 8;
/// How often due parcels are looked for without being woken: for those that are tried again.
const LOOK: Duration = Duration::from_secs(1);
/// First pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Carries the parcels of one kind.
#[async_trait]
pub(super) trait Carrier: Send + Sync + 'static {
    /// The kind.
    fn kind(&self) -> &'static str;

    /// One try.
    async fn carry(&self, parcel: &Parcel) -> Delivery;
}

/// Starts a carrier's loop on the current runtime; it ends with it.
pub(super) fn start(identity: Identity, metrics: Metrics, carrier: Arc<dyn Carrier>) {
    tokio::spawn(async move {
        let mut bell = identity.outbox_bell();
        loop {
            bell.mark_unchanged();
            let full = round(&identity, &metrics, &carrier).await == BATCH as usize;
            if !full {
                // A bell that is gone is an identity that is gone; then the runtime ends, too.
                let _ = tokio::time::timeout(LOOK, bell.changed()).await;
            }
        }
    });
}

/// One batch; gives how many parcels there were.
async fn round(identity: &Identity, metrics: &Metrics, carrier: &Arc<dyn Carrier>) -> usize {
    let kind = carrier.kind();
    let parcels = match identity.parcels(kind, BATCH).await {
        Ok(parcels) => parcels,
        Err(error) => {
            tracing::warn!(event = "outbox_not_read", kind, %error);
            return 0;
        }
    };
    let count = parcels.len();
    let mut tries = JoinSet::new();
    for parcel in parcels {
        let (identity, metrics, carrier) = (identity.clone(), metrics.clone(), carrier.clone());
        tries.spawn(async move {
            let outcome = carrier.carry(&parcel).await;
            metrics.delivery(kind, label(&outcome));
            if let Err(error) = identity.delivered(kind, &parcel, outcome).await {
                // Its lease runs out, and it is tried again.
                tracing::warn!(event = "delivery_not_noted", kind, parcel = %parcel.id, %error);
            }
        });
    }
    tries.join_all().await;
    if let Ok(backlog) = identity.backlog(kind).await {
        metrics.outbox_waiting(kind, backlog.waiting);
    }
    count
}

fn label(outcome: &Delivery) -> &'static str {
    match outcome {
        Delivery::Arrived => "delivered",
        Delivery::Later(_) => "later",
        Delivery::Never(_) => "given_up",
    }
}

/// Sends mails with whatever mailer the configuration in force names.
pub(super) struct Mails(pub(super) Arc<Gateway>);

#[async_trait]
impl Carrier for Mails {
    fn kind(&self) -> &'static str {
        outbox::MAIL
    }

    async fn carry(&self, parcel: &Parcel) -> Delivery {
        let later = Delivery::Later(pause(parcel.attempt));
        let Some(mailer) = self.0.mailer() else {
            tracing::warn!(event = "mail_not_configured", parcel = %parcel.id, mount = %parcel.mount);
            return later;
        };
        let Ok(letter) = serde_json::from_value::<Letter>(parcel.content.clone()) else {
            return Delivery::Never("not a letter".to_owned());
        };
        let (mount, template) = (parcel.mount.as_str(), letter.template.as_str());
        match mailer.send(mount, &parcel.id, &letter).await {
            Ok(()) => {
                tracing::info!(event = "mail_sent", parcel = %parcel.id, mount, template);
                Delivery::Arrived
            }
            Err(MailError::Later(why)) => {
                let attempt = parcel.attempt;
                tracing::warn!(event = "mail_not_sent", parcel = %parcel.id, mount, template, attempt, why);
                later
            }
            Err(MailError::Never(why)) => Delivery::Never(why),
        }
    }
}

/// How long to wait after the `attempt`-th failure.
fn pause(attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(16));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let secs: Vec<u64> = [1, 2, 3, 8, 100].map(|attempt| pause(attempt).as_secs()).into();
        assert_eq!(secs, [5, 10, 20, 600, 600]);
    }
}
