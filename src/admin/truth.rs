//! What probes and figures ask of whoever holds the truth: identity in this process, or the mirror of one elsewhere.

use async_trait::async_trait;

use super::Trouble;
use crate::identity::{Followed, Gauges, Identity, Mirror};

/// The truth, as far as its health goes.
#[async_trait]
pub trait Truth: Send + Sync + 'static {
    /// Whether it can be asked now.
    async fn healthy(&self) -> bool;
    /// Numbers.
    fn gauges(&self) -> Gauges;
    /// Where this node stands among the changes; `None`: it makes them all itself.
    fn followed(&self) -> Option<Followed>;
    /// What it means for requests that it cannot be asked.
    fn lost(&self) -> Trouble;
}

#[async_trait]
impl Truth for Identity {
    async fn healthy(&self) -> bool {
        Identity::healthy(self).await
    }

    fn gauges(&self) -> Gauges {
        Identity::gauges(self)
    }

    fn followed(&self) -> Option<Followed> {
        Identity::followed(self)
    }

    fn lost(&self) -> Trouble {
        let what = "it cannot be asked or written: what needs it is answered 503, the rest goes on";
        Trouble { part: "store", what: what.to_owned() }
    }
}

#[async_trait]
impl Truth for Mirror {
    async fn healthy(&self) -> bool {
        Mirror::healthy(self).await
    }

    fn gauges(&self) -> Gauges {
        Gauges { revocations: self.ended(), ..Gauges::default() }
    }

    fn followed(&self) -> Option<Followed> {
        Mirror::followed(self)
    }

    fn lost(&self) -> Trouble {
        let what = "no identity node can be asked: what is known passes for [link] stale_for, the rest is answered 503";
        Trouble { part: "identity", what: what.to_owned() }
    }
}
