//! Small replicas of the guide's two SDKs with the libraries they stand on, axios and aiohttp. Each script gets the base URL
//! and an account, exits 0 when all went as its guide says, and says what went wrong otherwise.

use std::process::Command;

use crate::support::{
    archon::{PASSWORD, configuration, person},
    gateway::Gateway,
    programs,
    upstream::Upstream,
};

#[track_caller]
fn play(mut program: Command) {
    // One of its own: rejected refreshes of one address are counted, and scripts all come from the same.
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream.url(), ""));
    let email = person(&gateway, &["user"]);
    programs::play(program.args([&gateway.url(), &email, PASSWORD]));
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_typescript_sdk_works_and_stops() {
    play(programs::node("archon", "sdk.mjs"));
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_python_sdk_works_and_asks_once() {
    let mut python = programs::python();
    python.arg(programs::script("archon", "sdk.py"));
    play(python);
}
