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
mod password;
mod protected;
mod refresh;
mod roles;
mod scopes;
mod tokens;
mod users;

use crate::support::gateway::Gateway;

/// Disables an account by command, against the running gateway.
#[track_caller]
fn disable(gateway: &Gateway, name: &str) {
    let output = gateway.cli(&["user", "disable", name]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
