//! The store's contract, held against real files. Every statement about durability, uniqueness and atomicity that other
//! rooms rely on is tested here and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod store {
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
