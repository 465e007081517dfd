//! PostgreSQL for tests: a server of a test's own, which it may kill and stop, or a database on the one that all tests
//! share.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, atomic::AtomicU64},
};

use tempfile::TempDir;

use super::{
    ports, programs,
    shared::{self, home, uid},
    wait::until_blocking,
};

/// Name of a role that may do everything; connections from this machine need no password.
const ADMIN: &str = "tester";
const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nmax_connections = 300\nshared_buffers = '32MB'\n\
    autovacuum = off\nmax_wal_size = '256MB'\nlog_min_messages = fatal\n";
/// For tests that ask nothing about durability.
pub const HASTY: &str = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n";

/// Where the machine's PostgreSQL has its programs; `None`: there is none.
pub static PROGRAMS: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(debian.map(|version| version.path().join("bin")));
    places
        .into_iter()
        .find(|place| place.join("initdb").exists() && place.join("postgres").exists())
});

/// Whether tests can have PostgreSQL; says so if not.
#[track_caller]
pub fn is_there() -> bool {
    if PROGRAMS.is_none() {
        programs::missing("postgres");
    }
    PROGRAMS.is_some()
}

/// A server of this test's own, gone with it whatever happens.
pub struct Server {
    child: Child,
    watchdog: Child,
    port: u16,
    folder: TempDir,
    more: String,
}

impl Server {
    /// Starts one that forgets at a crash of the machine, but not at one of its own.
    pub fn start() -> Self {
        Self::with(HASTY)
    }

    /// Starts one that syncs as it does for users.
    pub fn durable() -> Self {
        Self::with("")
    }

    /// Starts one with these settings; the last of a name holds.
    pub fn with(more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("portcullis-pg").tempdir().expect("a folder");
        fill(folder.path());
        let port = ports::free_address().port();
        let (child, watchdog) = spawn(folder.path(), port, more);
        let server = Self { child, watchdog, port, folder, more: more.to_owned() };
        server.await_ready();
        server
    }

    /// A fresh database; the URL has no password, for none is asked.
    pub fn database(&self) -> String {
        create_database(self.port)
    }

    /// The postmaster's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9` for the server and all its sessions.
    pub fn kill(&mut self) {
        let sessions = self.children();
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("kill").arg("-KILL").args(&sessions).stderr(Stdio::null()).status();
        until_blocking("every process of PostgreSQL is gone", || {
            sessions.iter().all(|pid| !alive(pid)).then_some(())
        });
        let _ = fs::remove_file(self.folder.path().join("postmaster.pid"));
    }

    /// Starts it again, on the same port with the same data.
    pub fn restart(&mut self) {
        (self.child, self.watchdog) = spawn(self.folder.path(), self.port, &self.more);
        self.await_ready();
    }

    /// Stops every process of it where it stands, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let mut all = vec![self.pid().to_string()];
        all.extend(self.children());
        let _ = Command::new("kill").arg(signal).args(&all).stderr(Stdio::null()).status();
    }

    fn children(&self) -> Vec<String> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }

    fn await_ready(&self) {
        until_blocking("PostgreSQL answers", || ready(self.port).then_some(()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.freeze(false);
        self.kill();
    }
}

/// A fresh database on the server that all tests share.
pub fn shared_database() -> String {
    create_database(*SHARED)
}

/// The same with the tables that `fill` makes in it: made once for this version of the program, then copied.
pub fn shared_database_filled(version: &str, fill: impl FnOnce(&str)) -> String {
    let (port, name) = (*SHARED, format!("filled_{version}"));
    let lock = shared::lock_file(&home().join("filled.lock"));
    lock.lock().expect("a lock");
    let admin = url(port, "postgres");
    let found = format!("SELECT COUNT(*) FROM pg_database WHERE datname = '{name}'");
    if ask(&admin, &found) == "0" {
        let half = format!("half_{version}");
        ask(&admin, &format!("DROP DATABASE IF EXISTS {half}"));
        ask(&admin, &format!("CREATE DATABASE {half} TEMPLATE template0"));
        fill(&url(port, &half));
        ask(&admin, &format!("ALTER DATABASE {half} RENAME TO {name}"));
    }
    drop(lock);
    create_like(port, &name)
}

/// The shared server's port; one that somebody else looks after, if the environment names it.
static SHARED: LazyLock<u16> = LazyLock::new(|| {
    if let Ok(port) = std::env::var("PORTCULLIS_TEST_POSTGRES_PORT") {
        return port.parse().expect("a port");
    }
    let command = |data: &Path, port: u16| {
        fill(data);
        server_command(data, port, HASTY)
    };
    shared::port_of("postgres", command, ready)
});

/// A process that is not only waited for.
fn alive(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn create_database(port: u16) -> String {
    create_like(port, "template0")
}

fn create_like(port: u16, template: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("t_{}_{number}", std::process::id());
    // Block by block through the log takes longer; before version 15 there was nothing else than this.
    let strategy = if *HAS_STRATEGIES { "STRATEGY FILE_COPY" } else { "" };
    let create = format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}");
    let admin = url(port, "postgres");
    ask_all(&admin, &[&format!("DROP DATABASE IF EXISTS {name}"), &create]);
    url(port, &name)
}

static HAS_STRATEGIES: LazyLock<bool> = LazyLock::new(|| {
    let said = Command::new(program("postgres")).arg("--version").output().expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok());
    version.is_some_and(|major: u32| major >= 15)
});

