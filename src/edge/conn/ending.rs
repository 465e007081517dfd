//! How a request is ended by somebody who does not serve it: because its credential ended, or because others need its place.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Waker},
};

use super::Conn;
use crate::pipeline::Deny;

/// What others know of the request that runs on a connection.
#[derive(Default)]
pub(super) struct Ending {
    /// Whether anybody may end it.
    watched: AtomicBool,
    ended: AtomicBool,
    /// What was tunnelled is a WebSocket.
    websocket: AtomicBool,
    /// The client was told in its own protocol.
    farewell: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The request that hangs on a credential, counted from one; zero: none does.
    open: u32,
    why: Option<Deny>,
    waker: Option<Waker>,
}

impl Ending {
    // A poisoned lock is entered all the same: no change below leaves half of it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, mut state: MutexGuard<'_, State>, deny: Deny) {
        // The first reason stays.
        state.why.get_or_insert(deny);
        self.ended.store(true, Release);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Conn {
    /// The request on it may be ended from another task from now on.
    pub(in crate::edge) fn watched(&self) {
        self.ending.watched.store(true, Relaxed);
    }

    /// Its present request hangs on a credential until [`Conn::closes`]. Returns the number that [`Conn::end_request`] asks
    /// for.
    pub(in crate::edge) fn opens(&self) -> u32 {
        self.watched();
        let request = self.requests.load(Relaxed);
        self.ending.state().open = request;
        request
    }

    /// The request is over: what would have ended it must not end the next one.
    pub(in crate::edge) fn closes(&self) {
        let mut state = self.ending.state();
        if std::mem::take(&mut state.open) != 0 {
            state.why = None;
            self.ending.ended.store(false, Release);
        }
    }

    /// Ends what runs on it: the next read fails, and one that waits is woken to fail.
    pub(in crate::edge) fn end(&self, deny: Deny) {
        self.ending.end(self.ending.state(), deny);
    }

    /// Ends this request, if it still runs.
    pub(in crate::edge) fn end_request(&self, request: u32, deny: Deny) {
        let state = self.ending.state();
        if state.open == request && request != 0 {
            self.ending.end(state, deny);
        }
    }

    /// Whether what runs on it was ended.
    pub(in crate::edge) fn is_ended(&self) -> bool {
        self.ending.ended.load(Acquire)
    }

    /// Why it was.
    pub(in crate::edge) fn ended(&self) -> Option<Deny> {
        if self.is_ended() { self.ending.state().why.clone() } else { None }
    }

    /// A read of something watched waits: remembers whom to wake. Returns whether it was ended meanwhile.
    pub(in crate::edge) fn waits(&self, cx: &Context<'_>) -> bool {
        if !self.ending.watched.load(Relaxed) {
            return false;
        }
        let mut state = self.ending.state();
        if !state.waker.as_ref().is_some_and(|own| own.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        state.why.is_some()
    }

    /// From the end of the answer's head on, it carries a WebSocket.
    pub(in crate::edge) fn tunnels_websocket(&self) {
        self.ending.websocket.store(true, Relaxed);
    }

    pub(in crate::edge) fn is_websocket(&self) -> bool {
        self.ending.websocket.load(Relaxed)
    }

    /// The client was told of the end, and may be waited for to read it.
    pub(in crate::edge) fn said_farewell(&self) {
        self.ending.farewell.store(true, Relaxed);
        self.linger();
    }

    pub(in crate::edge) fn has_said_farewell(&self) -> bool {
        self.ending.farewell.load(Relaxed)
    }
}
