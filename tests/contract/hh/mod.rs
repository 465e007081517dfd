//! Every row of the hh contract; one file per part of the contract.

mod admin;
mod canary;
mod clients;
mod credential;
mod errors;
mod exchange;
mod limits;
mod login;
mod page;
mod provider;
mod sessions;
mod sites;
