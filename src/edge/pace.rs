//! How fast a body must come.

use std::time::Duration;

use tokio::time::Instant;

use super::ClientLimits;

/// Time a body was really waited for, and what it brought. Time in which we did not ask does not count.
#[derive(Default)]
pub(super) struct BodyRate {
    bytes: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl BodyRate {
    pub(super) fn brought(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// A body may take the grace for free, then it must have brought so many bytes a second on average.
    pub(super) fn deadline(&mut self, limits: &ClientLimits) -> Instant {
        let since = *self.since.get_or_insert_with(Instant::now);
        let earned = self.bytes.saturating_mul(1000) / limits.body_rate.max(1);
        let earned = Duration::from_millis(earned);
        since + (limits.body_grace + earned).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_time_by_the_bytes_it_brings() {
        let (mut body, limits) = (BodyRate::default(), ClientLimits::default());
        let first = body.deadline(&limits);
        assert!(first <= Instant::now() + limits.body_grace);
        body.brought(240 * 5);
        let later = body.deadline(&limits);
        let earned = later - first;
        assert!(earned >= Duration::from_secs(5) && earned < Duration::from_secs(6), "{earned:?}");
    }
}
