//! The real binary as a child process: started on free ports, watched, killed at the end whatever happens.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    client::Client,
    plain, ports,
    wait::{PATIENCE, until_blocking},
};

/// The program under test: the one built with the tests, or what `PORTCULLIS_BINARY` names.
pub static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = env!("CARGO_BIN_EXE_portcullis");
    std::env::var_os("PORTCULLIS_BINARY").map_or_else(|| built.into(), PathBuf::from)
});

const ATTEMPTS: usize = 6;

/// Places a test configuration names; all fresh.
#[derive(Clone, Debug)]
pub struct Places {
    pub public: SocketAddr,
    pub operator: SocketAddr,
    pub data: PathBuf,
    pub dir: PathBuf,
}

/// Lines a child wrote, as they come.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn gather(source: impl Read + Send + 'static) -> Self {
        let lines = Lines::default();
        let own = lines.clone();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            while source.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                super::canary::look_at(&text);
                own.0.lock().expect("no panic inside").push(text);
                bytes.clear();
            }
        });
        lines
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic inside").clone()
    }

    pub fn text(&self) -> String {
        self.all().join("\n")
    }
}

/// A running gateway.
pub struct Gateway {
    child: Mutex<Child>,
    watchdog: Child,
    /// The edge node in front, where planes are apart in all tests.
    front: Option<Box<Gateway>>,
    pub pid: u32,
    pub stdout: Lines,
    pub stderr: Lines,
    pub places: Places,
    /// The effective configuration file.
    pub config: PathBuf,
    /// The operator's token, once known.
    pub token: String,
    /// The operator's socket.
    pub socket: PathBuf,
    /// What the demo printed; `Null` for `serve`.
    pub facts: Value,
    // Last: the folder goes when the process is gone.
    _folder: Option<TempDir>,
}

pub enum Start {
    Up(Box<Gateway>),
    PortTaken,
}

impl Gateway {
    /// `serve` with a configuration written for fresh places. Ready when this returns.
    pub fn start(configuration: impl Fn(&Places) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for _ in 0..ATTEMPTS {
            let places = fresh_places(folder.path());
            let text = configuration(&places);
            if let Start::Up(mut gateway) = super::planes::serve_as_wanted(places, &text) {
                gateway._folder = Some(folder);
                return *gateway;
            }
        }
        panic!("no free ports after {ATTEMPTS} attempts");
    }

    /// `serve` in a folder and at places that the test keeps, for starting again after a stop or a kill.
    pub fn start_in(places: &Places, configuration: &str) -> Self {
        for _ in 0..ATTEMPTS {
            if let Start::Up(gateway) =
                super::planes::serve_as_wanted(places.clone(), configuration)
            {
                return *gateway;
            }
        }
        panic!("the ports stay taken");
    }

    /// `serve` as one plane in a folder and at places that the test keeps.
    pub fn start_plane(places: &Places, configuration: &str, plane: &str) -> Self {
        for _ in 0..ATTEMPTS {
            if let Start::Up(gateway) = serve(places.clone(), configuration, Some(plane)) {
                return *gateway;
            }
        }
        panic!("the ports stay taken");
    }

    /// Puts another one in front: signals, and the end, are for both.
    pub fn behind(mut self, front: Gateway) -> Self {
        self.front = Some(Box::new(front));
        self
    }

    /// `demo` in a fresh folder. Ready when this returns.
    pub fn demo(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("demo");
        let mut gateway = Self::demo_watched(&dir, folder.path(), arguments);
        gateway._folder = Some(folder);
        gateway
    }

    /// `demo` in a folder that the test keeps.
    pub fn demo_in(dir: &Path, arguments: &[&str]) -> Self {
        Self::demo_watched(dir, dir, arguments)
    }

    fn demo_watched(dir: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let dir_text = dir.to_str().expect("a UTF-8 path");
        let sets = super::fleet::overrides(folder);
        for _ in 0..ATTEMPTS {
            let offset = ports::free_offset().to_string();
            let mut all =
                vec!["demo", "--output", "json", "--dir", dir_text, "--port-offset", &offset];
            all.extend_from_slice(arguments);
            all.extend(sets.iter().map(String::as_str));
            if let Start::Up(gateway) = demo(&all, dir, folder) {
                return *gateway;
            }
        }
        panic!("no free ports after {ATTEMPTS} attempts");
    }

