//! The limiter of a node in a fleet: each limit is counted where it says, and by its own rule while Redis is lost.
//!
//! A request that is counted in several places is charged in all or in none: what was taken in one place is given back when
//! another refuses. The places that wait come first, so that what is decided here is decided last and stays.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    LimitError, RateLimiter,
    exact::{Exact, Verdict},
    leased::{Leases, Outcome, Taken, share::Waits},
    local::{Few, LocalLimiter},
};
use crate::{
    fleet::{Client, Lost, Members},
    pipeline::quota::{Across, Charge, LimitKey, Mode, OnError, Toll, Window},
    telemetry::Metrics,
};

/// Counts over all nodes that share a Redis.
pub struct SharedLimiter {
    local: Arc<LocalLimiter>,
    leases: Arc<Leases>,
    exact: Exact,
    client: Client,
    members: Members,
    metrics: Metrics,
}

impl SharedLimiter {
    /// On this Redis; `local` counts what is not shared, and everything while Redis is lost.
    pub fn new(
        local: Arc<LocalLimiter>,
        client: Client,
        members: Members,
        metrics: Metrics,
    ) -> Self {
        let leases = Arc::new(Leases::new(client.clone(), members.clone(), local.cap()));
        let exact = Exact::new(client.clone());
        Self { local, leases, exact, client, members, metrics }
    }

    /// Forgets what nobody used lately; to be called about once a second.
    pub fn sweep(&self) {
        self.leases.sweep();
    }

    /// Keys of which this node has, or had, a share.
    pub fn tracked(&self) -> usize {
        self.leases.tracked()
    }

    /// One charge without waiting, for the case that there is only one. `None`: it has to be waited for.
    fn one_now(&self, charge: &Charge<'_>) -> Option<Result<Option<Toll>, LimitError>> {
        match mode(charge) {
            Mode::Local => self.local.check_now(std::slice::from_ref(charge)),
            _ if !self.client.is_up() => Some(self.alone(std::slice::from_ref(charge))),
            Mode::Exact => None,
            Mode::Leased => match self.leases.take(charge, Waits::No) {
                Outcome::Taken(toll, _) => Some(Ok(Some(toll))),
                Outcome::Refused(toll) => Some(Err(LimitError::Limited(toll))),
                Outcome::Wait(_) | Outcome::Unshared => None,
            },
        }
    }

    /// Decides without Redis: what is local, and of the others what their rule says.
    fn alone(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        let without: Vec<Without<'_, '_>> = charges.iter().map(|c| self.without(c)).collect();
        if without.iter().any(|one| matches!(one, Without::Closed)) {
            return Err(closed());
        }
        let parts: Vec<Charge<'_>> = without.iter().filter_map(Without::charge).collect();
        self.here(&parts)
    }

    fn without<'a, 'c>(&self, charge: &'a Charge<'c>) -> Without<'a, 'c> {
        if mode(charge) == Mode::Local {
            return Without::Whole(charge);
        }
        match charge.across.on_error {
            OnError::Closed => {
                self.metrics.shared_limit("closed");
                Without::Closed
            }
            OnError::Open => {
                self.metrics.shared_limit("open");
                Without::Open
            }
            OnError::Local => {
                self.metrics.shared_limit("local");
                Without::Part(charge, part(charge.windows, self.members.known()))
            }
        }
    }

    /// All or none of what is counted in this process.
    fn here(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        if charges.is_empty() {
            return Ok(None);
        }
        // It never has to wait.
        self.local.check_now(charges).unwrap_or(Ok(None))
    }

    /// A share for each leased charge. Those that find Redis lost are added to `lost`.
    async fn lease<'a, 'c>(
        &self,
        charges: &[&'a Charge<'c>],
        done: &mut Done<'a, 'c>,
    ) -> Result<(), LimitError> {
        // One's own question may have to wait for the end of somebody else's.
        let patience = self.client.settings().timeout.saturating_mul(2);
        for charge in charges {
            match self.leases.take(charge, Waits::No) {
                Outcome::Taken(toll, taken) => done.took(toll, taken),
                Outcome::Refused(toll) => return Err(LimitError::Limited(toll)),
                Outcome::Unshared => done.exact.push(charge),
                Outcome::Wait(_) => {
                    self.metrics.shared_limit("leased");
                    match self.leases.take_waiting(charge, patience).await {
                        Ok(Outcome::Taken(toll, taken)) => done.took(toll, taken),
                        Ok(Outcome::Refused(toll)) => return Err(LimitError::Limited(toll)),
                        Ok(Outcome::Unshared) => done.exact.push(charge),
                        Ok(Outcome::Wait(_)) | Err(Lost) => done.lost.push(charge),
                    }
                }
            }
        }
        Ok(())
    }

