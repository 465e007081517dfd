//! What `lease.lua` does, written down a second time: the bucket of one key with one window.

use std::collections::BTreeMap;

use super::{Ask, CELLS, Grant, LEASE_MILLIS, MILLI};

/// The bucket.
pub(super) struct Bucket {
    limit: f64,
    /// Requests that come back per nanosecond.
    rate: f64,
    level: Option<f64>,
    last: u64,
    holders: BTreeMap<u64, Holder>,
}

#[derive(Clone, Copy)]
struct Holder {
    epoch: u64,
    out: u32,
    ends: u64,
}

impl Bucket {
    pub(super) fn new(limit: u32, span: u64) -> Self {
        let rate = f64::from(limit) / span as f64;
        Self { limit: f64::from(limit), rate, level: None, last: 0, holders: BTreeMap::new() }
    }

    pub(super) fn outstanding(&self) -> u32 {
        self.holders.values().map(|holder| holder.out).sum()
    }

    fn refill(&mut self, to: u64) {
        let most = (self.limit - f64::from(self.outstanding())).max(0.0);
        let level = self.level.unwrap_or(most);
        let came = to.saturating_sub(self.last) as f64 * self.rate;
        self.level = Some((level + came).min(most));
        self.last = self.last.max(to);
    }

    pub(super) fn hear(&mut self, now: u64, node: u64, nodes: u32, ask: &Ask) -> Option<Grant> {
        if self.level.is_none() {
            self.last = now;
        }
        let (level, last) = (self.level, self.last);
        let silent = self.holders.values().filter(|holder| holder.ends <= now);
        let silent = silent.map(|holder| holder.ends).max().unwrap_or(0).max(self.last);
        self.refill(silent);
        let holders = self.holders.clone();
        self.holders.retain(|_, holder| holder.ends > now);
        self.refill(now);
        let own = self.holders.get(&node).copied();
        if own.is_some_and(|own| own.epoch > ask.epoch) {
            (self.level, self.last, self.holders) = (level, last, holders);
            return None;
        }
        let own = own.filter(|own| own.epoch == ask.epoch);
        let known = own.is_some() || ask.spent + ask.back == 0;
        let mut own = own.unwrap_or(Holder { epoch: ask.epoch, out: 0, ends: 0 });
        let back = ask.back.min(own.out);
        own.out -= back;
        own.out -= ask.spent.min(own.out);
        let mut level = self.level.unwrap_or_default() + f64::from(back);
        let free = level.floor().max(0.0) as u32;
        let ready = ask.need.min(free);
        let extra = ask.extra.min((free - ready) / (8 * nodes));
        own.out += extra;
        own.ends = now + LEASE_MILLIS * MILLI;
        self.holders.insert(node, own);
        level -= f64::from(ready + extra);
        self.level = Some(level);
        let mut levels = [0.0; CELLS];
        levels[0] = level;
        let wait = ((1.0 - level) / self.rate).max(0.0) as u64;
        Some(Grant { known, ready, extra, levels, wait })
    }
}
