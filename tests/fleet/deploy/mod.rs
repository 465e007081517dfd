//! What `deploy/` holds, read by the programs it is written for: systemd, Docker Compose, Helm and the schemas of Kubernetes.
//! `scripts/deploy.sh` puts these under `target/deploy`; without them a test says so. With `PORTCULLIS_DEPLOY=all` that is a
//! failure.

mod compose;
mod helm;
mod units;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A file of `deploy/`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// A program of `target/deploy`.
fn tool(name: &str) -> Option<Command> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/deploy").join(name);
    if path.exists() {
        return Some(Command::new(path));
    }
    let all = std::env::var("PORTCULLIS_DEPLOY").is_ok_and(|wanted| wanted == "all");
    assert!(!all, "{name} is not there: scripts/deploy.sh");
    eprintln!("not played: there is no {name} on this machine");
    None
}

/// What a program prints that ends well and complains of nothing.
#[track_caller]
fn quiet(command: &mut Command) -> String {
    let (out, complaint) = ended_well(command);
    assert_eq!(complaint.trim(), "", "{command:?}");
    out
}

/// Output and complaints of a program that ends well.
#[track_caller]
fn ended_well(command: &mut Command) -> (String, String) {
    let output: Output = command.output().expect("it runs");
    let [out, complaint] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{complaint}", output.status);
    (out, complaint)
}

/// Documents of a YAML file.
fn documents(yaml: &Path) -> Vec<Value> {
    let script = "import json, sys, yaml\n\
        print(json.dumps([d for d in yaml.safe_load_all(open(sys.argv[1])) if d]))";
    let mut python = tool("python/bin/python").expect("asked before");
    let (text, _) = ended_well(python.args(["-c", script]).arg(yaml));
    serde_json::from_str(&text).expect("JSON")
}

/// The image is built by a file that its linter finds nothing in.
#[test]
fn the_image_is_well_described() {
    let Some(mut linter) = tool("hadolint") else { return };
    assert_eq!(quiet(linter.arg(file("Dockerfile"))), "");
}
