//! A server that all tests of a run share: started by whoever needs it first, gone some seconds after the last test that
//! used it, however that ended.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{ports, wait::until_blocking};

/// Folder of this user for what tests share.
pub fn home() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portcullis-tests-{}", uid()));
    fs::create_dir_all(&folder).expect("make a folder");
    folder
}

/// The port of the server with this name. This process counts among its users until it ends.
pub fn port_of(
    name: &str,
    command: impl FnOnce(&Path, u16) -> Command,
    ready: impl Fn(u16) -> bool,
) -> u16 {
    let home = home();
    let users = lock_file(&home.join(format!("{name}.users.lock")));
    users.lock_shared().expect("a lock");
    // Held as long as the process lives.
    std::mem::forget(users);
    let starting = lock_file(&home.join(format!("{name}.starting.lock")));
    starting.lock().expect("a lock");
    let note = home.join(format!("{name}.port"));
    if let Some(port) = fs::read_to_string(&note).ok().and_then(|text| text.trim().parse().ok())
        && ready(port)
    {
        return port;
    }
    let data = home.join(format!("{name}.data"));
    let _ = fs::remove_dir_all(&data);
    fs::create_dir(&data).expect("make a folder");
    let port = ports::free_address().port();
    let server = command(&data, port);
    // Nobody's child: it outlives the test that starts it, and ends when no test has the lock any more. What is started in
    // the background is deaf to QUIT, unless it listens to it by itself.
    let script = "exec </dev/null >/dev/null 2>&1; lock=$1; shift; \"$@\" & pid=$!; \
                  while sleep 5; do flock -n -x \"$lock\" sh -c \"kill -QUIT $pid; kill -TERM $pid; \
                  while kill -0 $pid 2>/dev/null; do sleep 0.1; done\" && exit; done";
    let mut watchdog = Command::new("setsid");
    watchdog.args(["--fork", "sh", "-c", script, "watchdog"]);
    watchdog.arg(home.join(format!("{name}.users.lock")));
    watchdog.arg(server.get_program()).args(server.get_args());
    watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(watchdog.status().expect("setsid runs").success());
    until_blocking("the shared server answers", || ready(port).then_some(()));
    fs::write(note, port.to_string()).expect("note the port");
    port
}

/// A file whose only use is its lock.
pub fn lock_file(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a lock file")
}

/// Whose process this is.
pub fn uid() -> u32 {
    let meta = fs::metadata("/proc/self").expect("Linux tells");
    std::os::unix::fs::MetadataExt::uid(&meta)
}
