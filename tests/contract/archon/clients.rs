//! Small replicas of the guide's two SDKs with the libraries they stand on, axios and aiohttp. Each script gets the base URL
//! and an account, exits 0 when all went as its guide says, and says what went wrong otherwise. Where a tool or its library
//! cannot be had, the script is not played.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{
    archon::{PASSWORD, configuration, person},
    gateway::Gateway,
    upstream::Upstream,
};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/archon/clients").join(name)
}

/// A folder with the library in it, fetched once if the registry can be reached.
fn library(fetch: &str, arguments: &[&str], name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("archon-{name}"));
    let marker = folder.join(".fetched");
    if marker.exists() {
        return Some(folder);
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    let done = Command::new(fetch).args(arguments).arg(name).current_dir(&folder).output();
    match done {
        Ok(output) if output.status.success() => {
            std::fs::write(&marker, "").expect("the marker");
            Some(folder)
        }
        _ => {
            eprintln!("{name} cannot be fetched with {fetch}");
            None
        }
    }
}

fn play(program: &str, name: &str, variable: &str, folder: &Path) -> Option<Output> {
    // One of its own: rejected refreshes of one address are counted, and scripts all come from the same.
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream.url(), ""));
    let email = person(&gateway, &["user"]);
    let result = Command::new(program)
        .env(variable, folder)
        .arg(folder.join(name))
        .args([&gateway.url(), &email, PASSWORD])
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
fn the_typescript_sdk_works_and_stops() {
    let fetch = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", "."];
    let Some(folder) = library("npm", &fetch, "axios") else { return };
    // Modules are looked for beside the script.
    std::fs::copy(script("sdk.mjs"), folder.join("sdk.mjs")).expect("copy the script");
    succeeds(play("node", "sdk.mjs", "ARCHON_FOLDER", &folder));
}

#[test]
fn the_python_sdk_works_and_asks_once() {
    let fetch = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "."];
    let Some(folder) = library("python3", &fetch, "aiohttp") else { return };
    std::fs::copy(script("sdk.py"), folder.join("sdk.py")).expect("copy the script");
    succeeds(play("python3", "sdk.py", "PYTHONPATH", &folder));
}