fn url(port: u16, database: &str) -> String {
    format!("postgres://{ADMIN}@127.0.0.1:{port}/{database}")
}

/// Runs statements and gives what `psql` prints of them.
pub fn ask(url: &str, sql: &str) -> String {
    ask_all(url, &[sql])
}

/// The same, each in a transaction of its own.
fn ask_all(url: &str, all: &[&str]) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(all.iter().flat_map(|sql| ["-c", sql]))
        .arg(url)
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .stdin(Stdio::null())
        .output()
        .expect("psql runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{all:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn ready(port: u16) -> bool {
    let asked = Command::new("psql")
        .args(["-X", "-q", "-c", "SELECT 1", &url(port, "postgres")])
        .env("PGCONNECT_TIMEOUT", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Fills a folder with an empty cluster: made once, then copied.
fn fill(folder: &Path) {
    let home = home();
    let template = home.join("template");
    let lock = shared::lock_file(&home.join("template.lock"));
    lock.lock().expect("a lock");
    if !template.join("done").exists() {
        let _ = fs::remove_dir_all(&template);
        fs::create_dir(&template).expect("make a folder");
        give_away(&template);
        let mut initdb = as_user(&program("initdb"));
        initdb.args(["-U", ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D"]);
        let output = initdb.arg(template.join("data")).output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(template.join("done"), "").expect("note it");
    }
    drop(lock);
    let mut source = template.join("data").into_os_string();
    source.push("/.");
    let copied = Command::new("cp").arg("-a").arg(source).arg(folder).status();
    assert!(copied.expect("cp runs").success());
    give_away(folder);
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
}

/// PostgreSQL does not run as root: then it runs as nobody.
pub fn give_away(folder: &Path) {
    if uid() == 0 {
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(folder).status();
        assert!(given.expect("chown runs").success());
    }
}

fn as_user(program: &Path) -> Command {
    if uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command
}

fn program(name: &str) -> PathBuf {
    PROGRAMS.as_ref().expect("looked for").join(name)
}

fn server_command(data: &Path, port: u16, more: &str) -> Command {
    let settings = data.join("tests.conf");
    let text = format!("{SETTINGS}{more}");
    fs::write(&settings, text).expect("write the settings");
    let main = data.join("postgresql.conf");
    let mut whole = String::new();
    File::open(&main)
        .and_then(|mut file| file.read_to_string(&mut whole))
        .expect("initdb wrote it");
    if !whole.contains("include 'tests.conf'") {
        fs::write(&main, format!("{whole}\ninclude 'tests.conf'\n")).expect("ours");
    }
    give_away(data);
    let mut command = as_user(&program("postgres"));
    command.arg("-D").arg(data).arg("-p").arg(port.to_string());
    command.arg("-k").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn spawn(data: &Path, port: u16, more: &str) -> (Child, Child) {
    let child = server_command(data, port, more).spawn().expect("postgres starts");
    // When our end of the pipe closes, whatever the reason, the server ends and its folder goes.
    let script = "cat >/dev/null; kill -CONT $1 2>/dev/null; kill -QUIT $1 2>/dev/null; i=0; \
                  while kill -0 $1 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done; \
                  kill -KILL $1 2>/dev/null; rm -rf -- \"$2\"";
    let watchdog = Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(child.id().to_string())
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    (child, watchdog)
}
