//! What one request carries from hook to hook, filled stage by stage.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Method};
use pingora::proxy::Session;

use super::{
    ForwardAuth, Live, Shared,
    client::Caller,
    conn::Conn,
    live::RouteLive,
    streams::{Open, Slot},
    upstream::{Node, Seat},
};
use crate::{
    model::{Offered, Principal, Timestamp},
    pipeline::{Deny, HeaderPatch, Mount, Outcome, Permit, Target, Toll, shadow::Hit},
    telemetry::metrics::StreamKind,
};

/// One request.
pub(super) struct Ctx {
    /// The configuration this request sees, first hook to last.
    pub(super) live: Arc<Live>,
    pub(super) started: Instant,
    pub(super) conn: Option<Arc<Conn>>,
    pub(super) caller: Option<Caller>,
    /// The request that a proxy asks about, once it is known; `None`: this one itself is what is decided.
    pub(super) about: Option<Box<About>>,
    pub(super) trail: Trail,
    pub(super) admitted: Option<Admitted>,
    /// Why it was refused, once it was.
    pub(super) deny: Option<Deny>,
    /// It is a gRPC call, and is refused in the words of that.
    pub(super) grpc: bool,
    /// The client left before it was answered.
    pub(super) client_gone: bool,
    /// When the answer was out, where that is earlier than the last hook.
    pub(super) ended: Option<Instant>,
    pub(super) upstream: Progress,
    /// Body bytes that came from the client.
    pub(super) body_in: u64,
    pub(super) in_flight: InFlight,
}

impl Ctx {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            live: shared.live(),
            started: Instant::now(),
            conn: None,
            caller: None,
            about: None,
            trail: Trail::default(),
            admitted: None,
            deny: None,
            grpc: false,
            client_gone: false,
            ended: None,
            upstream: Progress::default(),
            body_in: 0,
            in_flight: InFlight::new(shared),
        }
    }

    /// How it ended, as far as the gateway decided it.
    pub(super) fn outcome(&self) -> Outcome {
        self.deny.as_ref().map_or(Outcome::Permitted, Deny::outcome)
    }

    /// The mount whose shape answers; the stranger where no place was found.
    pub(super) fn mount(&self) -> &Arc<Mount> {
        self.trail.mount.as_ref().unwrap_or(&self.live.snapshot.stranger)
    }

    /// The proxy that asks, where this is a question.
    pub(super) fn front(&self) -> Option<&Arc<ForwardAuth>> {
        self.conn.as_ref().and_then(|conn| conn.front.as_ref())
    }

    /// The method that is decided about.
    pub(super) fn method<'a>(&'a self, session: &'a Session) -> &'a Method {
        match &self.about {
            Some(about) => &about.method,
            None => &session.req_header().method,
        }
    }

    pub(super) fn request_id(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| &caller.facts.request_id)
    }
}

/// The line of a request that a proxy asks about.
pub(super) struct About {
    pub(super) method: Method,
    /// Without its query.
    pub(super) path: String,
}

/// What admission found out on its way, kept also when it ends in a refusal.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) mount: Option<Arc<Mount>>,
    pub(super) route: Option<Arc<RouteLive>>,
    pub(super) principal: Option<Arc<Principal>>,
    /// What the next proof of possession is to carry.
    pub(super) nonce: Option<HeaderValue>,
    /// What came of a proof that a client sent to be given a bound token.
    pub(super) offered: Option<Offered>,
    /// The tightest limit so far.
    pub(super) toll: Option<Toll>,
    /// When it was admitted, by the wall clock.
    pub(super) charged_at: Option<Timestamp>,
    /// Host and path; empty where they could not be read. See [`Trail::shown_path`].
    pub(super) host: String,
    pub(super) path: String,
    /// What identity says about a request it answered.
    pub(super) reason: Option<&'static str>,
    pub(super) subject: Option<String>,
    /// What it would have been refused for, were that enforced.
    pub(super) shadowed: Vec<Hit>,
}

/// A path segment as long as this may be a secret (a session id has 43 characters) that was sent to a wrong path, with a
/// wrong method, or in the place of its public id.
const SECRET_LENGTH: usize = 40;

