//! What one client may take of the process: sizes, times and numbers, all on with an empty configuration.

use std::time::Duration;

use super::pace::Least;

/// Bytes that may stand in a head beyond its largest line and fields, so that the judge of heads can tell them apart.
const HEAD_SLACK: usize = 8 << 10;

/// Limits on clients; fixed until a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Bytes of a request line.
    pub request_line: usize,
    /// Bytes of one field.
    pub header: usize,
    /// Bytes of all fields together.
    pub headers: usize,
    /// Number of fields.
    pub header_count: usize,
    /// Bytes of all cookies together.
    pub cookies: usize,
    /// From the first byte of a request to the end of its head; also what a new connection may stay silent.
    pub head_timeout: Duration,
    /// Between two requests.
    pub idle_timeout: Duration,
    /// The time over which [`Self::body_rate`] is averaged; also how long nothing of a body may come.
    pub body_grace: Duration,
    /// Bytes per second a body must bring, and a client take of an answer, on average.
    pub body_rate: u64,
    /// The same time for answers; also how long a client may take nothing while we have something to send.
    pub write_timeout: Duration,
    /// Requests one connection may bring.
    pub requests: u32,
    /// Connections of one address; listed proxies count only toward the total.
    pub per_address: usize,
    /// Connections in all.
    pub connections: usize,
    /// Descriptors kept free for upstreams, the store and the internal plane.
    pub reserve: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        let descriptors = super::descriptors::most();
        Self {
            request_line: 8 << 10,
            header: 8 << 10,
            headers: 32 << 10,
            header_count: 100,
            cookies: 8 << 10,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_grace: Duration::from_secs(10),
            body_rate: 240,
            write_timeout: Duration::from_secs(10),
            requests: 10_000,
            per_address: 256,
            connections: descriptors.saturating_mul(9) / 10,
            reserve: (descriptors / 2).min(320),
        }
    }
}

impl ClientLimits {
    /// How fast a body must come.
    pub(super) fn sending(&self) -> Least {
        Least { rate: self.body_rate, span: self.body_grace }
    }

    /// How fast an answer must be taken.
    pub(super) fn taking(&self) -> Least {
        Least { rate: self.body_rate, span: self.write_timeout }
    }

    /// Bytes after which no more of a head is read.
    pub(super) fn head_bytes(&self) -> usize {
        self.request_line.saturating_add(self.headers).saturating_add(HEAD_SLACK)
    }
}
