//! tmws: JWT and `X-API-Key` under `/api/v1`. Constants and the pure face; bodies in `wire`, handlers in `routes`.

pub mod routes;
pub mod wire;

use super::{Defaults, Dialect, Endpoint};
use crate::pipeline::{Deny, Face, Reply, ReplyFacts};

/// The contract.
#[derive(Debug)]
pub struct Tmws;

impl Face for Tmws {
    fn render(&self, deny: &Deny, facts: &ReplyFacts<'_>) -> Reply {
        let _ = (deny, facts);
        unimplemented!()
    }
}

impl Dialect for Tmws {
    fn name(&self) -> &'static str {
        "tmws"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[]
    }

    fn defaults(&self) -> Defaults {
        unimplemented!()
    }
}
