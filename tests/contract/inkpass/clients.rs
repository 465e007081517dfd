//! The published client library, oldest and newest, unchanged; and a replica of the manual's client. Each script exits 0
//! when all went as its guide says, and says what went wrong otherwise.

use crate::support::{
    inkpass::{SERVICE_KEY, World},
    programs,
};

/// Versions of `inkpass-sdk` on PyPI: the oldest and the newest.
const VERSIONS: [&str; 2] = ["0.1.2", "0.2.0"];

#[test]
fn the_client_of_the_manual_works() {
    let world = World::start("");
    let mut python = programs::any_python();
    python.arg(programs::script("inkpass", "manual.py"));
    programs::play(python.args([&world.gateway.url(), SERVICE_KEY]));
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_published_library_works_oldest_and_newest() {
    for version in VERSIONS {
        // A gateway each: both register from one address.
        let world = World::start("");
        let packages = programs::package(&format!("inkpass/{version}"));
        // The library says itself which one it is.
        let metadata = packages.join(format!("inkpass_sdk-{version}.dist-info"));
        assert!(metadata.is_dir(), "{}", metadata.display());
        let mut python = programs::python();
        python.env("PYTHONPATH", packages).arg(programs::script("inkpass", "sdk.py"));
        programs::play(python.args([&world.gateway.url(), SERVICE_KEY]));
    }
}