    /// The first public listener.
    pub fn address(&self) -> SocketAddr {
        self.places.public
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.places.public)
    }

    pub fn operator_url(&self) -> String {
        format!("http://{}", self.places.operator)
    }

    /// A client of the operator API over TCP, with the token.
    pub fn operator(&self) -> Client {
        Client::at(&self.operator_url()).bearer(&self.token)
    }

    /// Everything written so far, for failure messages and searches.
    pub fn output(&self) -> String {
        let front = self.front.as_ref().map(|front| front.output()).unwrap_or_default();
        format!("{front}{}\n{}", self.stdout.text(), self.stderr.text())
    }

    /// Log lines that are JSON objects.
    pub fn log(&self) -> Vec<Value> {
        let front = self.front.iter().flat_map(|front| front.stdout.all());
        let lines = front.chain(self.stdout.all()).chain(self.stderr.all());
        lines
            .filter_map(|line| serde_json::from_str(&line).ok())
            .filter(|value: &Value| value.is_object() && value.get("ready").is_none())
            .collect()
    }

    /// A command line of the program against this gateway.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with("", arguments)
    }

    /// The same with something on standard input.
    pub fn cli_with(&self, input: &str, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        let config = self.config.to_str().expect("a UTF-8 path");
        all.extend_from_slice(&["--config", config]);
        run_with(input, &all)
    }

    /// A command that must succeed; its standard output.
    #[track_caller]
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        succeeded(arguments, &self.cli(arguments))
    }

    /// The same, which must succeed and print JSON.
    #[track_caller]
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend_from_slice(&["--output", "json"]);
        let text = self.cli_ok(&all);
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("{all:?} printed no JSON ({e}): {text}"))
    }

    pub fn signal(&self, name: &str) {
        self.front.iter().for_each(|front| front.signal(name));
        signal(self.pid, name);
    }

    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&self) {
        self.front.iter().for_each(|front| front.kill());
        let mut child = self.child.lock().expect("no panic inside");
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The exit status, if it ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().expect("no panic inside").try_wait().expect("our own child")
    }

    /// Waits for the end.
    pub fn wait(&self) -> ExitStatus {
        until_blocking("the gateway ends", || self.ended())
    }

    /// SIGTERM and wait.
    pub fn stop(&self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        memory_field(self.pid, "VmRSS:")
    }

    /// Resident memory in KiB without pages of files: code, above all, of which a debug build has more with each line.
    pub fn data_kib(&self) -> u64 {
        self.resident_kib().saturating_sub(memory_field(self.pid, "RssFile:"))
    }

    /// Forgets the highest resident memory so far.
    pub fn reset_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").expect("it is our child");
    }

    /// Highest resident memory since the start or the last reset in KiB.
    pub fn peak_kib(&self) -> u64 {
        memory_field(self.pid, "VmHWM:")
    }

    /// `/readyz` as JSON, whatever its status.
    pub async fn readyz(&self) -> (u16, Value) {
        let reply = self.operator().get("/readyz").await;
        (reply.status, reply.try_json().unwrap_or(Value::Null))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(40).collect();
            eprintln!("--- last lines of the gateway, newest first ---");
            for line in tail {
                eprintln!("{line}");
            }
        }
    }
}

/// Runs the program to its end.
pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    run_with("", arguments)
}

