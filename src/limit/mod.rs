//! Rate limiting: the counting behind `pipeline::quota`. Knows nothing of HTTP.

mod exact;
mod leased;
mod levels;
pub mod local;
mod shared;

use async_trait::async_trait;

pub use self::shared::SharedLimiter;
use crate::pipeline::quota::{Charge, Toll};

/// Counts requests: [`local::LocalLimiter`] in the process, [`SharedLimiter`] over all nodes that share a Redis.
#[async_trait]
pub trait RateLimiter: Send + Sync + 'static {
    /// Charges one request to all windows of all `charges`, or to none of them.
    ///
    /// `Ok(None)` when there was nothing to charge; `Ok(Some(toll))` shows the tightest window after the charge.
    async fn check(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError>;

    /// The same as [`RateLimiter::check`] from a backend that never has to wait; `None` from all others, which are then
    /// to be awaited. Nothing was charged if it is `None`.
    fn check_now(&self, charges: &[Charge<'_>]) -> Option<Result<Option<Toll>, LimitError>> {
        let _ = charges;
        None
    }

    /// Starts what goes on in the background, on the runtime it is called on.
    fn start(&self) {}

    /// The state of the tightest window, charging nothing.
    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError>;
}

/// Why a check did not pass.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LimitError {
    /// A window is used up; the toll says which and until when. Nothing was charged.
    #[error("limit {:?} is used up", .0.name)]
    Limited(Toll),
    /// The backend could not be asked.
    #[error("the limiter cannot be asked: {0}")]
    Unavailable(String),
}

/// Settings of the limiter itself (not of single limits).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Distinct keys tracked at once; beyond it unknown keys share one coarse bucket per limit.
    pub max_keys: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_keys: 1_000_000 }
    }
}
