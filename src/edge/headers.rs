//! Header fields the gateway owns on every reply: request id, rate limits, cross-origin and safety.

use http::{HeaderName, HeaderValue, header};
use pingora::{Result, http::ResponseHeader};

use super::ctx::Ctx;
use crate::{
    model::{
        Timestamp,
        hop::{CONTEXT_HEADER, VERDICT_HEADER},
    },
    pipeline::{RateHeaders, Toll},
};

/// Puts the gateway's fields on a reply, replacing the upstream's where both have a say.
pub(super) fn stamp(reply: &mut ResponseHeader, ctx: &Ctx, now: Timestamp) -> Result<()> {
    reply.remove_header(VERDICT_HEADER);
    reply.remove_header(CONTEXT_HEADER);
    reply.insert_header("X-Request-ID", ctx.request_id())?;
    reply.insert_header("X-Content-Type-Options", HeaderValue::from_static("nosniff"))?;
    reply.insert_header("X-Frame-Options", HeaderValue::from_static("DENY"))?;
    if !reply.headers.contains_key(header::REFERRER_POLICY) {
        reply.insert_header("Referrer-Policy", HeaderValue::from_static("no-referrer"))?;
    }
    if let Some(admitted) = &ctx.admitted {
        cross_origin(reply, &admitted.cors)?;
    }
    if let Some(toll) = &ctx.trail.toll {
        rate(reply, toll, ctx.mount().rate_headers, now)?;
    }
    Ok(())
}

/// Cross-origin fields replace the upstream's; `Vary` is a list and only grows.
pub(super) fn cross_origin(
    reply: &mut ResponseHeader,
    fields: &[(HeaderName, HeaderValue)],
) -> Result<()> {
    for (name, value) in fields {
        if *name == header::VARY {
            reply.append_header(name, value.clone())?;
        } else {
            reply.insert_header(name, value.clone())?;
        }
    }
    Ok(())
}

/// The state of the tightest limit, from one computed value.
fn rate(
    reply: &mut ResponseHeader,
    toll: &Toll,
    wanted: RateHeaders,
    now: Timestamp,
) -> Result<()> {
    let refused = reply.status == http::StatusCode::TOO_MANY_REQUESTS;
    if wanted.legacy_always || refused {
        let full = now + toll.reset_after;
        let reset = full.secs() + i64::from(full.millis() % 1000 != 0);
        reply.insert_header("X-RateLimit-Limit", HeaderValue::from(toll.window.limit))?;
        reply.insert_header("X-RateLimit-Remaining", HeaderValue::from(toll.remaining))?;
        reply.insert_header("X-RateLimit-Reset", HeaderValue::from(reset))?;
    }
    if wanted.ietf {
        let name = quoted(&toll.name);
        let (limit, remaining) = (toll.window.limit, toll.remaining);
        let (reset, window) = (whole_seconds(toll.reset_after), toll.window.per.as_secs());
        reply.insert_header("RateLimit", format!("{name};r={remaining};t={reset}"))?;
        reply.insert_header("RateLimit-Policy", format!("{name};q={limit};w={window}"))?;
    }
    Ok(())
}

/// Seconds rounded up.
pub(super) fn whole_seconds(span: std::time::Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() != 0)
}

/// A structured-field string (RFC 9651 section 3.3.3); what cannot stand in one is left out.
fn quoted(name: &str) -> String {
    let plain = |letter: &char| {
        (letter.is_ascii_graphic() || *letter == ' ') && !matches!(letter, '"' | '\\')
    };
    format!("\"{}\"", name.chars().filter(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::Window;

    fn shown(wanted: RateHeaders, status: u16) -> Vec<(String, String)> {
        let toll = Toll {
            name: "per-key".into(),
            window: Window { limit: 100, per: Duration::from_secs(60) },
            remaining: 7,
            reset_after: Duration::from_millis(1001),
            retry_after: None,
        };
        let mut reply = ResponseHeader::build(status, None).unwrap();
        rate(&mut reply, &toll, wanted, Timestamp(5_500)).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> =
            reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.sort();
        all
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn reset_is_the_second_when_the_window_is_full_again() {
        let always = RateHeaders { legacy_always: true, ietf: false };
        let expected = pairs(&[
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "7"),
        ]);
        assert_eq!(shown(always, 200), expected);
    }

    #[test]
    fn without_a_wish_only_a_429_shows_the_limit() {
        let quiet = RateHeaders { legacy_always: false, ietf: false };
        assert_eq!(shown(quiet, 200), pairs(&[]));
        assert_eq!(shown(quiet, 429).len(), 3);
    }

    #[test]
    fn the_ietf_fields_say_the_same() {
        let ietf = RateHeaders { legacy_always: false, ietf: true };
        let expected = pairs(&[
            ("ratelimit", "\"per-key\";r=7;t=2"),
            ("ratelimit-policy", "\"per-key\";q=100;w=60"),
        ]);
        assert_eq!(shown(ietf, 200), expected);
    }
}
