//! How fast a client must send a body, and take an answer.

use std::time::Duration;

use tokio::time::Instant;

/// The time that is averaged over moves on in so many parts.
const PARTS: usize = 4;
/// The time before the beginning counts as if enough had come in it.
const FREE: u64 = u64::MAX;

/// What a client may make us wait.
#[derive(Clone, Copy)]
pub(super) struct Least {
    /// Bytes per second, on average over the last `span` that was waited.
    pub(super) rate: u64,
    /// Also how long it may do nothing at all.
    pub(super) span: Duration,
}

impl Least {
    fn part(self) -> Duration {
        (self.span / PARTS as u32).max(Duration::from_millis(1))
    }

    /// Bytes to be moved in the whole span.
    pub(super) fn bytes(self) -> u64 {
        let millis = u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX);
        self.rate.saturating_mul(millis) / 1000
    }
}

/// Time a client was really waited for, and the bytes it moved. Time in which we did not ask does not count, nor does what
/// it moved long ago: who begins fast may not be slow for the more.
pub(super) struct Pace {
    /// Bytes moved in the present part of the time and in those before, latest first.
    parts: [u64; PARTS],
    /// How much of the present part was waited.
    waited: Duration,
    since: Option<Instant>,
    /// Too little had come at the end of a part, even if more came right behind it.
    late: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { parts: [0, FREE, FREE, FREE], waited: Duration::ZERO, since: None, late: false }
    }
}

impl Pace {
    /// The client moved so many bytes.
    pub(super) fn moved(&mut self, bytes: usize, least: Least) {
        self.moved_at(bytes, least, Instant::now);
    }

    fn moved_at(&mut self, bytes: usize, least: Least, now: impl Fn() -> Instant) {
        if let Some(since) = self.since.take() {
            self.wait(now().saturating_duration_since(since), least);
        }
        self.present(|own| own.saturating_add(bytes as u64));
    }

    /// Until when we wait for it to move more.
    pub(super) fn deadline(&mut self, least: Least) -> Instant {
        self.deadline_at(least, Instant::now)
    }

    fn deadline_at(&mut self, least: Least, now: impl Fn() -> Instant) -> Instant {
        let since = *self.since.get_or_insert_with(now);
        since + self.patience(least)
    }

    fn wait(&mut self, time: Duration, least: Least) {
        self.waited += time;
        let part = least.part();
        // Few rounds: nobody is waited for longer than patience allows.
        while self.waited >= part {
            self.late |= !is_enough(&self.parts, least);
            self.waited -= part;
            self.parts.rotate_right(1);
            self.present(|_| 0);
        }
    }

    /// To the end of the first part at which too little would have come in the whole time, were nothing more to come.
    fn patience(&self, least: Least) -> Duration {
        if self.late {
            return Duration::ZERO;
        }
        let later = (0..PARTS)
            .find(|later| {
                !self.parts.get(..PARTS - later).is_some_and(|left| is_enough(left, least))
            })
            .unwrap_or(PARTS);
        let end = (0..=later).fold(Duration::ZERO, |sum, _| sum + least.part());
        end.saturating_sub(self.waited).min(least.span)
    }

    fn present(&mut self, change: impl Fn(u64) -> u64) {
        let [present, ..] = &mut self.parts;
        *present = change(*present);
    }
}

fn is_enough(parts: &[u64], least: Least) -> bool {
    parts.iter().fold(0, |sum: u64, own| sum.saturating_add(*own)) >= least.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Least = Least { rate: 240, span: Duration::from_secs(10) };
    const STEP: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(600);

    /// How long a client is waited for that moves so much every half second behind what it moved at once.
    fn held(at_once: usize, each_step: usize) -> Duration {
        let (mut pace, mut held) = (Pace::default(), Duration::ZERO);
        pace.moved(at_once, LEAST);
        while held < LONG {
            let patience = pace.patience(LEAST);
            if patience < STEP {
                return held + patience;
            }
            // What comes just at the end of a part comes too late for it.
            held += STEP;
            pace.wait(STEP, LEAST);
            pace.moved(each_step, LEAST);
        }
        held
    }

    #[test]
    fn whoever_is_slow_is_not_waited_for_whatever_came_before() {
        for (at_once, each_step, least, most) in [
            (0, 0, 10_000, 10_000),
            (0, 1, 10_000, 10_000),
            (0, 119, 10_000, 10_000),
            (1_000_000, 0, 10_000, 12_500),
            (1_000_000, 1, 10_000, 12_500),
            (20_000, 115, 10_000, 12_500),
        ] {
            let took = held(at_once, each_step);
            let bounds = Duration::from_millis(least)..=Duration::from_millis(most);
            assert!(bounds.contains(&took), "{at_once}, {each_step}: {took:?}");
        }
    }

    #[test]
    fn whoever_keeps_the_rate_goes_on() {
        for each_step in [130, 10_000] {
            assert_eq!(held(0, each_step), LONG, "{each_step}");
        }
    }

    #[test]
    fn silence_ends_after_the_whole_time_at_most() {
        let mut pace = Pace::default();
        pace.moved(1_000_000, LEAST);
        assert_eq!(pace.patience(LEAST), LEAST.span);
    }

    #[test]
    fn time_in_which_nobody_asked_does_not_count() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let first = pace.deadline_at(LEAST, || start);
        let asked_again = start + LONG;
        pace.moved_at(1, LEAST, || start);
        assert_eq!(pace.deadline_at(LEAST, || asked_again), first + LONG);
    }
}
