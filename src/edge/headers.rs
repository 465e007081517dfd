//! Header fields the gateway owns on every reply: request id, rate limits, cross-origin and safety.

use std::fmt::{self, Write};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response};
use pingora::http::ResponseHeader;

use super::{client::REQUEST_ID, ctx::Ctx};
use crate::{
    model::{
        Timestamp,
        hop::{CONTEXT_HEADER, NEWS_HEADER, VERDICT_HEADER},
    },
    pipeline::{ProofRule, RateHeaders, Toll, mutate::Fields, proof::ALGORITHMS},
};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("x-ratelimit-policy");
const IETF_STATE: HeaderName = HeaderName::from_static("ratelimit");
const IETF_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// Fields that [`stamp`] adds at most, cross-origin ones apart.
const OURS: usize = 11;

/// Changes the fields of a reply.
///
/// Works on the bare parts: pingora keeps a second map with the case of every name and parses each name anew, which
/// for these few fields costs a tenth of a whole request. Names go out in lower case, as in HTTP/2. Neither map is ever
/// near its limit: pingora reads no more than 256 fields.
pub(super) fn edit(reply: &mut ResponseHeader, change: impl FnOnce(StatusCode, &mut HeaderMap)) {
    let blank = http::Response::new(()).into_parts().0.into();
    let old = std::mem::replace(reply, blank);
    let own_reason = |reason: &&str| Some(*reason) != old.status.canonical_reason();
    let reason = old.get_reason_phrase().filter(own_reason).map(str::to_owned);
    let mut parts = response::Parts::from(old);
    change(parts.status, &mut parts.headers);
    *reply = parts.into();
    if reason.is_some() {
        // It was read from a reply, so it can stand in one.
        let _ = reply.set_reason_phrase(reason.as_deref());
    }
}

/// Puts the gateway's fields on a reply, replacing the upstream's where both have a say.
pub(super) fn stamp(status: StatusCode, headers: &mut HeaderMap, ctx: &Ctx, now: Timestamp) {
    headers.reserve(OURS);
    let mut fields = Fields::with_capacity(160);
    // Kept or made, a request id has only letters, digits and `_.-`.
    fields.put(&REQUEST_ID, |out| out.push_str(ctx.request_id()));
    if let Some(toll) = &ctx.trail.toll {
        rate(status, &mut fields, toll, ctx.mount().rate_headers, now);
    }
    fields.written().each(|name, value| {
        headers.insert(name, value);
    });
    if let Some(nonce) = &ctx.trail.nonce {
        headers.insert(NONCE, nonce.clone());
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert_with(|| HeaderValue::from_static("no-referrer"));
    if let Some(admitted) = &ctx.admitted {
        cross_origin(headers, &admitted.cors);
    }
}

/// Asks for a bound token where the route takes no other (RFC 9449 section 7.1), or for either where it takes both.
pub(super) fn ask_for_proof(headers: &mut HeaderMap, rule: ProofRule) {
    let challenge = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let Some(rest) = challenge.and_then(|text| text.strip_prefix("Bearer")) else { return };
    if !rule.takes_dpop() || rest.contains("insufficient_scope") {
        return;
    }
    let comma = if rest.is_empty() { "" } else { "," };
    let Ok(asked) = HeaderValue::try_from(format!("DPoP{rest}{comma} {ALGORITHMS}")) else {
        return;
    };
    if rule.takes_certificates() {
        headers.append(header::WWW_AUTHENTICATE, asked);
    } else {
        headers.insert(header::WWW_AUTHENTICATE, asked);
    }
}

/// Tells in a challenge for a token where to learn which tokens are taken (RFC 9728 section 5.1).
pub(super) fn point_to(headers: &mut HeaderMap, metadata: &str) {
    let challenge = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let of = |scheme: &'static str| {
        challenge.and_then(|text| text.strip_prefix(scheme)).map(|rest| (scheme, rest))
    };
    let Some((scheme, rest)) = of("Bearer").or_else(|| of("DPoP")) else { return };
    let comma = if rest.is_empty() { "" } else { "," };
    let text = format!("{scheme}{rest}{comma} resource_metadata=\"{metadata}\"");
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
}

/// Turns an upstream's reply into the gateway's: what is not its to say, the operator's rules, then our own fields.
pub(super) fn of_upstream(reply: &mut ResponseHeader, ctx: &Ctx, now: Timestamp) {
    edit(reply, |status, headers| {
        clean(headers);
        if let Some(admitted) = &ctx.admitted {
            let rules = &admitted.route.route.headers;
            for name in &rules.response_remove {
                headers.remove(name);
            }
            for (name, value) in &rules.response_set {
                headers.insert(name, value.clone());
            }
        }
        stamp(status, headers, ctx, now);
    });
}

/// Takes out of an upstream's reply what is not the upstream's to say to a client: fields that hold for one connection
/// only (RFC 9110 section 7.6.1), cross-origin permissions, which the mount alone gives, and what only identity says.
fn clean(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    // Hardly any reply has one of these, and looking at its few names costs less than asking for each of ours.
    while let Some(name) = headers.keys().find(|name| is_ours(name)).cloned() {
        headers.remove(name);
    }
}

