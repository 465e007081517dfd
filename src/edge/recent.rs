//! The last requests that were refused, by their id, so that an operator who is told one can ask why. Bounded, in memory
//! only, and nothing that the access line would not tell.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use super::ctx::Ctx;
use crate::{model::Timestamp, pipeline::explain::Past};

/// Refusals kept, and bytes of the texts of each that clients choose.
const KEPT: usize = 1000;
const LONGEST: usize = 512;

/// Newest last.
#[derive(Default)]
pub(super) struct Recent {
    lines: Mutex<VecDeque<Past>>,
}

impl Recent {
    /// Remembers how a request was refused; others pass by.
    pub(super) fn note(&self, ctx: &Ctx, method: &str, status: u16, now: Timestamp) {
        let (Some(deny), Some(caller)) = (&ctx.deny, &ctx.caller) else { return };
        let trail = &ctx.trail;
        let who = trail.principal.as_deref();
        let past = Past {
            timestamp: now.iso(),
            request_id: caller.facts.request_id.clone(),
            method: cut(method),
            host: cut(&trail.host),
            path: cut(&trail.shown_path()),
            listener: ctx.conn.as_ref().map(|conn| conn.listener.to_string()).unwrap_or_default(),
            client: caller.facts.address,
            status,
            outcome: deny.outcome().as_str(),
            reason: deny.reason(),
            rule: deny.rule().map(std::borrow::Cow::into_owned),
            missing: deny.missing(),
            mount: trail.mount.as_ref().map(|mount| mount.name.to_string()).unwrap_or_default(),
            route: trail.route.as_ref().map(|own| own.route.name.to_string()).unwrap_or_default(),
            subject: who.map(|who| who.subject.to_string()),
            auth: who.map(|who| who.method.as_str()),
        };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(past);
    }

    /// The newest of this id: a trusted proxy may send one twice.
    pub(super) fn of(&self, request_id: &str) -> Option<Past> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().rev().find(|past| past.request_id == request_id).cloned()
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned()
}
