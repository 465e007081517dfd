//! The published client library, oldest and newest, unchanged; and a replica of the manual's client on the standard
//! library. Each script exits 0 when all went as its guide says, and says what went wrong otherwise.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::inkpass::{SERVICE_KEY, World};

/// Versions of `inkpass-sdk` on PyPI: the oldest and the newest.
const VERSIONS: [&str; 2] = ["0.1.2", "0.2.0"];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/inkpass/clients").join(name)
}

/// Runs a script; `false` when the machine cannot.
fn play(name: &str, packages: Option<&Path>) -> bool {
    let mut command = Command::new("python3");
    // A gateway each: all of them register from one address.
    let world = World::start("");
    command.arg("-B").arg(script(name)).arg(world.gateway.url()).arg(SERVICE_KEY);
    if let Some(packages) = packages {
        command.env("PYTHONPATH", packages);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("python3 is not installed; {name} was not played");
            return false;
        }
        Err(error) => panic!("python3: {error}"),
    };
    assert!(
        output.status.success(),
        "{name}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn the_client_of_the_manual_works() {
    play("manual.py", None);
}

/// Set `INKPASS_SDK` to a folder in which `pip install --target VERSION inkpass-sdk==VERSION fastapi` was run for each
/// version: the library imports fastapi without asking for it.
#[test]
#[ignore = "INKPASS_SDK must name a folder with the published versions"]
fn the_published_library_works_oldest_and_newest() {
    let folder = std::env::var_os("INKPASS_SDK").map(PathBuf::from).expect("INKPASS_SDK is set");
    for version in VERSIONS {
        let packages = folder.join(version);
        assert!(packages.join("inkpass_sdk").is_dir(), "{} lacks it", packages.display());
        play("sdk.py", Some(&packages));
    }
}