    async fn ask_exactly(&self, done: &mut Done<'_, '_>) -> Result<(), LimitError> {
        if done.exact.is_empty() {
            return Ok(());
        }
        self.metrics.shared_limit("exact");
        match self.exact.charge(&done.exact).await {
            Ok(Some(Verdict::Passes(toll))) => done.shows(toll),
            Ok(Some(Verdict::Refused(toll))) => {
                done.exact.clear();
                return Err(LimitError::Limited(toll));
            }
            Ok(None) => {}
            Err(Lost) => {
                let lost = std::mem::take(&mut done.exact);
                done.lost.extend(lost);
            }
        }
        Ok(())
    }

    async fn everywhere<'a, 'c>(
        &self,
        charges: &'a [Charge<'c>],
        done: &mut Done<'a, 'c>,
    ) -> Result<(), LimitError> {
        let (mut leased, mut here): (Few<_>, Few<Without<'_, '_>>) = (Few::new(), Few::new());
        for charge in charges {
            match mode(charge) {
                Mode::Leased => leased.push(charge),
                Mode::Exact => done.exact.push(charge),
                Mode::Local => here.push(Without::Whole(charge)),
            }
        }
        self.lease(&leased, done).await?;
        self.ask_exactly(done).await?;
        for charge in &done.lost {
            here.push(self.without(charge));
        }
        if here.iter().any(|one| matches!(one, Without::Closed)) {
            return Err(closed());
        }
        let parts: Vec<Charge<'_>> = here.iter().filter_map(Without::charge).collect();
        self.here(&parts)?.into_iter().for_each(|toll| done.shows(toll));
        Ok(())
    }
}

#[async_trait]
impl RateLimiter for SharedLimiter {
    async fn check(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        if !self.client.is_up() {
            return self.alone(charges);
        }
        let mut done = Done::default();
        match self.everywhere(charges, &mut done).await {
            Ok(()) => Ok(done.shown),
            Err(refused) => {
                done.taken.iter().for_each(|taken| self.leases.untake(taken));
                self.exact.give_back(&done.exact).await;
                Err(refused)
            }
        }
    }

    fn check_now(&self, charges: &[Charge<'_>]) -> Option<Result<Option<Toll>, LimitError>> {
        match charges {
            [only] => self.one_now(only),
            _ if charges.iter().all(|charge| mode(charge) == Mode::Local) => {
                self.local.check_now(charges)
            }
            _ if !self.client.is_up() => Some(self.alone(charges)),
            _ => self.shares_now(charges),
        }
    }

    /// Of leased limits what is known here; Redis is asked only about exact ones.
    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        let mut shown: Option<Toll> = None;
        for charge in charges {
            let up = self.client.is_up();
            let toll = match mode(charge) {
                Mode::Leased if up => self.leases.look(charge),
                Mode::Exact if up => match self.exact.look(charge).await {
                    Ok(Some(Verdict::Passes(toll) | Verdict::Refused(toll))) => Some(toll),
                    Ok(None) => None,
                    Err(Lost) => self.look_alone(charge).await?,
                },
                _ => self.look_alone(charge).await?,
            };
            let Some(toll) = toll else { continue };
            shown = Some(match shown.take() {
                None => toll,
                Some(other) => {
                    let wait = other.retry_after.max(toll.retry_after);
                    Toll { retry_after: wait, ..other.tighter(toll) }
                }
            });
        }
        Ok(shown)
    }

    fn start(&self) {
        self.client.start();
        self.members.start();
        self.leases.start();
    }
}

