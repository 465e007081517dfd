//! What is known about the keys of an issuer, for operators and figures.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::keeper::Keeper;
use crate::{
    model::Timestamp,
    pipeline::jwt::{VerificationKey, algorithm_name},
};

/// What is known about the keys of an issuer, for operators.
#[derive(Clone, Debug)]
pub struct KeyState {
    /// Its name.
    pub name: Arc<str>,
    /// Its `iss`.
    pub issuer: Arc<str>,
    /// The address that the configuration names.
    pub url: String,
    /// `fresh`, `stale` (the last good set, while no newer one can be had), `too_old`, or `none`.
    pub state: &'static str,
    /// Id and algorithm of each key.
    pub keys: Vec<(Arc<str>, &'static str)>,
    /// Keys of the set that are not used.
    pub passed_over: usize,
    /// When the set was asked for.
    pub fetched_at: Option<Timestamp>,
    /// How long ago.
    pub age: Option<Duration>,
    /// Until the next fetch.
    pub next_in: Duration,
    /// Why the last fetch brought nothing.
    pub fault: Option<String>,
}

impl Keeper {
    /// What is known, for operators.
    pub fn state(&self) -> KeyState {
        let (now, held) = (Instant::now(), self.held());
        let (next_in, fault) = {
            let plan = self.plan();
            (plan.due.saturating_duration_since(now), plan.last_fault)
        };
        let keys = held.as_ref().map(|held| {
            let name = |key: &VerificationKey| {
                (key.kid.clone(), algorithm_name(key.algorithm).unwrap_or_default())
            };
            held.keys.keys().iter().map(name).collect()
        });
        KeyState {
            name: self.name().clone(),
            issuer: self.settings.issuer.clone(),
            url: self.settings.at.url().to_string(),
            state: match (&held, fault) {
                (None, _) => "none",
                (Some(held), _) if !held.is_usable(now) => "too_old",
                (Some(_), Some(_)) => "stale",
                (Some(_), None) => "fresh",
            },
            keys: keys.unwrap_or_default(),
            passed_over: held.as_ref().map_or(0, |held| held.keys.passed_over()),
            fetched_at: held.as_ref().map(|held| held.asked_at),
            age: held.as_ref().map(|held| now.saturating_duration_since(held.asked)),
            next_in,
            fault: fault.map(|fault| fault.to_string()),
        }
    }

    /// Brings the figures up to date.
    pub(super) fn publish(&self) {
        let (now, held) = (Instant::now(), self.held());
        let keys = held
            .as_ref()
            .filter(|held| held.is_usable(now))
            .map_or(0, |held| held.keys.keys().len());
        let age = held.map(|held| now.saturating_duration_since(held.asked));
        self.parts.metrics.issuer_keys(self.name(), keys, age);
    }
}
