//! Figures of issuers outside.

use std::time::Duration;

use prometheus::{Error, IntCounterVec, IntGaugeVec};

use super::{Make, Metrics, gauge};

pub(super) struct Families {
    fetches: IntCounterVec,
    keys: IntGaugeVec,
    age: IntGaugeVec,
    introspections: IntCounterVec,
    logins: IntCounterVec,
}

impl Families {
    pub(super) fn register(make: &Make<'_>) -> Result<Self, Error> {
        Ok(Self {
            fetches: make.counters(
                "portcullis_issuer_fetches_total",
                "Fetches of the keys of an outside issuer: `ok`, `taken_over` from another node that had fetched them, or why it brought nothing.",
                &["issuer", "result"],
            )?,
            keys: make.gauges(
                "portcullis_issuer_keys",
                "Keys of an outside issuer that verify tokens now; 0 when there are none young enough.",
                &["issuer"],
            )?,
            introspections: make.counters(
                "portcullis_introspections_total",
                "Questions to an outside issuer about a token: `active`, `inactive`, `not_asked`, or why there was no answer.",
                &["issuer", "result"],
            )?,
            logins: make.counters(
                "portcullis_oidc_logins_total",
                "Logins of browsers through an OpenID provider that came back from there: `ok`, or the reason of the refusal.",
                &["login", "result"],
            )?,
            age: make.gauges(
                "portcullis_issuer_keys_age_seconds",
                "Seconds since the keys in hand were asked for.",
                &["issuer"],
            )?,
        })
    }
}

impl Metrics {
    /// A fetch of keys ended. `result`: `ok`, or the reason.
    pub fn issuer_fetch(&self, issuer: &str, result: &'static str) {
        self.inner.issuers.fetches.with_label_values(&[issuer, result]).inc();
    }

    /// A question about a token was answered, or not.
    pub fn introspection(&self, issuer: &str, result: &'static str) {
        self.inner.issuers.introspections.with_label_values(&[issuer, result]).inc();
    }

    /// A browser came back from a provider. `result`: `ok`, or the reason.
    pub fn oidc_login(&self, login: &str, result: &'static str) {
        self.inner.issuers.logins.with_label_values(&[login, result]).inc();
    }

    /// What is in hand of an issuer. `age`: of the keys, if there are any.
    pub fn issuer_keys(&self, issuer: &str, keys: usize, age: Option<Duration>) {
        self.inner.issuers.keys.with_label_values(&[issuer]).set(gauge(keys));
        if let Some(age) = age {
            let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            self.inner.issuers.age.with_label_values(&[issuer]).set(age);
        }
    }

    /// An issuer that a reload took away is no longer shown.
    pub fn forget_issuer(&self, issuer: &str) {
        // Never shown is as good as forgotten.
        let _ = self.inner.issuers.keys.remove_label_values(&[issuer]);
        let _ = self.inner.issuers.age.remove_label_values(&[issuer]);
    }
}
