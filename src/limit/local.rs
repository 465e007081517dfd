//! The limiter in this process: governor's GCRA over a bounded, sharded table.

mod gcra;
pub(super) mod name;
pub(super) mod table;

use std::{
    cmp::Reverse,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use governor::{clock::Clock, nanos::Nanos};
use smallvec::SmallVec;

use self::{
    gcra::Reading,
    table::{CELLS, Cells, Key, Locked, Seat, Table},
};
use super::{LimitError, RateLimiter, Settings};
use crate::{
    model::{Fingerprints, time::coarse},
    pipeline::quota::{Charge, Toll, Window},
};

/// A handful of something, without an allocation: a decision is made for every request, and few have more.
pub(super) type Few<T> = SmallVec<[T; 4]>;

/// Counts in memory. Lives as long as the process: state is kept under the limit's name and windows, so it survives
/// a reload, and a limit whose windows changed starts afresh.
pub struct LocalLimiter<C = Monotonic> {
    table: Table,
    names: Fingerprints,
    coarse: AtomicU64,
    clock: C,
}

impl LocalLimiter {
    /// An empty limiter on the machine's monotonic clock.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, Monotonic)
    }
}

impl<C: Clock<Instant = Nanos>> LocalLimiter<C> {
    /// An empty limiter on another clock, such as governor's `FakeRelativeClock`.
    pub fn with_clock(settings: &Settings, clock: C) -> Self {
        Self {
            table: Table::new(settings.max_keys),
            names: Fingerprints::new(),
            coarse: AtomicU64::new(0),
            clock,
        }
    }

    /// Keys tracked now.
    pub fn tracked(&self) -> usize {
        self.table.tracked()
    }

    /// Keys that are tracked at most.
    pub fn cap(&self) -> usize {
        self.table.cap()
    }

    /// Charges that went to a coarse bucket so far.
    pub fn coarse(&self) -> u64 {
        self.coarse.load(Relaxed)
    }

    /// Forgets some of the keys whose windows are full again. Looks at a sixteenth of the table, so that it never
    /// holds anybody up; to be called about once a second.
    pub fn sweep(&self) {
        self.table.sweep(self.clock.now().as_u64());
    }

    fn charge(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        match self.decide(charges, true) {
            Some(toll) if toll.retry_after.is_some() => Err(LimitError::Limited(toll)),
            toll => Ok(toll),
        }
    }

