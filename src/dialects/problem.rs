//! The face of routes that speak no contract: RFC 9457 problem documents.

use crate::pipeline::{Deny, Face, Reply, ReplyFacts};

/// `application/problem+json`.
#[derive(Debug)]
pub struct Problem;

impl Face for Problem {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        let _ = (deny, facts);
        unimplemented!()
    }
}
