//! One renewal at a time per person: whoever comes meanwhile waits and shares the result, good or bad.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{identity::IdentityError, store::ForeignKey};

type Flight<T> = Arc<OnceCell<Result<T, IdentityError>>>;

/// Renewals under way.
pub(in crate::identity) struct Flights<T> {
    running: Mutex<HashMap<ForeignKey, Flight<T>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { running: Mutex::default() }
    }
}

// A poisoned lock is entered all the same: every change is one map operation, so the map is whole.
impl<T: Clone> Flights<T> {
    /// Joins the renewal of this person that is under way, or begins one.
    pub(super) async fn join(
        &self,
        key: &ForeignKey,
        begin: impl Future<Output = Result<T, IdentityError>>,
    ) -> Result<T, IdentityError> {
        let flight = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(running.entry(key.clone()).or_default())
        };
        let result = flight.get_or_init(|| begin).await.clone();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // The next one looks anew; a flight that began since then is not this one.
        if running.get(key).is_some_and(|present| Arc::ptr_eq(present, &flight)) {
            running.remove(key);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn key(subject: &str) -> ForeignKey {
        ForeignKey { realm: "r".into(), provider: "p".into(), subject: subject.into() }
    }

    #[tokio::test]
    async fn many_at_once_are_one_and_the_next_is_a_new_one() {
        let (flights, began) = (Arc::new(Flights::default()), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (flights, began, gate) = (flights.clone(), began.clone(), gate.clone());
            tasks.spawn(async move {
                let work = async {
                    let number = began.fetch_add(1, SeqCst);
                    let _permit = gate.acquire().await;
                    Ok::<_, IdentityError>(number)
                };
                flights.join(&key("a"), work).await
            });
        }
        tokio::task::yield_now().await;
        // Another person does not wait.
        let other = flights.join(&key("b"), async { Ok(99) }).await;
        assert_eq!(other, Ok(99));
        while began.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        while let Some(result) = tasks.join_next().await {
            assert_eq!(result.unwrap(), Ok(0));
        }
        assert_eq!(flights.join(&key("a"), async { Ok(7) }).await, Ok(7));
        assert!(flights.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_failure_is_shared_but_not_kept() {
        let flights = Flights::<u8>::default();
        let failed = flights.join(&key("a"), async { Err(IdentityError::Unavailable) }).await;
        assert_eq!(failed, Err(IdentityError::Unavailable));
        assert_eq!(flights.join(&key("a"), async { Ok(1) }).await, Ok(1));
    }
}
