//! The bearer contract, row by row, against the real binary.

mod accounts;
pub mod bench;
mod clients;
mod codes;
mod login;
mod register;
mod tokens;