fn is_ours(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        CONTEXT_HEADER
            | VERDICT_HEADER
            | NEWS_HEADER
            | "keep-alive"
            | "proxy-connection"
            | "trailer"
            | "te"
            | "upgrade"
            | "access-control-allow-origin"
            | "access-control-allow-credentials"
            | "access-control-allow-methods"
            | "access-control-allow-headers"
            | "access-control-expose-headers"
            | "access-control-max-age"
    )
}

/// The fields that a reply's `Connection` names. What frames the message stays: pingora reads and writes by it.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    names
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.eq_ignore_ascii_case(b"close"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !framing.contains(name))
        .collect()
}

/// Cross-origin fields replace the upstream's; `Vary` is a list and only grows.
pub(super) fn cross_origin(headers: &mut HeaderMap, fields: &[(HeaderName, HeaderValue)]) {
    for (name, value) in fields {
        if *name == header::VARY {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
}

/// The state of the tightest limit, from one computed value.
fn rate(status: StatusCode, fields: &mut Fields, toll: &Toll, wanted: RateHeaders, now: Timestamp) {
    let (limit, remaining, window) = (toll.window.limit, toll.remaining, toll.window.per.as_secs());
    let legacy = wanted.legacy_always || status == StatusCode::TOO_MANY_REQUESTS;
    if legacy {
        let full = now + toll.reset_after;
        let reset = full.secs() + i64::from(full.millis() % 1000 != 0);
        let mut digits = itoa::Buffer::new();
        fields.put(&LIMIT, |out| out.push_str(digits.format(limit)));
        fields.put(&REMAINING, |out| out.push_str(digits.format(remaining)));
        fields.put(&RESET, |out| out.push_str(digits.format(reset)));
    }
    // Writing to a String does not fail.
    let mut put = |name: &HeaderName, text: fmt::Arguments<'_>| {
        fields.put(name, |out| {
            let _ = out.write_fmt(text);
        });
    };
    if legacy && wanted.policy {
        put(&POLICY, format_args!("{limit};w={window}"));
    }
    if wanted.ietf {
        let (name, reset) = (quoted(&toll.name), whole_seconds(toll.reset_after));
        put(&IETF_STATE, format_args!("{name};r={remaining};t={reset}"));
        put(&IETF_POLICY, format_args!("{name};q={limit};w={window}"));
    }
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
        let mut fields = Fields::with_capacity(64);
        let status = StatusCode::from_u16(status).unwrap();
        rate(status, &mut fields, &toll, wanted, Timestamp(5_500));
        let mut all = Vec::new();
        fields
            .written()
            .each(|name, value| all.push((name.to_string(), value.to_str().unwrap().to_owned())));
        all.sort();
        all
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_upstream_speaks_neither_for_the_connection_nor_for_the_mount() {
        let mut headers = HeaderMap::new();
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
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_static(value));
        }
        clean(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "content-length", "x-own"]);
    }

    #[test]
    fn an_edited_reply_keeps_its_status_and_its_own_words_for_it() {
        let mut reply = ResponseHeader::build(404, None).unwrap();
        reply.set_reason_phrase(Some("Gone Fishing")).unwrap();
        edit(&mut reply, |_, headers| {
            headers.insert(LIMIT, HeaderValue::from(1));
        });
        assert_eq!((reply.status.as_u16(), reply.get_reason_phrase()), (404, Some("Gone Fishing")));
        assert!(reply.headers.contains_key(LIMIT));
    }

    #[test]
    fn reset_is_the_second_when_the_window_is_full_again() {
        let always = RateHeaders { legacy_always: true, policy: false, ietf: false };
        let expected = pairs(&[
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "7"),
        ]);
        assert_eq!(shown(always, 200), expected);
    }

    #[test]
    fn without_a_wish_only_a_429_shows_the_limit() {
        let quiet = RateHeaders { legacy_always: false, policy: false, ietf: false };
        assert_eq!(shown(quiet, 200), pairs(&[]));
        assert_eq!(shown(quiet, 429).len(), 3);
    }

    #[test]
    fn the_policy_tells_limit_and_window() {
        let policy = RateHeaders { legacy_always: true, policy: true, ietf: false };
        let shown = shown(policy, 200);
        assert_eq!(shown.len(), 4);
        assert!(shown.contains(&("x-ratelimit-policy".to_owned(), "100;w=60".to_owned())));
    }

    #[test]
    fn the_ietf_fields_say_the_same() {
        let ietf = RateHeaders { legacy_always: false, policy: false, ietf: true };
        let expected = pairs(&[
            ("ratelimit", "\"per-key\";r=7;t=2"),
            ("ratelimit-policy", "\"per-key\";q=100;w=60"),
        ]);
        assert_eq!(shown(ietf, 200), expected);
    }
}