impl SharedLimiter {
    /// Several charges, all of which are local or have a share in hand; else `None`, and nothing was charged.
    fn shares_now(&self, charges: &[Charge<'_>]) -> Option<Result<Option<Toll>, LimitError>> {
        if charges.iter().any(|charge| mode(charge) == Mode::Exact) {
            return None;
        }
        let mut done = Done::default();
        let mut local: Few<Charge<'_>> = Few::new();
        let mut refused = None;
        for charge in charges {
            if mode(charge) == Mode::Local {
                local.push(charge.clone());
                continue;
            }
            match self.leases.take(charge, Waits::No) {
                Outcome::Taken(toll, taken) => done.took(toll, taken),
                Outcome::Refused(toll) => {
                    refused = Some(Some(Err(LimitError::Limited(toll))));
                    break;
                }
                Outcome::Wait(_) | Outcome::Unshared => {
                    refused = Some(None);
                    break;
                }
            }
        }
        if refused.is_none() {
            match self.here(&local) {
                Ok(toll) => toll.into_iter().for_each(|toll| done.shows(toll)),
                Err(error) => refused = Some(Some(Err(error))),
            }
        }
        match refused {
            None => Some(Ok(done.shown)),
            Some(why) => {
                done.taken.iter().for_each(|taken| self.leases.untake(taken));
                why
            }
        }
    }

    async fn look_alone(&self, charge: &Charge<'_>) -> Result<Option<Toll>, LimitError> {
        match self.without(charge) {
            Without::Open => Ok(None),
            Without::Closed => Err(closed()),
            one => match one.charge() {
                Some(charge) => self.local.peek(&[charge]).await,
                None => Ok(None),
            },
        }
    }
}

/// What was charged so far, and where.
#[derive(Default)]
struct Done<'a, 'c> {
    taken: Few<Taken>,
    exact: Vec<&'a Charge<'c>>,
    lost: Vec<&'a Charge<'c>>,
    shown: Option<Toll>,
}

impl Done<'_, '_> {
    fn took(&mut self, toll: Toll, taken: Taken) {
        self.taken.push(taken);
        self.shows(toll);
    }

    fn shows(&mut self, toll: Toll) {
        self.shown = Some(match self.shown.take() {
            Some(other) => other.tighter(toll),
            None => toll,
        });
    }
}

/// A charge while Redis is lost.
enum Without<'a, 'c> {
    /// It needs no Redis.
    Whole(&'a Charge<'c>),
    /// This node's part of it.
    Part(&'a Charge<'c>, Few<Window>),
    Closed,
    Open,
}

impl Without<'_, '_> {
    fn charge(&self) -> Option<Charge<'_>> {
        let (charge, windows) = match self {
            Self::Whole(charge) => (charge, charge.windows),
            Self::Part(charge, windows) => (charge, windows.as_slice()),
            Self::Closed | Self::Open => return None,
        };
        let parts = charge.key.parts.iter().copied().collect();
        let across = Across { mode: Some(Mode::Local), ..charge.across };
        Some(Charge { key: LimitKey { limit: charge.key.limit, parts }, windows, across })
    }
}

fn mode(charge: &Charge<'_>) -> Mode {
    charge.across.mode.unwrap_or(Mode::Leased)
}

fn closed() -> LimitError {
    LimitError::Unavailable(Lost.to_string())
}

/// One of `nodes` parts of each window. Where there are more nodes than requests, one request in so many spans.
pub(super) fn part(windows: &[Window], nodes: u32) -> Few<Window> {
    let nodes = nodes.max(1);
    let one = |window: &Window| match window.limit / nodes {
        0 => {
            let span = window.per.as_secs_f64() * f64::from(nodes) / f64::from(window.limit.max(1));
            Window { limit: 1, per: Duration::try_from_secs_f64(span).unwrap_or(window.per) }
        }
        limit => Window { limit, per: window.per },
    };
    windows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_nodes_are_never_more_than_the_whole() {
        let minute = Duration::from_secs(60);
        let window = |limit| Window { limit, per: minute };
        assert_eq!(part(&[window(100)], 5).to_vec(), [window(20)]);
        assert_eq!(part(&[window(9)], 5).to_vec(), [window(1)]);
        assert_eq!(part(&[window(9)], 0).to_vec(), [window(9)]);
        let slow = Window { limit: 1, per: Duration::from_secs(120) };
        assert_eq!(part(&[window(1)], 2).to_vec(), [slow]);
        for limit in 1..200_u32 {
            for nodes in 1..20_u32 {
                let one = part(&[window(limit)], nodes)[0];
                let all = f64::from(nodes * one.limit) / one.per.as_secs_f64();
                assert!(all <= f64::from(limit) / 60.0 + 1e-9, "{limit} by {nodes}");
            }
        }
    }
}
