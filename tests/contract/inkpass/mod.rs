//! Every row of the inkpass contract; one file per part of the contract.

mod check;
mod clients;
mod codes;
mod factor;
mod groups;
mod keys;
mod limits;
mod login;
mod me;
mod permissions;
mod refresh;
mod register;
mod users;
mod walls;
