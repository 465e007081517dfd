//! The share of one key at one node, as a machine without clock and network: what a request takes, what is asked of Redis,
//! and what its answer means.
//!
//! The invariant (docs/limits-across-nodes.md): what a node may spend is never more than Redis counts as outstanding for it.
//! A node that cannot tell whether Redis heard it begins anew under a higher epoch and drops what it had.

use crate::limit::local::table::CELLS;

/// Nanoseconds of this node's monotonic clock.
pub(crate) type Nanos = u64;

const MILLI: Nanos = 1_000_000;
/// How long Redis keeps a share for a silent node, by its own clock.
pub(crate) const LEASE_MILLIS: u64 = 2_000;
/// How long the node spends of it, from before it asked: so much shorter that no clock is wrong enough.
const SPENDS: Nanos = 1_700 * MILLI;
/// A share that nobody used for so long goes back.
pub(crate) const IDLE: Nanos = 500 * MILLI;
/// For how long ahead a share is to last.
const AHEAD: Nanos = 200 * MILLI;
/// A key that was asked for within this time is in use: then a little is taken in advance.
const WARM: Nanos = 5_000 * MILLI;
/// What was taken for requests that wait is theirs for so long, then nobody's.
const CALLED_FOR: Nanos = 50 * MILLI;
/// After so long a used-up limit is asked about again, whatever was computed: others may have given something back.
const LOOK_AGAIN: Nanos = 1_000 * MILLI;
/// But not sooner than this.
const NOT_SOONER: Nanos = MILLI;

/// What a node tells Redis and asks of it, in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The node's count of beginnings; a lower one than Redis has seen is of no effect.
    pub(crate) epoch: u64,
    /// Spent since the last one.
    pub(crate) spent: u32,
    /// Given back.
    pub(crate) back: u32,
    /// For requests that wait: spent as soon as granted.
    pub(crate) need: u32,
    /// In advance.
    pub(crate) extra: u32,
}

/// What Redis said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grant {
    /// Whether Redis knew of the share; else what the node had is void.
    pub(crate) known: bool,
    /// For requests that wait.
    pub(crate) ready: u32,
    /// In advance.
    pub(crate) extra: u32,
    /// What is left for everybody, by window.
    pub(crate) levels: [f64; CELLS],
    /// Time until there is one for everybody again; 0: there is.
    pub(crate) wait: Nanos,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// One of the share. `refill`: more should be asked for, in the background. `ready`: it was called for.
    Taken { refill: bool, ready: bool },
    /// The limit is used up, for so long.
    Refused(Nanos),
    /// Redis has to be asked. `start`: by whoever gets this; else somebody does already. It is over when the round changes.
    Wait { start: bool, round: u64 },
}

/// The share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    epoch: u64,
    held: u32,
    ready: u32,
    ready_until: Nanos,
    spent: u32,
    need: u32,
    /// Requests since the last question.
    used: u32,
    /// Below this more is asked for.
    low: u32,
    asked: bool,
    asking: bool,
    asked_at: Nanos,
    used_at: Nanos,
    ends: Nanos,
    refuse_until: Nanos,
    full_at: Nanos,
    round: u64,
    levels: [f64; CELLS],
}