impl Trail {
    /// The path as it may be written down. What an upstream's paths look like is the operator's affair; in all others
    /// whatever could be a secret is left out.
    pub(super) fn shown_path(&self) -> Cow<'_, str> {
        let could_be = |segment: &&str| segment.len() >= SECRET_LENGTH;
        let is_operators =
            |place: &Arc<RouteLive>| matches!(place.route.target, Target::Upstream(_));
        if self.route.as_ref().is_some_and(is_operators)
            || !self.path.split('/').any(|segment| could_be(&segment))
        {
            return Cow::Borrowed(&self.path);
        }
        let shown =
            self.path.split('/').map(|segment| if could_be(&segment) { "{…}" } else { segment });
        Cow::Owned(shown.collect::<Vec<_>>().join("/"))
    }

    /// Keeps the toll that is to be shown.
    pub(super) fn pay(&mut self, toll: Option<Toll>) {
        self.toll = match (self.toll.take(), toll) {
            (Some(own), Some(other)) => Some(own.tighter(other)),
            (own, other) => own.or(other),
        };
    }
}

/// A request that may pass, and everything that follows from it.
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) patch: HeaderPatch,
    pub(super) route: Arc<RouteLive>,
    /// Length of the mount's prefix on the path.
    pub(super) prefix_len: usize,
    /// Contracts of other mounts that the answer is also for.
    pub(super) joined: Vec<&'static str>,
    /// Cross-origin headers of the reply.
    pub(super) cors: Vec<(HeaderName, HeaderValue)>,
}

/// The way to the upstream so far.
#[derive(Default)]
pub(super) struct Progress {
    /// Taken with the first try and held to the end of the request.
    pub(super) seat: Option<Seat>,
    pub(super) node: Option<Arc<Node>>,
    /// Backends that took no connection.
    pub(super) tried: Vec<Arc<Node>>,
    pub(super) began: Option<Instant>,
    pub(super) ended: Option<Instant>,
    /// Whether this try has brought a response header.
    pub(super) answered: bool,
    /// The other spelling of the path, once the upstream asked for it; at most once per request.
    pub(super) respelled: Option<String>,
    /// An error was made up to send the request again.
    pub(super) replay: bool,
    pub(super) body_seen: u64,
}

impl Progress {
    /// Time spent with the upstream.
    pub(super) fn took(&self) -> Option<Duration> {
        let began = self.began?;
        Some(self.ended.map_or_else(|| began.elapsed(), |ended| ended.duration_since(began)))
    }
}

/// Counts a request as running for as long as it lives, also if it panics.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    outward: bool,
    /// Its place among what hangs on a credential, and its kind.
    open: Option<(Slot, StreamKind)>,
}

impl InFlight {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.parts.metrics.request_began();
        Self { shared: Arc::clone(shared), outward: false, open: None }
    }

    /// It hangs on a credential from now on; what was decided of it was decided at this age of the news.
    pub(super) fn hangs_on(&mut self, open: Open, since: Instant, age: u64) {
        let slot = self.shared.streams.enter(open, since, age);
        self.open = Some((slot, StreamKind::Transfer));
    }

    /// Its answer is of this kind.
    pub(super) fn becomes(&mut self, kind: StreamKind) {
        if let Some((slot, own)) = &mut self.open {
            *own = kind;
            self.shared.streams.becomes(*slot, kind);
        }
    }

    /// What it is, where it hangs on a credential.
    pub(super) fn kind(&self) -> Option<StreamKind> {
        self.open.map(|(_, kind)| kind)
    }

    /// It hangs on nothing any more.
    pub(super) fn settles(&mut self) {
        if let Some((slot, _)) = self.open.take() {
            self.shared.streams.leave(slot);
        }
    }

    /// It may need a descriptor for its upstream from now on.
    pub(super) fn goes_out(&mut self) {
        if !std::mem::replace(&mut self.outward, true) {
            self.shared.outward.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.settles();
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.outward {
            self.shared.outward.fetch_sub(1, Ordering::Relaxed);
        }
        self.shared.parts.metrics.request_ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_route_nothing_long_is_shown() {
        let session = "6WzscvWVn7ds_d2mTnHSvauM5QyH3PNWhQIL9G0wQ0I";
        let uuid = "00000000-0000-4000-8000-000000000000";
        for (path, shown) in [
            (String::new(), String::new()),
            ("/".into(), "/".into()),
            (format!("/a/{uuid}"), format!("/a/{uuid}")),
            (format!("/admin/sessions/{session}"), "/admin/sessions/{…}".into()),
            (format!("/{session}/x/{session}/"), "/{…}/x/{…}/".into()),
        ] {
            let trail = Trail { path, ..Trail::default() };
            assert_eq!(trail.shown_path(), shown);
        }
    }
}
