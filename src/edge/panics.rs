//! A panic in one request refuses that request and nothing else.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

use pingora::{Error, ErrorType, Result};

const PANIC: ErrorType = ErrorType::Custom("panic");

/// Drives a future; `None` if it panicked. The panic itself is told by the process's hook.
///
/// What the future borrowed is only used to answer 500 afterwards: half-filled facts can say too little, never permit.
/// The caller holds it, because a future that is handed on is copied whole, and this one is on every request's way.
pub(super) async fn contained<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

/// What a request that panicked fails with.
pub(super) fn error() -> Box<Error> {
    Error::new_in(PANIC)
}

/// Calls a hook; a panic in it is a fault of ours, which is answered as such.
pub(super) fn caught<T>(hook: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| Err(error()))
}

/// As [`caught`], for a hook that hands an error on: what panics while it looks at one is the greater fault.
pub(super) fn caught_error(hook: impl FnOnce() -> Box<Error>) -> Box<Error> {
    let mut error = catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| error());
    if error.etype == PANIC {
        error.set_retry(false);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_hook_is_an_error_of_ours() {
        let error = caught::<()>(|| panic!("on purpose")).unwrap_err();
        assert_eq!(*error.esource(), pingora::ErrorSource::Internal);
        let error = caught_error(|| panic!("on purpose"));
        assert!(!error.retry());
        assert!(caught(|| Ok(())).is_ok());
    }
}
