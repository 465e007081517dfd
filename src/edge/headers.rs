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

/// Turns an upstream's reply into the gateway's: what is not its to say, the operator's rules, then our own fields.
pub(super) fn of_upstream(reply: &mut ResponseHeader, ctx: &Ctx, now: Timestamp) -> Result<()> {
    clean(reply);
    if let Some(admitted) = &ctx.admitted {
        let rules = &admitted.route.route.headers;
        for name in &rules.response_remove {
            reply.remove_header(name);
        }
        for (name, value) in &rules.response_set {
            reply.insert_header(name, value.clone())?;
        }
    }
    stamp(reply, ctx, now)
}

/// Takes out of an upstream's reply what is not the upstream's to say to a client: fields that hold for one connection
/// only (RFC 9110 section 7.6.1), and cross-origin permissions, which the mount alone gives.
fn clean(reply: &mut ResponseHeader) {
    const OF_ONE_CONNECTION: [HeaderName; 5] = [
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        header::TRAILER,
        header::TE,
        header::UPGRADE,
    ];
    const CROSS_ORIGIN: [HeaderName; 6] = [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::ACCESS_CONTROL_MAX_AGE,
    ];
    for name in nominated(reply).iter().chain(&OF_ONE_CONNECTION).chain(&CROSS_ORIGIN) {
        reply.remove_header(name);
    }
}

/// The fields that a reply's `Connection` names. What frames the message stays: pingora reads and writes by it.
fn nominated(reply: &ResponseHeader) -> Vec<HeaderName> {
    let values = reply.headers.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING))
        .collect()
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
fn whole_seconds(span: std::time::Duration) -> u64 {
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
    fn an_upstream_speaks_neither_for_the_connection_nor_for_the_mount() {
        let mut reply = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Connection", "close, X-Gone ,Content-Length"),
            ("Connection", "x-too"),
            ("X-Gone", "1"),
            ("X-Too", "1"),
            ("Content-Length", "0"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Trailer", "X"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Credentials", "true"),
            ("X-Own", "1"),
        ] {
            reply.append_header(name, value).unwrap();
        }
        clean(&mut reply);
        let mut left: Vec<_> = reply.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "content-length", "x-own"]);
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
