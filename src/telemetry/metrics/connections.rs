//! Figures of client connections: how many, which were turned away, and which a limit ended.

use prometheus::{Error, IntCounter, IntGauge};

use super::Make;

/// Why a connection was closed before anything of it was read as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The address has as many as it may.
    Address,
    /// There are as many as there may be.
    Total,
    /// Descriptors are short.
    Descriptors,
    /// A listener of the PROXY protocol, and the peer is no listed proxy.
    ProxyUnlisted,
    /// Its header of the PROXY protocol was none, or late.
    ProxyHeader,
    /// A listener for forward-auth, and the peer is not listed there.
    PeerUnlisted,
}

impl Turned {
    const ALL: [Self; 6] = [
        Self::Address,
        Self::Total,
        Self::Descriptors,
        Self::ProxyUnlisted,
        Self::ProxyHeader,
        Self::PeerUnlisted,
    ];

    /// Label spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "per_address",
            Self::Total => "total",
            Self::Descriptors => "descriptors",
            Self::ProxyUnlisted => "proxy_unlisted",
            Self::ProxyHeader => "proxy_header",
            Self::PeerUnlisted => "peer_unlisted",
        }
    }
}

/// Which limit ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The head did not come in time.
    HeadTime,
    /// It was larger than any that is read.
    Head,
    /// The body came too slowly.
    Body,
    /// The client took nothing for too long.
    Write,
    /// No further request came.
    Idle,
    /// It brought as many requests as it may.
    Requests,
    /// It was slow while others wanted its place at an upstream.
    Seat,
}

impl Cut {
    const ALL: [Self; 7] = [
        Self::HeadTime,
        Self::Head,
        Self::Body,
        Self::Write,
        Self::Idle,
        Self::Requests,
        Self::Seat,
    ];

    /// Label spelling: the key of the limit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HeadTime => "head_timeout",
            Self::Head => "headers",
            Self::Body => "body_rate",
            Self::Write => "write_timeout",
            Self::Idle => "idle_timeout",
            Self::Requests => "requests_per_connection",
            Self::Seat => "max_requests",
        }
    }
}

pub(super) struct Families {
    pub(super) open: IntGauge,
    refused: [(Turned, IntCounter); Turned::ALL.len()],
    cut: [(Cut, IntCounter); Cut::ALL.len()],
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        let refused = make.counters(
            "portcullis_connections_refused_total",
            "Client connections closed at once: too many of one address or in all, short of descriptors, no good header of the PROXY protocol, or nobody who may ask for forward-auth.",
            &["reason"],
        )?;
        let cut = make.counters(
            "portcullis_connections_cut_total",
            "Client connections and streams of HTTP/2 that one of the limits of `[server.limits]` ended, or `max_requests` of an upstream.",
            &["limit"],
        )?;
        Ok(Self {
            open: make.gauge("portcullis_connections_open", "Client connections open now.")?,
            refused: Turned::ALL.map(|why| (why, refused.with_label_values(&[why.as_str()]))),
            cut: Cut::ALL.map(|why| (why, cut.with_label_values(&[why.as_str()]))),
        })
    }

    pub(super) fn refused(&self, why: Turned) {
        self.refused.iter().filter(|(own, _)| *own == why).for_each(|(_, counter)| counter.inc());
    }

    pub(super) fn cut(&self, why: Cut) {
        self.cut.iter().filter(|(own, _)| *own == why).for_each(|(_, counter)| counter.inc());
    }
}
