//! What identity says about a request it answered, beside the answer itself.

use std::time::Duration;

use pingora::http::ResponseHeader;

use super::ctx::Trail;
use crate::{
    model::hop::{HopToll, HopVerdict, VERDICT_HEADER, decode},
    pipeline::{Toll, Window},
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
    match verdict.toll.map(toll) {
        // A limit that refused is what the client must be told about, however tight another one is.
        Some(toll) if toll.retry_after.is_some() => trail.toll = Some(toll),
        toll => trail.pay(toll),
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

/// The reason as one of a closed set, because it becomes a label.
fn known(reason: &str) -> &'static str {
    const KNOWN: [&str; 15] = [
        "invalid_credentials",
        "account_locked",
        "account_disabled",
        "rate_limited",
        "refresh_token_invalid",
        "credential_ended",
        "current_password_wrong",
        "insufficient_scope",
        "not_found",
        "already_exists",
        "weak_password",
        "validation",
        "hash_pool_full",
        "dependency_unavailable",
        "internal",
    ];
    KNOWN.into_iter().find(|own| *own == reason).unwrap_or("identity_other")
}

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
    fn a_reason_outside_the_set_becomes_no_label() {
        assert_eq!(known("hand-made"), "identity_other");
    }
}
