//! The last good set of each issuer, kept through a restart: an issuer that is away when the gateway starts refuses nobody.
//!
//! What stands there is no more than what was in hand: it is as old as it was, and is taken for the same issuer, address and
//! algorithms only.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{held::SKEW, keeper::Keeper, settings::Fetching};
use crate::{model::Timestamp, pipeline::jwt::KeySet};

/// Where sets are kept. Whoever keeps them sees to it that nobody else can change them.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// What was last put there under this name. A fault is told where it happens.
    async fn get(&self, issuer: &str) -> Option<Vec<u8>>;
    /// Puts something in the place of what was there.
    async fn put(&self, issuer: &str, content: Vec<u8>);
}

/// A set with all that its use hangs on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    issuer: String,
    /// The address that the configuration named.
    url: String,
    /// When it was asked for.
    asked_at: Timestamp,
    /// For how many seconds it said that it was fresh.
    #[serde(default)]
    max_age: Option<u64>,
    set: String,
}

/// A set that was kept.
pub(super) struct Found {
    pub(super) keys: KeySet,
    pub(super) asked_at: Timestamp,
    pub(super) max_age: Option<Duration>,
}

impl Kept {
    pub(super) fn new(
        settings: &Fetching,
        asked_at: Timestamp,
        (set, max_age): (Vec<u8>, Option<Duration>),
    ) -> Self {
        Self {
            issuer: settings.issuer.to_string(),
            url: settings.at.url().to_string(),
            asked_at,
            max_age: max_age.map(|span| span.as_secs()),
            // It was read as JSON: it is text.
            set: String::from_utf8(set).unwrap_or_default(),
        }
    }

    /// The set, if it is of these settings, sound by the rules of today, and not from later than now.
    fn read(self, settings: &Fetching, now: Timestamp) -> Option<Found> {
        let own = *self.issuer == *settings.issuer && self.url == settings.at.url().as_str();
        if !own || now + SKEW < self.asked_at {
            return None;
        }
        let keys = KeySet::read(self.set.as_bytes(), &settings.algorithms).ok()?;
        let max_age = self.max_age.map(Duration::from_secs);
        Some(Found { keys, asked_at: self.asked_at, max_age })
    }
}

pub(super) async fn put(keeper: &Keeper, kept: Kept) {
    if let Ok(content) = serde_json::to_vec(&kept) {
        keeper.parts.shelf.put(keeper.name(), content).await;
    }
}

pub(super) async fn get(keeper: &Keeper, now: Timestamp) -> Option<Found> {
    let content = keeper.parts.shelf.get(keeper.name()).await?;
    serde_json::from_slice::<Kept>(&content).ok()?.read(&keeper.settings, now)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use url::Url;

    use super::*;
    use crate::issuer::KeysAt;

    const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    const THEN: Timestamp = Timestamp::from_secs(1_000_000);

    fn settings(issuer: &str, url: &str, algorithm: Algorithm) -> Fetching {
        Fetching {
            issuer: issuer.into(),
            at: KeysAt::Set(Url::parse(url).unwrap()),
            algorithms: vec![algorithm],
            refresh: Duration::from_secs(900),
            floor: Duration::from_secs(5),
            keep: Duration::from_secs(86_400),
            authorities: None,
        }
    }

    // requirement: 8
    #[test]
    fn a_set_is_taken_again_for_what_it_was_fetched_for_and_nothing_else() {
        let (iss, url) = ("https://a.example", "https://a.example/jwks");
        let own = settings(iss, url, Algorithm::EdDSA);
        let again = |settings: &Fetching, now: Timestamp, set: &str| {
            let kept = Kept::new(&own, THEN, (set.into(), Some(Duration::from_secs(300))));
            let text = serde_json::to_vec(&kept).unwrap();
            serde_json::from_slice::<Kept>(&text).unwrap().read(settings, now)
        };
        let Found { keys, asked_at, max_age } =
            again(&own, THEN + Duration::from_secs(7), SET).unwrap();
        assert_eq!((keys.keys().len(), asked_at), (1, THEN));
        assert_eq!(max_age, Some(Duration::from_secs(300)));
        // A clock that was set back a little, and one that was set back.
        assert!(again(&own, Timestamp::from_secs(999_940), SET).is_some());
        assert!(again(&own, Timestamp::from_secs(999_939), SET).is_none());
        for other in [
            settings("https://b.example", url, Algorithm::EdDSA),
            settings(iss, "https://a.example/other", Algorithm::EdDSA),
            settings(iss, url, Algorithm::RS256),
        ] {
            assert!(again(&other, THEN, SET).is_none(), "{other:?}");
        }
        assert!(again(&own, THEN, r#"{"keys":[]}"#).is_none());
    }
}
