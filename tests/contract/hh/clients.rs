//! The guide's back end and admin programs, run against the demo as a stranger would: all they know is its line.

use std::process::Command;

use crate::support::{gateway::Gateway, programs};

#[track_caller]
fn play(mut program: Command, name: &str) {
    let demo = Gateway::demo(&[]);
    programs::play(program.arg(programs::script("hh", name)).arg(demo.facts.to_string()));
}

#[test]
fn the_back_end_of_the_guide_works() {
    play(programs::any_python(), "backend.py");
}

#[test]
fn the_admin_scripts_work() {
    play(programs::command("bash"), "admin.sh");
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_python_clients_work_with_requests() {
    play(programs::python(), "with_requests.py");
}
