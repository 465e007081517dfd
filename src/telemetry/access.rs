//! The access line: one per request, typed, so that nothing else can slip into it.
//!
//! It stands among the lines of the log and looks like one of them, but does not go through tracing: that costs more
//! than all checks of a request, for a line whose fields are known here.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use super::logging::{
    Writer,
    json::{self, push_escaped, push_time},
};
use crate::{model::client::push_address, pipeline::Outcome};

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
    /// Name of the listener at which a proxy asked about the request; `None`: it came itself.
    pub asked_by: Option<&'a str>,
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
    /// The rule that refused, where one has a name.
    pub rule: Option<&'a str>,
    /// What the caller lacked for it.
    pub missing: Option<&'a str>,
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
    /// What was ended on its way because its credential ended: `websocket`, `events`, …
    pub ended: Option<&'a str>,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// `User-Agent`, if it is text.
    pub user_agent: Option<&'a str>,
}

/// Where access lines go, and whether they are wanted; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    writer: Option<Writer>,
    on: Arc<AtomicBool>,
    now: fn() -> SystemTime,
}

impl AccessLog {
    /// Lines that nobody reads, for a data plane without a log.
    pub fn nowhere() -> Self {
        Self { writer: None, on: Arc::default(), now: SystemTime::now }
    }

    pub(super) fn new(writer: Writer, on: bool, now: fn() -> SystemTime) -> Self {
        Self { writer: Some(writer), on: Arc::new(AtomicBool::new(on)), now }
    }

    pub(super) fn switch(&self, on: bool) {
        self.on.store(on, Relaxed);
    }

    /// Whether lines are wanted; asked before one is put together.
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Writes one line.
    pub fn write(&self, line: &AccessLine<'_>) {
        if let Some(writer) = &self.writer {
            json::with_line(|out| {
                out.push_str("{\"timestamp\":\"");
                push_time(out, (self.now)());
                out.push_str("\",\"level\":\"INFO\",\"target\":\"access");
                line.fields(out);
                out.push_str("}\n");
                // These come by the thousand and may wait to be written together.
                writer.push(out.as_bytes());
            });
        }
    }
}

impl AccessLine<'_> {
    /// Adds the fields behind the text of another one. Each name closes the text before it: a line has a score of fields,
    /// and every piece that is added to it costs.
    fn fields(&self, out: &mut String) {
        // Kept or made, a request id has only letters, digits and `_.-`; a method is a token; these words are ours.
        out.push_str("\",\"request_id\":\"");
        out.push_str(self.request_id);
        out.push_str("\",\"client\":\"");
        push_address(out, self.client);
        out.push_str("\",\"method\":\"");
        out.push_str(self.method);
        out.push_str("\",\"outcome\":\"");
        out.push_str(self.outcome.as_str());
        out.push_str("\",\"reason\":\"");
        out.push_str(self.reason);
        text(out, "\",\"rule\":\"", self.rule);
        text(out, "\",\"missing\":\"", self.missing);
        text(out, "\",\"host\":\"", Some(self.host));
        text(out, "\",\"path\":\"", Some(cut(self.path, LONGEST_PATH)));
        text(out, "\",\"mount\":\"", Some(self.mount));
        text(out, "\",\"route\":\"", Some(self.route));
        text(out, "\",\"asked_by\":\"", self.asked_by);
        text(out, "\",\"subject\":\"", self.subject);
        text(out, "\",\"auth\":\"", self.auth);
        text(out, "\",\"key_id\":\"", self.key_id);
        text(out, "\",\"upstream\":\"", self.upstream);
        text(out, "\",\"backend\":\"", self.backend);
        text(out, "\",\"stream_ended\":\"", self.ended);
        let agent = self.user_agent.map(|agent| cut(agent, LONGEST_AGENT));
        text(out, "\",\"user_agent\":\"", agent);
        number(out, "\",\"status\":", u64::from(self.status));
        number(out, ",\"bytes_in\":", self.bytes_in);
        number(out, ",\"bytes_out\":", self.bytes_out);
        milliseconds(out, ",\"duration_ms\":", self.duration);
        if let Some(upstream) = self.upstream_duration {
            milliseconds(out, ",\"upstream_ms\":", upstream);
        }
    }
}

fn text(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        out.push_str(name);
        push_escaped(out, value);
    }
}

fn number(out: &mut String, name: &str, number: u64) {
    out.push_str(name);
    out.push_str(itoa::Buffer::new().format(number));
}

/// Three decimals. Integers print several times faster than fractions do.
fn milliseconds(out: &mut String, name: &str, span: Duration) {
    // Any request is over within 584 years.
    let micros = u64::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
    out.push_str(name);
    out.push_str(itoa::Buffer::new().format(micros / 1000));
    // The leading one keeps the zeros behind it, and gives its place to the point.
    let mut digits = itoa::Buffer::new();
    out.push('.');
    out.push_str(digits.format(1000 + micros % 1000).get(1..).unwrap_or_default());
}

fn cut(text: &str, longest: usize) -> &str {
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default()
}
