//! What identity says about a request it answered, beside the answer itself.

use std::{sync::LazyLock, time::Duration};

use pingora::http::ResponseHeader;

use super::ctx::Trail;
use crate::{
    identity::{IdentityError, Lookup},
    model::hop::{HopNews, HopToll, HopVerdict, NEWS_HEADER, VERDICT_HEADER, decode},
    pipeline::{Deny, Toll, Window},
};

/// Takes the verdict out of a reply of the identity plane. Only its replies are asked: an upstream cannot say this.
pub(super) fn take(reply: &mut ResponseHeader, trail: &mut Trail) {
    let Some(field) = reply.remove_header(VERDICT_HEADER) else { return };
    let Some(verdict) = field.to_str().ok().and_then(decode::<HopVerdict>) else {
        tracing::warn!(event = "verdict_unreadable");
        return;
    };
    trail.reason = verdict.reason.as_deref().map(known);
    trail.subject = verdict.subject;
    // Its limits were charged just now.
    trail.charged_at = None;
    match verdict.toll.map(toll) {
        // A limit that refused is what the client must be told about, however tight another one is.
        Some(toll) if toll.retry_after.is_some() => trail.toll = Some(toll),
        toll => trail.pay(toll),
    }
}

/// Takes out what was changed while identity worked on the request, before its answer goes on.
pub(super) fn hear(reply: &mut ResponseHeader, lookup: &dyn Lookup) {
    let Some(field) = reply.remove_header(NEWS_HEADER) else { return };
    match field.to_str().ok().and_then(decode::<HopNews>) {
        Some(news) => lookup.hears(news),
        // It may have been about anything.
        None => lookup.hears(HopNews { anything: true, ..HopNews::default() }),
    }
}

fn toll(hop: HopToll) -> Toll {
    Toll {
        name: hop.name.into(),
        window: Window { limit: hop.limit, per: Duration::from_millis(hop.window_ms) },
        remaining: hop.remaining,
        reset_after: Duration::from_millis(hop.reset_ms),
        retry_after: hop.retry_ms.map(Duration::from_millis),
    }
}

/// The reason as one of a closed set: a sender may say what it likes, the log may not.
fn known(reason: &str) -> &'static str {
    static KNOWN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let own = IdentityError::every().into_iter().map(|error| error.reason());
        let shared = Deny::every().into_iter().map(|deny| deny.reason());
        own.chain(shared).chain(OF_CONTRACTS).collect()
    });
    KNOWN.iter().find(|own| **own == reason).copied().unwrap_or("identity_other")
}

/// Reasons that only a contract's own handlers have: a body of the wrong type, a body that broke off.
const OF_CONTRACTS: [&str; 2] = ["media_type", "body_broken"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hop::encode;

    #[test]
    fn a_verdict_is_taken_out_and_understood() {
        let hop = HopToll {
            name: "login".into(),
            limit: 10,
            window_ms: 60_000,
            remaining: 0,
            reset_ms: 1500,
            retry_ms: Some(1500),
        };
        let verdict = HopVerdict {
            reason: Some("account_locked".into()),
            subject: Some("id".into()),
            toll: Some(hop),
        };
        let mut reply = ResponseHeader::build(423, None).unwrap();
        reply.insert_header(VERDICT_HEADER, encode(&verdict)).unwrap();
        let mut trail = Trail::default();
        take(&mut reply, &mut trail);
        assert!(reply.headers.is_empty());
        assert_eq!(trail.reason, Some("account_locked"));
        assert_eq!(trail.subject.as_deref(), Some("id"));
        assert_eq!(trail.toll.unwrap().reset_after, Duration::from_millis(1500));
    }

    #[test]
    fn every_reason_of_identity_and_its_contracts_is_in_the_set() {
        for reason in ["account_locked", "no_route", "body_too_large", "media_type"] {
            assert_eq!(known(reason), reason);
        }
    }

    #[test]
    fn a_reason_outside_the_set_becomes_no_label() {
        assert_eq!(known("hand-made"), "identity_other");
    }
}
