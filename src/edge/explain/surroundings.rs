//! What a question may ask, and what it must not leave behind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    edge::Parts,
    identity::{HangsOn, IdentityError, Lookup},
    limit::{LimitError, RateLimiter, local::LocalLimiter},
    model::{
        AccountId, Digest, KeyId, MountName, Principal, SessionId, SystemClock, SystemRandom,
        Timestamp, TokenId,
    },
    pipeline::{Charge, KeyEvidence, RevocationView, SessionEvidence, Toll},
    telemetry::{AccessLog, Metrics},
};

/// Whose evidence answers are given on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The running gateway's: its records, and its limits as they stand.
    Running,
    /// The store's, of which nobody else has hold. Nothing is counted yet: each question is charged to those that follow.
    Store,
    /// Nobody's: only the configuration is known, and every limit is unused.
    None,
}

/// The same surroundings, of which a question changes nothing.
pub(super) fn watched(parts: Parts, evidence: Evidence) -> Parts {
    let limiter: Arc<dyn RateLimiter> = match evidence {
        Evidence::Running | Evidence::None => Arc::new(Looking(parts.limiter)),
        Evidence::Store => parts.limiter,
    };
    let lookup = Arc::new(Quiet(parts.lookup));
    Parts { limiter, lookup, access: AccessLog::nowhere(), ..parts }
}

/// What there is without a store: nothing counted, nothing known, nothing ended.
pub(super) fn nobodys(metrics: Metrics) -> Parts {
    Parts {
        limiter: Arc::new(LocalLimiter::new(&Default::default())),
        lookup: Arc::new(Nobody),
        revocations: Arc::new(Nobody),
        metrics,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        access: AccessLog::nowhere(),
    }
}

/// Knows of nothing, which is not to know that there is nothing.
struct Nobody;

#[async_trait]
impl Lookup for Nobody {
    async fn key(
        &self,
        _: &MountName,
        _: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        Err(IdentityError::Unavailable)
    }

    async fn session(
        &self,
        _: &MountName,
        _: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        Err(IdentityError::Unavailable)
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn used(&self, _: &KeyId, _: Timestamp) {}

    async fn assertion(
        &self,
        _: &MountName,
        _: &Principal,
        _: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        // Nothing is signed for a question.
        Ok(("signed-by-the-running-gateway".to_owned(), now + lifetime))
    }
}

impl RevocationView for Nobody {
    fn is_revoked(&self, _: Option<&TokenId>, _: Option<&SessionId>) -> bool {
        false
    }
}

/// Looks at limits where they would be charged.
struct Looking(Arc<dyn RateLimiter>);

#[async_trait]
impl RateLimiter for Looking {
    async fn check(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        match self.0.peek(charges).await? {
            Some(toll) if toll.retry_after.is_some() => Err(LimitError::Limited(toll)),
            toll => Ok(toll),
        }
    }

    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        self.0.peek(charges).await
    }
}

/// Notes no use of what is looked up: nobody used it.
struct Quiet(Arc<dyn Lookup>);

#[async_trait]
impl Lookup for Quiet {
    fn nonce_secret(&self) -> Option<[u8; 32]> {
        self.0.nonce_secret()
    }

    async fn key(
        &self,
        mount: &MountName,
        id: &KeyId,
    ) -> Result<Option<Arc<KeyEvidence>>, IdentityError> {
        self.0.key(mount, id).await
    }

    async fn session(
        &self,
        mount: &MountName,
        secret: &Digest,
    ) -> Result<Option<Arc<SessionEvidence>>, IdentityError> {
        self.0.session(mount, secret).await
    }

    fn is_hashing_full(&self) -> bool {
        self.0.is_hashing_full()
    }

    fn is_current(&self) -> bool {
        self.0.is_current()
    }

    async fn becomes_current(&self) -> bool {
        self.0.becomes_current().await
    }

    fn vouched_at(&self) -> Option<Instant> {
        self.0.vouched_at()
    }

    fn stale_for(&self) -> Duration {
        self.0.stale_for()
    }

    fn epoch(&self) -> u64 {
        self.0.epoch()
    }

    fn last_change(&self, on: HangsOn) -> u64 {
        self.0.last_change(on)
    }

    fn hangs_on(&self, key: Option<&KeyId>, owner: Option<&AccountId>) -> HangsOn {
        self.0.hangs_on(key, owner)
    }

    fn used(&self, _: &KeyId, _: Timestamp) {}

    async fn assertion(
        &self,
        _: &MountName,
        _: &Principal,
        _: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        // Nothing is signed for a question.
        Ok(("signed-by-the-running-gateway".to_owned(), now + lifetime))
    }
}
