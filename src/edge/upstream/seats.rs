//! Seats of an upstream: how many requests it has at once, and who gives up a seat.
//!
//! A seat is for who waits for the upstream. Who keeps us waiting instead, with a body that does not come or an answer that
//! is not taken, has one for as long as nobody else wants it: some hundred slow clients would else shut everybody out.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::edge::conn::Conn;

/// A client that kept us waiting for less is not taken for slow.
const PATIENCE: Duration = Duration::from_millis(200);

/// The seats of one upstream.
pub(super) struct Seats {
    most: usize,
    taken: AtomicUsize,
    /// Requests that may come to wait for their clients.
    dependent: Mutex<Vec<Arc<Conn>>>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicUsize::new(0), dependent: Mutex::default() })
    }

    /// A seat for one more request; where there is none, that of the one who kept us waiting for the longest time.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Seat> {
        if self.taken.fetch_add(1, Relaxed) >= self.most {
            self.taken.fetch_sub(1, Relaxed);
            // Its seat is ours now, so that the count stays.
            self.slowest()?.give_way();
        }
        Some(Seat { seats: Arc::clone(self), dependent: None })
    }

    fn slowest(&self) -> Option<Arc<Conn>> {
        let mut dependent = self.dependent.lock().unwrap_or_else(PoisonError::into_inner);
        let lags = dependent.iter().enumerate().map(|(at, conn)| (conn.lag(), at));
        let (lag, at) = lags.max()?;
        (lag >= PATIENCE).then(|| dependent.swap_remove(at))
    }
}

/// One request's share of an upstream, for as long as the request runs.
pub(in crate::edge) struct Seat {
    seats: Arc<Seats>,
    dependent: Option<Arc<Conn>>,
}

impl Seat {
    /// From now on the request may wait for its client, and loses the seat if it does so for too long.
    pub(in crate::edge) fn depends_on(&mut self, conn: &Arc<Conn>) {
        if self.dependent.is_none() {
            conn.watched();
            self.dependent = Some(Arc::clone(conn));
            let mut all = self.seats.dependent.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(Arc::clone(conn));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(own) = &self.dependent {
            let mut all = self.seats.dependent.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody else has it.
            let Some(at) = all.iter().position(|conn| Arc::ptr_eq(conn, own)) else { return };
            all.swap_remove(at);
        }
        self.seats.taken.fetch_sub(1, Relaxed);
    }
}
