//! A panic in one request refuses that request and nothing else.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
};

/// Drives a future; `None` if it panicked. The panic itself is told by the process's hook.
///
/// What the future borrowed is only used to answer 500 afterwards: half-filled facts can say too little, never permit.
pub(super) async fn contained<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}
