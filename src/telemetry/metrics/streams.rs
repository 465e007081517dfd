//! Figures of what runs for long: how much of each kind, and what ended with its credential.

use prometheus::{Error, IntCounterVec, IntGauge};

use super::Make;

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// An ordinary answer, or the way to it: a download, an upload.
    Transfer,
    /// Anything on a route that is marked as streaming.
    Stream,
    /// Server-sent events.
    Events,
    /// A call of gRPC.
    Grpc,
    /// A WebSocket.
    WebSocket,
    /// A connection that was upgraded to another protocol.
    Upgrade,
}

impl StreamKind {
    const ALL: [Self; 6] =
        [Self::Transfer, Self::Stream, Self::Events, Self::Grpc, Self::WebSocket, Self::Upgrade];

    /// Label spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Stream => "stream",
            Self::Events => "events",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How many there are of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenStreams([i64; StreamKind::ALL.len()]);

impl OpenStreams {
    /// One more.
    pub fn count(&mut self, kind: StreamKind) {
        self.0.iter_mut().skip(kind as usize).take(1).for_each(|own| *own += 1);
    }

    /// All together.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }
}

pub(super) struct Families {
    open: [IntGauge; StreamKind::ALL.len()],
    ended: IntCounterVec,
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        let open = make.gauges(
            "portcullis_streams_open",
            "What runs now under a credential and runs for long: WebSockets, event streams, calls of gRPC, transfers of more than a second.",
            &["kind"],
        )?;
        Ok(Self {
            open: StreamKind::ALL.map(|kind| open.with_label_values(&[kind.as_str()])),
            ended: make.counters(
                "portcullis_streams_ended_total",
                "What was ended on its way because its credential ended.",
                &["kind", "reason"],
            )?,
        })
    }

    pub(super) fn show(&self, counts: &OpenStreams) {
        self.open.iter().zip(counts.0).for_each(|(gauge, count)| gauge.set(count));
    }

    pub(super) fn ended(&self, kind: StreamKind, reason: &str) {
        self.ended.with_label_values(&[kind.as_str(), reason]).inc();
    }
}