impl Share {
    /// One that has nothing.
    pub(crate) fn new(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// One request. `waits`: the round in which it began to wait, if it has; `None`: it does not want to.
    pub(crate) fn take(&mut self, now: Nanos, waits: Waits) -> Take {
        self.expire(now);
        if self.ready > 0 {
            self.ready -= 1;
            return Take::Taken { refill: false, ready: true };
        }
        if self.held > 0 {
            self.held -= 1;
            self.spent = self.spent.saturating_add(1);
            self.used = self.used.saturating_add(1);
            self.used_at = now;
            let refill = self.held < self.low && !self.asking;
            self.asking |= refill;
            return Take::Taken { refill, ready: false };
        }
        if now < self.refuse_until {
            return Take::Refused(self.full_at.saturating_sub(now).max(NOT_SOONER));
        }
        let start = waits != Waits::No && !self.asking;
        if waits != Waits::No && waits != Waits::Since(self.round) {
            self.need = self.need.saturating_add(1);
            self.used = self.used.saturating_add(1);
            self.used_at = now;
        }
        self.asking |= start;
        Take::Wait { start, round: self.round }
    }

    /// Takes back what a request took and did not use, because another of its limits refused.
    pub(crate) fn untake(&mut self, ready: bool) {
        if ready {
            self.ready = self.ready.saturating_add(1);
        } else if self.spent > 0 {
            // Told as spent already, it stays spent.
            self.spent -= 1;
            self.held = self.held.saturating_add(1);
        }
    }

    /// What to ask now.
    pub(crate) fn ask(&mut self, now: Nanos) -> Ask {
        self.expire(now);
        let since = now.saturating_sub(self.asked_at);
        let warm = self.asked && since < WARM;
        let wanted = if warm { ahead(self.used, since) } else { 0 };
        self.low = wanted.div_ceil(2);
        let extra = wanted.saturating_sub(self.held);
        let (spent, need) = (std::mem::take(&mut self.spent), std::mem::take(&mut self.need));
        (self.asked, self.asking, self.asked_at, self.used) = (true, true, now, 0);
        Ask { epoch: self.epoch, spent, back: 0, need, extra }
    }

    /// What to give back, if nobody has used the share lately. `None`: nothing, or not now.
    pub(crate) fn idle(&mut self, now: Nanos) -> Option<Ask> {
        self.expire(now);
        if self.asking || self.held == 0 || now.saturating_sub(self.used_at) < IDLE {
            return None;
        }
        self.asking = true;
        let (spent, back) = (std::mem::take(&mut self.spent), std::mem::take(&mut self.held));
        self.low = 0;
        Some(Ask { epoch: self.epoch, spent, back, need: 0, extra: 0 })
    }

    /// Redis answered what was asked at `sent`.
    pub(crate) fn told(&mut self, sent: Nanos, now: Nanos, grant: &Grant) {
        self.expire(now);
        if !grant.known {
            (self.held, self.spent) = (0, 0);
        }
        self.ends = sent.saturating_add(SPENDS);
        self.held = self.held.saturating_add(grant.extra);
        (self.ready, self.ready_until) = (grant.ready, now.saturating_add(CALLED_FOR));
        self.levels = grant.levels;
        (self.refuse_until, self.full_at) = (0, 0);
        if grant.wait > 0 {
            self.full_at = now.saturating_add(grant.wait);
            let again = grant.wait.clamp(NOT_SOONER, LOOK_AGAIN);
            self.refuse_until = now.saturating_add(again);
        }
        self.over();
    }

    /// Nobody knows whether Redis heard it.
    pub(crate) fn failed(&mut self, epoch: u64) {
        let (used_at, round) = (self.used_at, self.round);
        *self = Self { used_at, round, ..Self::new(epoch) };
        self.over();
    }

    fn over(&mut self) {
        (self.asking, self.need) = (false, 0);
        self.round += 1;
    }

    /// Requests that fit by what is known: the own share, and what was left for everybody.
    pub(crate) fn left(&self, window: usize) -> u32 {
        let level = self.levels.get(window).copied().unwrap_or_default();
        let own = self.held.saturating_add(self.ready);
        // Between 0 and a limit, which is a `u32`.
        own.saturating_add(if level > 0.0 { level as u32 } else { 0 })
    }

    /// Whether Redis was never asked.
    pub(crate) fn is_new(&self) -> bool {
        !self.asked
    }

    /// For how long the limit is used up, as far as is known.
    pub(crate) fn used_up(&self, now: Nanos) -> Option<Nanos> {
        let none = self.held == 0 && self.ready == 0 && now < self.refuse_until;
        none.then(|| self.full_at.saturating_sub(now).max(NOT_SOONER))
    }

    /// Whether it holds something that is to go back one day.
    pub(crate) fn holds(&self) -> bool {
        self.held > 0
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        let asked = self.asked_at.saturating_add(WARM);
        !self.asking && now >= self.ends.max(self.refuse_until).max(asked)
    }

    fn expire(&mut self, now: Nanos) {
        if now >= self.ends {
            // Redis takes what a silent node had for spent.
            (self.held, self.spent) = (0, 0);
        }
        if now >= self.ready_until {
            self.ready = 0;
        }
    }
}

/// Whether a request would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It would not.
    No,
    /// It will.
    New,
    /// It has, since this round.
    Since(u64),
}

/// So many within `since`: how many to expect, at least one.
fn ahead(used: u32, since: Nanos) -> u32 {
    let expected = u128::from(used) * u128::from(AHEAD) / u128::from(since.max(MILLI));
    u32::try_from(expected).unwrap_or(u32::MAX).max(1)
}
