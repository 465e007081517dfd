//! The store's contract, held against real files and real databases. Every statement about durability, uniqueness and
//! atomicity that other rooms rely on is tested here and nowhere else, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// One folder of tests, played on each engine.
#![allow(clippy::duplicate_mod)]

#[path = "support/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod kit;

use kit::postgres;

mod store {
    const ON_POSTGRES: bool = false;

    mod accounts;
    mod audit;
    mod backup;
    mod crash;
    mod factor;
    mod failures;
    mod keyring;
    mod keys;
    mod open;
    mod organisations;
    mod refresh;
    mod sessions;
    mod support;
    mod sweep;
}

#[path = "store"]
mod on_postgres {
    const ON_POSTGRES: bool = true;

    mod accounts;
    mod audit;
    mod changes;
    mod factor;
    mod failures;
    mod fleet;
    mod keyring;
    mod keys;
    mod organisations;
    mod outage;
    mod refresh;
    mod sessions;
    mod support;
    mod sweep;
}
