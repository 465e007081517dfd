//! The access line: one per request, typed, so that nothing else can slip into it.

use std::{net::IpAddr, time::Duration};

use crate::pipeline::Outcome;

/// Target of access lines in `tracing`; the log's filter switches them on and off by it.
pub(super) const TARGET: &str = "access";
/// Text of the client's choice is cut here, so that it cannot fill the disk.
const LONGEST_PATH: usize = 2048;
const LONGEST_AGENT: usize = 256;

/// Everything an access line tells. Ids only; never a credential and never a query string.
#[derive(Clone, Debug)]
pub struct AccessLine<'a> {
    /// `req_…`.
    pub request_id: &'a str,
    /// Method as sent.
    pub method: &'a str,
    /// Canonical host.
    pub host: &'a str,
    /// Canonical path without its query.
    pub path: &'a str,
    /// Status sent to the client; 0 if none could be sent.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Reason code of a refusal; `ok` otherwise.
    pub reason: &'static str,
    /// The mount; empty if no place was found.
    pub mount: &'a str,
    /// The route; empty if none was found.
    pub route: &'a str,
    /// Account id of the caller.
    pub subject: Option<&'a str>,
    /// How the caller was proven.
    pub auth: Option<&'a str>,
    /// API key id.
    pub key_id: Option<&'a str>,
    /// Client address, after trusted proxies.
    pub client: IpAddr,
    /// Name of the upstream.
    pub upstream: Option<&'a str>,
    /// Address of the backend that was used.
    pub backend: Option<&'a str>,
    /// From the request head to the end of the answer.
    pub duration: Duration,
    /// Part of it that was spent with the upstream.
    pub upstream_duration: Option<Duration>,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// `User-Agent`, if it is text.
    pub user_agent: Option<&'a str>,
}

/// Writes one access line, if access lines are switched on.
pub fn access(line: &AccessLine<'_>) {
    tracing::event!(
        target: TARGET,
        tracing::Level::INFO,
        request_id = line.request_id,
        client = %line.client,
        method = line.method,
        host = line.host,
        path = cut(line.path, LONGEST_PATH),
        status = line.status,
        outcome = line.outcome.as_str(),
        reason = line.reason,
        mount = line.mount,
        route = line.route,
        subject = line.subject,
        auth = line.auth,
        key_id = line.key_id,
        upstream = line.upstream,
        backend = line.backend,
        duration_ms = milliseconds(line.duration),
        upstream_ms = line.upstream_duration.map(milliseconds),
        bytes_in = line.bytes_in,
        bytes_out = line.bytes_out,
        user_agent = line.user_agent.map(|agent| cut(agent, LONGEST_AGENT)),
    );
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}
