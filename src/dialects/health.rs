//! Public health: whether the store answers, and nothing an attacker could use. Where several contracts share a place,
//! one object holds the members of all of them (README of the contracts, "Path collisions").

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::Dialect;
use crate::model::Timestamp;

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct HealthFacts {
    /// Whether the store answers.
    pub store_answers: bool,
    /// Now.
    pub now: Timestamp,
    /// Since the process started.
    pub uptime: Duration,
}

impl HealthFacts {
    /// `healthy` or `unhealthy`.
    pub fn word(&self) -> &'static str {
        if self.store_answers { "healthy" } else { "unhealthy" }
    }
}

/// The members of a health object, in order.
pub type Members = Vec<(&'static str, Value)>;

/// The object of a place: the members of `own`, then those that only the others have.
pub fn union<'d>(
    own: &dyn Dialect,
    others: impl Iterator<Item = &'d dyn Dialect>,
    facts: &HealthFacts,
) -> impl Serialize {
    let mut members = own.health(facts);
    for (name, value) in others.flat_map(|other| other.health(facts)) {
        if members.iter().all(|(known, _)| *known != name) {
            members.push((name, value));
        }
    }
    Object(members)
}

struct Object(Members);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
