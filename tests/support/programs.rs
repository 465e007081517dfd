//! Programs of other people that tests play. `scripts/programs.sh` puts what they stand on under `target/programs`; tests
//! that need it are ignored, and `make test` plays them where it is. With `PORTCULLIS_PROGRAMS=all` a missing tool is a
//! failure.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A file of `target/programs`.
#[track_caller]
pub fn package(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/programs").join(name);
    assert!(path.exists(), "{} is not there: scripts/programs.sh", path.display());
    path
}

/// A program that lies beside the tests of a contract.
pub fn script(contract: &str, name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    tests.join(contract).join("clients").join(name)
}

/// A command that talks to loopback directly, and leaves nothing beside its scripts.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Python with the packages.
#[track_caller]
pub fn python() -> Command {
    command(package("python/bin/python"))
}

/// Python with the packages where they are, else the machine's own: for programs that do without.
pub fn any_python() -> Command {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/programs/python/bin/python");
    if own.exists() { command(own) } else { command("python3") }
}

/// Node with a script of a contract. Modules are looked for beside the script, so a copy of it lies there.
#[track_caller]
pub fn node(contract: &str, name: &str) -> Command {
    let copy = package("node/node_modules").with_file_name(format!("{contract}-{name}"));
    std::fs::copy(script(contract, name), &copy).expect("copy the script");
    let mut command = command("node");
    command.arg(copy);
    command
}

/// Runs it to its end, which must be a success. `false`, and a message: the machine has no such program.
#[track_caller]
pub fn play(command: &mut Command) -> bool {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}\n{}", said(&output));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            missing(&command.get_program().to_string_lossy());
            false
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// Says that something cannot be played here; a failure where everything was asked for.
#[track_caller]
pub fn missing(tool: &str) {
    let all = std::env::var("PORTCULLIS_PROGRAMS").is_ok_and(|wanted| wanted == "all");
    assert!(!all, "{tool} is not on this machine: scripts/programs.sh installs it");
    eprintln!("not played: there is no {tool} on this machine");
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{out}\n{err}", output.status)
}
