//! Several gateways fetch the same keys: one of them does it, and the others take what it has left on the shelf.
//!
//! Only advice. Whoever cannot be told whose turn it is takes it himself, and so does whoever finds nothing on the shelf in time:
//! that costs the issuer one question more and nobody anything else. Who it is that gives turns is believed in nothing more, for
//! the keys themselves come from the shelf, where nobody else can put any.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{held::SKEW, keeper::Keeper, shelf};

/// How long the set of whoever has the turn is waited for, and how often it is looked for.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK: Duration = Duration::from_millis(100);

/// Whose turn it is.
#[async_trait]
pub trait Turns: Send + Sync {
    /// Takes the turn for `span`, unless somebody has it. `true` as well where that cannot be told.
    async fn takes(&self, what: &str, span: Duration) -> bool;
}

impl Keeper {
    /// Whether a set that another gateway has fetched does instead of a fetch, which begins at `began`. `asked`: somebody waits
    /// for a key that is not in hand.
    pub(super) async fn takes_over(&self, began: Instant, asked: bool) -> bool {
        let Some(turns) = &self.parts.turns else { return false };
        if !self.is_described(began) {
            return false;
        }
        // One that is still fresh will do, where nobody misses a key in it.
        if !asked && self.takes_from_shelf(began, None).await {
            return true;
        }
        if turns.takes(&format!("keys of {}", self.name()), self.settings().floor).await {
            return false;
        }
        // As old as that turn at most, whatever the two clocks say.
        let youth = self.settings().floor + SKEW;
        loop {
            if self.takes_from_shelf(began, Some(youth)).await {
                return true;
            }
            if began.elapsed() >= PATIENCE {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `youth`: how old it may be; `None`: as old as it says that it is fresh.
    async fn takes_from_shelf(&self, now: Instant, youth: Option<Duration>) -> bool {
        let now_at = self.parts.clock.now();
        let Some(found) = shelf::get(self, now_at).await else { return false };
        if self.held().is_some_and(|held| found.asked_at <= held.asked_at) {
            return false;
        }
        let (age, fresh_for) = (now_at.since(found.asked_at), self.fresh_for(found.max_age));
        // The other clock may be ahead: nothing is concluded from when that one asked.
        let Some(asked) = now.checked_sub(age + SKEW) else { return false };
        if age >= youth.unwrap_or(fresh_for) || age + SKEW >= self.settings().keep {
            return false;
        }
        self.hold(found.keys, asked, found.asked_at);
        self.settles(now + fresh_for.saturating_sub(age));
        true
    }
}
