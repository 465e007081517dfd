//! A timer for deadlines that are moved long before they pass.
//!
//! Not tokio's: while one of its timers is set, a worker that goes to sleep has the kernel arm a timer as well, twice for
//! every request of a calm connection, and in a virtual machine that costs more than the request. pingora keeps a thread
//! for its own deadlines that looks every ten milliseconds; ours ride along.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

/// pingora's clock rounds to ten milliseconds and may be a moment early; with this it never is.
const SLACK: Duration = Duration::from_millis(10);
/// Set no further ahead: what pingora's clock holds cannot be taken back.
const FURTHEST: Duration = Duration::from_secs(60);

/// At most one timer that is set.
#[derive(Default)]
pub(super) struct Alarm(Option<Set>);

struct Set {
    at: Instant,
    waker: Waker,
    timer: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Alarm {
    /// Waits for `at`, to a few hundredths of a second. A timer that is set for an earlier moment is left alone until it
    /// goes off: looking once too often costs less than moving it each time.
    pub(super) fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            if now >= at {
                return Poll::Ready(());
            }
            match &mut self.0 {
                Some(set) if now < set.at && set.at <= at => {
                    if set.waker.will_wake(cx.waker()) {
                        return Poll::Pending;
                    }
                    set.waker.clone_from(cx.waker());
                }
                _ => self.0 = Some(Set::new(now, at, cx.waker())),
            }
            match self.0.as_mut().map(|set| set.timer.as_mut().poll(cx)) {
                Some(Poll::Pending) => return Poll::Pending,
                _ => self.0 = None,
            }
        }
    }
}

impl Set {
    fn new(now: Instant, at: Instant, waker: &Waker) -> Self {
        let span = at.saturating_duration_since(now).min(FURTHEST);
        let timer = Box::pin(pingora::prelude::sleep(span + SLACK));
        Self { at: now + span, waker: waker.clone(), timer }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn wait(alarm: &mut Alarm, at: Instant) {
        poll_fn(|cx| alarm.poll(at, cx)).await;
    }

    #[tokio::test]
    async fn it_goes_off_after_its_moment_and_not_before() {
        let mut alarm = Alarm::default();
        for _ in 0..3 {
            let at = Instant::now() + Duration::from_millis(20);
            wait(&mut alarm, at).await;
            assert!(Instant::now() >= at);
        }
    }

    #[tokio::test]
    async fn a_deadline_may_move_both_ways_while_it_is_set() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        let far = start + Duration::from_secs(600);
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(far, cx))).await.is_pending());
        wait(&mut alarm, start + Duration::from_millis(10)).await;
        // Set for the earlier moment, asked for a later one: it goes off in between and goes on waiting.
        let near = Instant::now() + Duration::from_millis(10);
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(near, cx))).await.is_pending());
        let later = near + Duration::from_millis(30);
        wait(&mut alarm, later).await;
        assert!(Instant::now() >= later);
    }

    #[tokio::test]
    async fn another_task_may_go_on_waiting() {
        let mut alarm = Alarm::default();
        let at = Instant::now() + Duration::from_millis(20);
        assert!(alarm.poll(at, &mut Context::from_waker(Waker::noop())).is_pending());
        tokio::spawn(async move { wait(&mut alarm, at).await }).await.unwrap();
        assert!(Instant::now() >= at);
    }
}
