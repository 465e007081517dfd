//! Whose turn it is: how many answers of one connection may pile up here.
//!
//! What is read ahead of a client that takes nothing is some hundred kilobytes for each answer, and a hundred may be asked
//! for at once. So only so many begin of which it is not known yet whether the client takes them, or is known that it does
//! not. It is known soon: what the upstream lets wait for longer than a moment holds up nobody else.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// Answers that may pile up.
const MOST: usize = 32;
/// An upstream that takes longer to answer does not hold up other requests.
const MOMENT: Duration = Duration::from_millis(250);

/// The turns of one connection.
#[derive(Default)]
pub(super) struct Turns {
    /// Requests that have begun, and whose answers nobody has tried to send.
    begun: AtomicUsize,
    /// Answers that the client does not take.
    stuck: AtomicUsize,
    waiting: AtomicUsize,
    free: Notify,
}

impl Turns {
    fn try_take(self: &Arc<Self>) -> Option<Turn> {
        // A turn that is not to be had must not be taken and given back: that would wake another one who waits, who would
        // do the same, for as long as the client takes nothing.
        let free = |begun| (begun + self.stuck.load(Relaxed) < MOST).then_some(begun + 1);
        self.begun.fetch_update(Relaxed, Relaxed, free).ok()?;
        Some(Turn { turns: Arc::clone(self), state: State::Begun })
    }

    fn freed(&self, count: &AtomicUsize) {
        count.fetch_sub(1, Relaxed);
        if self.waiting.load(Relaxed) > 0 {
            self.free.notify_one();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begun,
    Stuck,
    Flowing,
}

/// One request's turn.
pub(super) struct Turn {
    turns: Arc<Turns>,
    state: State,
}

impl Turn {
    /// A turn that is to be had at once.
    pub(super) fn at_once(turns: &Arc<Turns>) -> Option<Self> {
        turns.try_take()
    }

    /// Waits for one.
    pub(super) fn wait(turns: Arc<Turns>) -> impl Future<Output = Self> {
        turns.waiting.fetch_add(1, Relaxed);
        let waiting = Waiting(turns);
        async move {
            let turns = &waiting.0;
            loop {
                let freed = pingora::prelude::timeout(MOMENT, turns.free.notified()).await;
                if let Some(turn) = turns.try_take() {
                    return turn;
                }
                if freed.is_err() && turns.stuck.load(Relaxed) < MOST {
                    turns.begun.fetch_add(1, Relaxed);
                    return Self { turns: Arc::clone(turns), state: State::Begun };
                }
            }
        }
    }

    /// The client does not take the answer.
    pub(super) fn is_stuck(&mut self) {
        self.enter(State::Stuck);
    }

    /// What there was of the answer is sent.
    pub(super) fn flows(&mut self) {
        self.enter(State::Flowing);
    }

    fn enter(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        if before == state {
            return;
        }
        if state == State::Stuck {
            self.turns.stuck.fetch_add(1, Relaxed);
        }
        match before {
            State::Begun => self.turns.freed(&self.turns.begun),
            State::Stuck => self.turns.freed(&self.turns.stuck),
            State::Flowing => {}
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.flows();
    }
}

/// Counts whoever waits, also one that gives up.
struct Waiting(Arc<Turns>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    fn all(turns: &Arc<Turns>) -> Vec<Turn> {
        std::iter::from_fn(|| Turn::at_once(turns)).collect()
    }

    #[test]
    fn answers_that_are_taken_make_room_and_those_that_are_not_keep_it() {
        let turns = Arc::new(Turns::default());
        let mut held = all(&turns);
        assert_eq!(held.len(), MOST);
        held.iter_mut().for_each(Turn::is_stuck);
        assert_eq!(all(&turns).len(), 0);
        held.iter_mut().take(3).for_each(Turn::flows);
        assert_eq!(all(&turns).len(), 3);
        drop(held);
        assert_eq!(all(&turns).len(), MOST);
        assert_eq!((turns.begun.load(Relaxed), turns.stuck.load(Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_turn_that_is_given_back() {
        let turns = Arc::new(Turns::default());
        let mut held = all(&turns);
        held.iter_mut().for_each(Turn::is_stuck);
        let waiting = tokio::spawn(Turn::wait(Arc::clone(&turns)));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        held.pop();
        let turn = waiting.await.unwrap();
        assert!(turn.state == State::Begun && turns.waiting.load(Relaxed) == 0);
    }

    #[tokio::test]
    async fn whoever_gets_no_turn_wakes_nobody() {
        let turns = Arc::new(Turns::default());
        let held = all(&turns);
        // Somebody waits.
        turns.waiting.fetch_add(1, Relaxed);
        assert!(Turn::at_once(&turns).is_none());
        let mut woken = Box::pin(turns.free.notified());
        assert!(poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx).is_pending())).await);
        drop(held);
        assert!(poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx).is_ready())).await);
    }

    #[tokio::test]
    async fn slow_upstreams_hold_up_nobody_for_long() {
        let turns = Arc::new(Turns::default());
        let held = all(&turns);
        let turn = Turn::wait(Arc::clone(&turns)).await;
        assert_eq!(turns.begun.load(Relaxed), held.len() + 1);
        drop(turn);
    }
}
