//! What would become of a request: the walk of `edge/admit.rs`, taken by a request that nobody serves.
//!
//! The head is read by the same parser from the same bytes, and judged by the same functions in the same order. What the
//! walk asks on its way is what it would ask in earnest, but that nothing is left behind: limits are looked at, not charged,
//! and no use is noted.

mod question;
mod surroundings;
mod walker;

use std::{sync::Arc, time::Instant};

use pingora::protocols::http::ServerSession;
use tokio::io::AsyncWriteExt;

pub use self::surroundings::Evidence;
use self::{
    question::{Door, door, tls_facts},
    surroundings::watched,
    walker::Walker,
};
use super::{
    EdgeError, Live, Parts, Settings, Shared,
    admit::{self, Admission, Asked},
    client::Caller,
    ctx::Trail,
    forward_auth,
    framing::Watch,
};
use crate::{
    issuer::Issuers,
    pipeline::{
        Deny, Snapshot,
        deny::{Malformed, TokenFault},
        explain::{Explanation, Question},
        view::Known,
    },
    telemetry::Metrics,
};

/// Answers questions about one configuration.
pub struct Explainer {
    shared: Arc<Shared>,
    live: Arc<Live>,
    /// Of the configuration, with listeners that this data plane does not open.
    settings: Settings,
    evidence: Evidence,
}

impl Explainer {
    /// Puts a data plane together that listens nowhere. `parts.metrics` are nobody else's: questions are no traffic.
    /// `issuers`: what is known of their keys; nobody outside is asked.
    pub fn new(
        parts: Parts,
        settings: Settings,
        snapshot: Arc<Snapshot>,
        issuers: &Issuers,
        evidence: Evidence,
    ) -> Result<Self, EdgeError> {
        let issuers = Arc::new(issuers.quiet());
        let live = Live::build(snapshot, &[], issuers, None, &parts.metrics, settings.caches);
        let closed =
            Settings { listeners: Vec::new(), forward_auth: Vec::new(), ..settings.clone() };
        let shared = Shared::new(watched(parts, evidence), closed, live)?;
        let live = shared.live();
        Ok(Self { shared, live, settings, evidence })
    }

    /// The same with nothing but the configuration: no store, no limits counted before.
    pub fn offline(
        settings: Settings,
        snapshot: Arc<Snapshot>,
        metrics: Metrics,
    ) -> Result<Self, EdgeError> {
        let (parts, none) = (surroundings::nobodys(metrics), Issuers::default());
        Self::new(parts, settings, snapshot, &none, Evidence::None)
    }

    /// What becomes of some requests, one after the other.
    pub async fn explain_all(&self, questions: &[Question]) -> Vec<Explanation> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            answers.push(self.explain(question).await);
        }
        answers
    }

    /// What becomes of one request. Never fails: what cannot be told is told.
    pub async fn explain(&self, question: &Question) -> Explanation {
        let mut walker = Walker::new(question.assumed.as_ref(), &self.live.snapshot);
        let Some(door) = door(&self.settings, question) else {
            walker.unread("there is no listener of this name");
            let mut told = walker.told(&Trail::default());
            told.refuse(&Deny::NoRoute);
            return told;
        };
        walker.came_to(door);
        if let Door::Front(front) = door
            && !front.believes(question.peer)
        {
            let mut told = walker.told(&Trail::default());
            told.closed(
                "This address is not among those that may ask here.",
                "List it in peers of the [[forward_auth]], if it is a proxy of yours.",
            );
            return told;
        }
        let mut trail = Trail::default();
        let ended = self.walk(door, question, &mut trail, &mut walker).await;
        let unproven = self.evidence == Evidence::None && walker.needs_keys();
        let mut told = walker.told(&trail);
        match ended {
            Ok(Admission::Pass(admitted)) => told.upstream = Some(walker::sent(&admitted)),
            Ok(Admission::Answer(_)) => told.status = Some(200),
            // Without the signing keys every token looks like none of ours.
            Err(Deny::Token(TokenFault::Invalid)) if unproven => {
                told.undetermined(
                    "Whether the token is good cannot be told: the keys or the secret that judge it are not in the file.",
                    "Ask with the store or the running gateway, or name the caller with --as.",
                );
            }
            Err(Deny::Unavailable { dependency: "identity" })
                if self.evidence == Evidence::None =>
            {
                told.undetermined(
                    "What is known of the credential is in the store, which was not asked.",
                    "Ask with the store or the running gateway, or name the caller with --as.",
                );
            }
            Err(Deny::Unavailable { dependency: "issuer" }) => told.undetermined(
                "Whether the token is good only its issuer can tell, who is not asked for a question.",
                "Ask the running gateway, which has the keys that it fetched, or name the caller with --as.",
            ),
            Err(deny) => told.refuse(&deny),
        }
        told
    }

    async fn walk(
        &self,
        door: Door<'_>,
        question: &Question,
        trail: &mut Trail,
        walker: &mut Walker<'_>,
    ) -> Result<Admission, Deny> {
        let limits = &self.shared.settings.limits;
        if question.head.len() > limits.head_bytes() {
            walker.unread("the head is larger than anything that is read");
            return Err(Deny::Malformed(Malformed::HeadTooLarge));
        }
        let mut watch = Watch::default();
        let framing = watch.read(&question.head);
        let Some(mut session) = parsed(&question.head).await else {
            walker.unread("the parser takes it for no request of HTTP/1.1");
            return Err(Deny::Malformed(Malformed::Framing));
        };
        let raw_head = session.to_h1_raw();
        let head = session.req_header_mut();
        let (came, snapshot, ids) = (Instant::now(), &self.live.snapshot, &self.shared.ids);
        let listener = match door {
            Door::Public(listener) => listener,
            Door::Front(front) => {
                forward_auth::check(&self.shared, head, &raw_head, framing)?;
                let (meant, caller) =
                    forward_auth::understand(&self.shared, snapshot, head, front)?;
                let about = (&meant, &caller, came);
                let answer =
                    forward_auth::answer(&self.shared, &self.live, front, about, trail, walker);
                return Ok(Admission::Pass(answer.await?));
            }
        };
        let tls = tls_facts(listener, question);
        let caller = Caller::read(snapshot, question.peer, tls.is_some(), &head.headers, ids);
        let asked = Asked {
            raw_head: &raw_head,
            framing,
            head,
            known: Known::of(&head.headers),
            came,
            caller: &caller,
            listener: &listener.name,
            tls: tls.as_ref(),
        };
        admit::admit(&self.shared, &self.live, &asked, trail, walker).await
    }
}

/// The head as pingora reads it from a connection.
async fn parsed(head: &[u8]) -> Option<ServerSession> {
    let (ours, mut theirs) = tokio::io::duplex(head.len().max(1));
    theirs.write_all(head).await.ok()?;
    // Nothing follows: a head without an end is none.
    theirs.shutdown().await.ok()?;
    let mut session = ServerSession::new_http1(Box::new(ours));
    matches!(session.read_request().await, Ok(true)).then_some(session)
}

#[cfg(test)]
mod tests;
