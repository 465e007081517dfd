//! Small replicas of the guide's client programs, run unchanged against the demo. Each script gets the base URL and the
//! demo's key, exits 0 when all went as its guide says, and says what went wrong otherwise.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::tmws::shared;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/tmws/clients").join(name)
}

/// `None` when the machine has no such interpreter: then the program is not ours to judge.
fn play(program: &str, arguments: &[&str], name: &str) -> Option<Output> {
    let gateway = shared();
    let key = gateway.facts["api_keys"]["tmws"].as_str().unwrap();
    let result = Command::new(program)
        .args(arguments)
        .arg(script(name))
        .args([&gateway.url(), "admin", "password", key])
        .output();
    match result {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program} is not installed; {name} was not played");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[track_caller]
fn succeeds(output: Option<Output>) {
    let Some(output) = output else { return };
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_bash_client_works() {
    succeeds(play("bash", &[], "complete_client.sh"));
}

#[test]
fn the_curl_workflow_works() {
    succeeds(play("bash", &[], "curl_workflow.sh"));
}

#[test]
fn the_python_client_works() {
    succeeds(play("python3", &["-B"], "jwt_client.py"));
}

#[test]
fn the_robust_python_client_works() {
    succeeds(play("python3", &["-B"], "robust_client.py"));
}

#[test]
fn the_fetch_client_works() {
    succeeds(play("node", &[], "fetch_client.mjs"));
}

#[test]
fn the_node_key_client_works() {
    succeeds(play("node", &[], "key_client.mjs"));
}