    /// Decides and, if `charge` says so and every window passes, writes. One clock reading for all windows.
    fn decide(&self, charges: &[Charge<'_>], charge: bool) -> Option<Toll> {
        if let [only] = charges
            && only.windows.len() <= CELLS
            && let Some(decided) = self.decide_known(only, charge)
        {
            return decided;
        }
        let mut slots = self.slots(charges);
        let mut locked = self.table.lock(slots.iter().map(|slot| slot.key));
        // Read after locking: then no decision is made at an earlier time than a sweep it comes after.
        let now = self.clock.now();
        self.seat(&mut slots, &mut locked, now);

        let mut readings = Few::new();
        for slot in &mut slots {
            read(slot.limit, slot.counted(), &mut slot.cells, now, &mut readings);
        }
        let wait = longest_wait(&readings);
        let keep = charge && wait.is_none();
        for slot in &slots {
            let Some(seat) = slot.seat else { continue };
            if keep {
                self.coarse.fetch_add(u64::from(matches!(seat, Seat::Coarse(_))), Relaxed);
                locked.keep(slot.key, seat, slot.cells);
            } else {
                locked.give_back(seat);
            }
        }
        drop(locked);
        tightest(&readings, keep, wait, now)
    }

    /// The common case, one limit that has met this key before: one look-up under one lock. `None` where it has not.
    fn decide_known(&self, only: &Charge<'_>, charge: bool) -> Option<Option<Toll>> {
        self.table.known(name::of_windows(&self.names, only, 0, only.windows), |cells| {
            let now = self.clock.now();
            let (mut after, mut readings) = (*cells, Few::new());
            read(only.key.limit, only.windows.iter(), &mut after, now, &mut readings);
            let wait = longest_wait(&readings);
            let keep = charge && wait.is_none();
            if keep {
                *cells = after;
            }
            tightest(&readings, keep, wait, now)
        })
    }

    /// Looks up the state of every slot.
    fn seat(&self, slots: &mut [Slot<'_>], locked: &mut Locked<'_>, now: Nanos) {
        let mut seated: Vec<Seat> = Vec::new();
        for slot in slots {
            let coarse = || name::of_limit(&self.names, slot.limit, slot.windows);
            let (seat, cells) = locked.find(slot.key, coarse, now.as_u64());
            // Two keys of one limit that share a coarse bucket are one charge to it.
            if matches!(seat, Seat::Coarse(_)) {
                if seated.contains(&seat) {
                    continue;
                }
                seated.push(seat);
            }
            slot.seat = Some(seat);
            slot.cells = cells;
        }
    }

    /// Every entry the charges need. The same key given twice is one charge.
    fn slots<'a>(&self, charges: &'a [Charge<'_>]) -> Few<Slot<'a>> {
        let mut slots: Few<Slot<'a>> = Few::new();
        for charge in charges {
            for (part, windows) in charge.windows.chunks(CELLS).enumerate() {
                let key = name::of_windows(&self.names, charge, part, windows);
                if slots.iter().all(|slot| slot.key != key) {
                    let limit = charge.key.limit;
                    slots.push(Slot { key, limit, windows, seat: None, cells: Cells::default() });
                }
            }
        }
        slots
    }
}

#[async_trait]
impl<C: Clock<Instant = Nanos> + Send + Sync + 'static> RateLimiter for LocalLimiter<C> {
    async fn check(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        self.charge(charges)
    }

    fn check_now(&self, charges: &[Charge<'_>]) -> Option<Result<Option<Toll>, LimitError>> {
        Some(self.charge(charges))
    }

    /// A used-up window is no error here: it shows as `remaining` 0 with `retry_after` set.
    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        Ok(self.decide(charges, false))
    }
}

/// Up to [`CELLS`] windows of one charge, on their way through a decision.
struct Slot<'a> {
    key: Key,
    limit: &'a str,
    windows: &'a [Window],
    /// `None` before it was looked up, or if an earlier slot stands for it.
    seat: Option<Seat>,
    cells: Cells,
}

impl<'a> Slot<'a> {
    fn counted(&self) -> std::slice::Iter<'a, Window> {
        if self.seat.is_some() { self.windows.iter() } else { [].iter() }
    }
}

/// One window of one limit, read.
type Read<'a> = (&'a str, &'a Window, Reading);

/// Reads some windows of a limit and moves their cells on, as if all of them pass.
fn read<'a>(
    limit: &'a str,
    windows: std::slice::Iter<'a, Window>,
    cells: &mut Cells,
    now: Nanos,
    readings: &mut Few<Read<'a>>,
) {
    for (window, cell) in windows.zip(cells) {
        let reading = gcra::read(window, *cell, now);
        *cell = reading.after;
        readings.push((limit, window, reading));
    }
}

/// The longest time that any of them asks for; `None`: all pass.
fn longest_wait(readings: &[Read<'_>]) -> Option<Duration> {
    readings.iter().filter_map(|(_, _, reading)| reading.wait).max()
}

/// The window to show: fewest remaining, on a tie the later reset. `wait` is the longest of all, so that a request
/// that comes back then is not refused by another window.
fn tightest(
    readings: &[Read<'_>],
    charged: bool,
    wait: Option<Duration>,
    now: Nanos,
) -> Option<Toll> {
    let facts = |reading: &Reading| {
        let tat = if charged { reading.after } else { reading.before };
        let remaining = reading.left.saturating_sub(u32::from(charged));
        (remaining, Reverse(tat.saturating_sub(now.as_u64())))
    };
    let (limit, window, reading) = readings.iter().min_by_key(|(_, _, reading)| facts(reading))?;
    let (remaining, Reverse(reset_after)) = facts(reading);
    Some(Toll {
        name: Arc::from(*limit),
        window: **window,
        remaining,
        reset_after: Duration::from_nanos(reset_after),
        retry_after: wait,
    })
}

/// The machine's monotonic clock as of its last tick. A tick late is never a request too many: the bucket refills later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(coarse().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
