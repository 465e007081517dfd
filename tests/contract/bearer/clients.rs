//! The guide's client patterns, run against the gateway, and the flow of the library's documentation with curl and axios.

use std::process::Command;

use super::bench::{Bench, PASSWORD};
use crate::support::{programs, tmws::fresh_name, wait::until};

#[track_caller]
fn play(bench: &Bench, mut program: Command, name: &str, email: &str) {
    program.arg(programs::script("bearer", name));
    programs::play(program.args([&bench.gateway.url(), email, PASSWORD]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proactive_client_works() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    play(&bench, programs::any_python(), "pattern_1.py", &email);
    let count = |path: &str| bench.gateway.log().iter().filter(|line| line["path"] == path).count();
    // Access lines are written beside the answers.
    until("the five sums are told", || async { (count("/api/sum") == 5).then_some(()) }).await;
    // Trap 1: no login before every request.
    assert_eq!(count("/auth/jwt/login"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reactive_client_works() {
    let bench = Bench::start().await;
    let email = bench.someone().await;
    play(&bench, programs::any_python(), "pattern_2.py", &email);
}

/// What both flows get: the base URL, an address nobody has, and a superuser.
async fn flow(mut program: Command) {
    let bench = Bench::start().await;
    let (email, superuser) = (format!("{}@example.com", fresh_name()), bench.supervisor());
    programs::play(program.args([&bench.gateway.url(), &email, &superuser, PASSWORD]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_flow_works_with_curl() {
    let mut bash = programs::command("bash");
    bash.arg(programs::script("bearer", "curl.sh"));
    flow(bash).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn the_documented_flow_works_with_axios() {
    flow(programs::node("bearer", "axios.mjs")).await;
}
