//! How fast a body must come.

use std::time::Duration;

use tokio::time::Instant;

/// A body may take this long for free, then [`BODY_RATE`] counts.
const BODY_FREE: Duration = Duration::from_secs(10);
/// Bytes per second a body must bring on average.
const BODY_RATE: u64 = 240;

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

    pub(super) fn deadline(&mut self) -> Instant {
        let since = *self.since.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(self.bytes / BODY_RATE);
        since + (BODY_FREE + earned).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_time_by_the_bytes_it_brings() {
        let mut body = BodyRate::default();
        let first = body.deadline();
        assert!(first <= Instant::now() + BODY_FREE);
        body.brought(240 * 5);
        let later = body.deadline();
        let earned = later - first;
        assert!(earned >= Duration::from_secs(5) && earned < Duration::from_secs(6), "{earned:?}");
    }
}