/// The same with something on standard input.
pub fn run_with<S: AsRef<OsStr>>(input: &str, arguments: &[S]) -> Output {
    let mut child = Command::new(&*BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read it may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

/// The standard output of a command that must have succeeded.
#[track_caller]
pub fn succeeded(what: &[&str], output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what:?}: {}\n{text}\n{complaint}", output.status);
    text
}

/// Everything a command said on either stream.
pub fn said(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill runs").success(), "kill -{name} {pid}");
}

pub fn fresh_places(dir: &Path) -> Places {
    Places {
        public: ports::free_address(),
        operator: ports::free_address(),
        data: dir.join("data"),
        dir: dir.to_owned(),
    }
}

/// Where a test puts the authorities that a gateway is to trust in place of the machine's, before it starts.
pub const AUTHORITIES: &str = "authorities.pem";

fn spawn(arguments: &[&str], folder: &Path) -> (Child, Child) {
    let authorities = Some(folder.join(AUTHORITIES)).filter(|file| file.exists());
    let child = Command::new(&*BINARY)
        .args(arguments)
        .envs(authorities.map(|file| ("SSL_CERT_FILE", file)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Shared gateways live in statics, which are never dropped: when our end of the pipe closes, whatever the reason,
    // the watchdog ends the gateway and removes its folder.
    let script = "cat >/dev/null; kill -TERM $1 2>/dev/null; i=0; \
                  while kill -0 $1 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done; \
                  kill -KILL $1 2>/dev/null; rm -rf -- \"$2\"";
    let watchdog = Command::new("sh")
        .args(["-c", script, "watchdog"])
        .arg(child.id().to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    (child, watchdog)
}

pub fn serve(places: Places, text: &str, plane: Option<&str>) -> Start {
    let config = places.dir.join("portcullis.toml");
    // An edge node has no store of any kind.
    let text = match plane {
        Some("edge") => text.to_owned(),
        _ => super::fleet::with_database(&places.dir, text),
    };
    std::fs::write(&config, text).expect("write the configuration");
    let path = config.to_str().expect("a UTF-8 path").to_owned();
    let mut arguments = vec!["serve", "--config", &path];
    arguments.extend(plane.iter().flat_map(|plane| ["--plane", plane]));
    let (mut child, watchdog) = spawn(&arguments, &places.dir);
    let stdout = Lines::gather(child.stdout.take().expect("piped"));
    let stderr = Lines::gather(child.stderr.take().expect("piped"));
    let gateway = Gateway {
        pid: child.id(),
        child: Mutex::new(child),
        watchdog,
        stdout,
        stderr,
        socket: places.data.join("operator.sock"),
        token: String::new(),
        config,
        places,
        facts: Value::Null,
        front: None,
        _folder: None,
    };
    await_ready(gateway, plane != Some("identity"))
}

/// Polls the operator's socket until it says ready and the public port answers.
fn await_ready(mut gateway: Gateway, public: bool) -> Start {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(status) = gateway.ended() {
            if port_is_taken(&gateway.output()) {
                return Start::PortTaken;
            }
            panic!("the gateway ended with {status}:\n{}", gateway.output());
        }
        if is_ready(&gateway, public) {
            break;
        }
        assert!(std::time::Instant::now() < end, "never ready:\n{}", gateway.output());
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway.token = super::conf::OPERATOR_TOKEN.to_owned();
    Start::Up(Box::new(gateway))
}

fn is_ready(gateway: &Gateway, public: bool) -> bool {
    let reply = plain::ask(&gateway.socket, "GET", "/readyz", "application/json", b"");
    reply.is_ok_and(|reply| reply.status == 200)
        && (!public || std::net::TcpStream::connect(gateway.places.public).is_ok())
}

fn demo(arguments: &[&str], dir: &Path, folder: &Path) -> Start {
    let (mut child, watchdog) = spawn(arguments, folder);
    let stdout = Lines::gather(child.stdout.take().expect("piped"));
    let stderr = Lines::gather(child.stderr.take().expect("piped"));
    let placeholder: SocketAddr = ([127, 0, 0, 1], 0).into();
    let places = Places {
        public: placeholder,
        operator: placeholder,
        data: dir.to_owned(),
        dir: dir.to_owned(),
    };
    let mut gateway = Gateway {
        pid: child.id(),
        child: Mutex::new(child),
        watchdog,
        stdout,
        stderr,
        socket: PathBuf::new(),
        token: String::new(),
        config: PathBuf::new(),
        places,
        facts: Value::Null,
        front: None,
        _folder: None,
    };
    let line = until_blocking("the demo says it is ready", || {
        if let Some(line) = gateway.stdout.all().first() {
            return Some(Some(line.clone()));
        }
        gateway.ended().map(|_| None)
    });
    let Some(line) = line else {
        if port_is_taken(&gateway.output()) {
            return Start::PortTaken;
        }
        panic!("the demo ended without a word on stdout:\n{}", gateway.output());
    };
    let facts: Value = serde_json::from_str(&line)
        .unwrap_or_else(|e| panic!("the demo's line is no JSON ({e}): {line}"));
    let text = |pointer: &str| {
        let value = facts.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("the demo's line lacks {pointer}: {line}")).to_owned()
    };
    gateway.places.public = address_of(&text("/mounts/tmws/url"));
    gateway.places.operator = address_of(&text("/operator/url"));
    gateway.token = text("/operator/token");
    gateway.socket = PathBuf::from(text("/operator/socket"));
    gateway.config = PathBuf::from(text("/config"));
    gateway.facts = facts;
    Start::Up(Box::new(gateway))
}

fn address_of(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("not a plain URL: {url}"));
    rest.parse().unwrap_or_else(|e| panic!("{url}: {e}"))
}

fn port_is_taken(output: &str) -> bool {
    let text = output.to_lowercase();
    text.contains("address already in use") || text.contains("address in use")
}

fn memory_field(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("Linux tells");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
