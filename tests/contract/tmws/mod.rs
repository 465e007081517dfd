//! Every row of the tmws contract; one file per part of the contract.

mod clients;
mod cors;
mod errors;
mod health;
mod key_use;
mod keys;
mod limits;
mod lockout;
mod login;
mod logout;
mod nul;
mod password;
mod protected;
mod refresh;
mod roles;
mod scopes;
mod tokens;
mod users;
mod wide;
