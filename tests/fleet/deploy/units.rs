//! The units of systemd, by its own verifier.

use std::{fs, path::Path, process::Command};

use super::{ended_well, file};
use crate::support::{gateway, programs};

/// A folder with the unit and, for a plane, its drop-in; the program is the one under test.
fn folder(dropin: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |from: &str, to: &Path| {
        let text = fs::read_to_string(file(from)).expect("a file of ours");
        fs::write(to, text.replace("/usr/bin/portcullis", &gateway::BINARY.display().to_string()))
            .expect("write it");
    };
    put("systemd/portcullis.service", &folder.path().join("portcullis.service"));
    if let Some(name) = dropin {
        let inside = folder.path().join("portcullis.service.d");
        fs::create_dir(&inside).expect("make a folder");
        put(&format!("systemd/{name}.conf"), &inside.join(format!("{name}.conf")));
    }
    folder
}

/// `systemd-analyze` over the unit in the folder; `None` where there is none.
fn analyze(folder: &Path, arguments: &[&str]) -> Option<(String, String)> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        programs::missing("systemd-analyze");
        return None;
    }
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(folder.join("portcullis.service"));
    // What stands in the folder, and then the system's own.
    let path = format!("{}:", folder.display());
    Some(ended_well(command.arg("--no-pager").env("SYSTEMD_UNIT_PATH", path)))
}

#[test]
fn systemd_finds_nothing_in_the_unit_and_the_drop_ins() {
    for plane in [None, Some("edge"), Some("identity")] {
        let folder = folder(plane);
        let Some((out, complaint)) = analyze(folder.path(), &["verify"]) else { return };
        assert_eq!((out.as_str(), complaint.as_str()), ("", ""), "{plane:?}");
    }
}

/// The verifier is one that sees mistakes, and it sees those of the drop-ins.
#[test]
fn systemd_finds_a_mistake_in_a_drop_in() {
    let folder = folder(Some("edge"));
    let path = folder.path().join("portcullis.service.d/edge.conf");
    let text = fs::read_to_string(&path).expect("written");
    fs::write(&path, text.replace("ExecStart=", "ExecBegin=")).expect("write it");
    let Some((_, complaint)) = analyze(folder.path(), &["verify"]) else { return };
    assert!(complaint.contains("ExecBegin"), "{complaint}");
}
