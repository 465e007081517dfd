//! The guide's back end and admin scripts, run against the demo as a stranger would: all they know is its line.

use std::{path::Path, process::Command};

use crate::support::gateway::Gateway;

#[track_caller]
fn play(program: &str, name: &str) {
    let demo = Gateway::demo(&[]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/hh/clients");
    match Command::new(program).arg(folder.join(name)).arg(demo.facts.to_string()).output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program} is not installed; {name} was not played");
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn the_back_end_of_the_guide_works() {
    play("python3", "backend.py");
}

#[test]
fn the_admin_scripts_work() {
    play("bash", "admin.sh");
}
