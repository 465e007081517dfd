//! Real Redis servers on free ports, in folders of their own, gone when the test is: one, a primary with a replica and three
//! sentinels, or a cluster of three. A machine without `redis-server` says so, and the test is not played.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use tempfile::TempDir;

use super::{gateway::signal, ports, programs, shared, wait::until_blocking};

/// The server that all tests share who ask nothing about it; each has a prefix of its own.
pub fn shared_url() -> String {
    static PORT: LazyLock<u16> = LazyLock::new(|| {
        let command = |data: &Path, port: u16| {
            let mut command = Command::new("redis-server");
            command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]);
            command.arg(port.to_string()).arg("--dir").arg(data);
            command
        };
        let ready = |port| say(([127, 0, 0, 1], port).into(), None, "PING").is_some();
        shared::port_of("redis", command, ready)
    });
    format!("redis://127.0.0.1:{}", *PORT)
}

/// One server.
pub struct Redis {
    pub address: SocketAddr,
    arguments: Vec<String>,
    running: Option<(Child, Child)>,
    folder: TempDir,
    /// What a connection says first, where it must.
    greeting: Option<String>,
    plain: bool,
}

/// Whether this machine can play at all.
#[track_caller]
pub fn is_there() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    programs::missing("redis-server");
    false
}

impl Redis {
    /// A server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further arguments.
    pub fn with(arguments: &[&str]) -> Self {
        Self::in_folder(tempfile::tempdir().expect("a folder"), arguments, None, true)
    }

    /// A server that takes only this user.
    pub fn with_user(name: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("users.acl");
        let rule = format!("user default off\nuser {name} on >{password} ~p:* &p:* +@all\n");
        std::fs::write(&file, rule).expect("write the users");
        let file = file.to_str().expect("UTF-8").to_owned();
        let greeting = Some(format!("AUTH {name} {password}"));
        Self::in_folder(folder, &["--aclfile", &file], greeting, true)
    }

    /// A server that speaks only TLS, with a certificate of these authorities.
    pub fn with_tls(certificate: &str, key: &str, authorities: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("write a file");
            path.to_str().expect("UTF-8").to_owned()
        };
        let (cert, key) = (put("cert.pem", certificate), put("key.pem", key));
        let ca = put("ca.pem", authorities);
        let arguments = [
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
        ];
        Self::in_folder(folder, &arguments, None, false)
    }

    fn in_folder(
        folder: TempDir,
        arguments: &[&str],
        greeting: Option<String>,
        plain: bool,
    ) -> Self {
        let address = ports::free_address();
        let port = address.port().to_string();
        let mut all = vec!["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"];
        match plain {
            true => all.extend(["--port", &port]),
            false => all.extend(["--port", "0", "--tls-port", &port]),
        }
        all.extend(arguments);
        let arguments = all.into_iter().map(str::to_owned).collect();
        let mut server = Self { address, arguments, running: None, folder, greeting, plain };
        server.again();
        server
    }

    /// Starts it where it was.
    pub fn again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.running = Some(spawn(self.folder.path(), &self.arguments, &[]));
        let address = self.address;
        if self.plain {
            until_blocking("redis answers", || {
                self.try_ask("PING").filter(|said| said.contains("PONG"))
            });
        } else {
            until_blocking("redis listens", || TcpStream::connect(address).ok());
        }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        end(&mut self.running);
    }

    /// It stands still, and its connections stay open.
    pub fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    pub fn go_on(&self) {
        signal(self.pid(), "CONT");
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().expect("it runs").0.id()
    }

    /// One command, its answer as it stands on the wire.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|| panic!("no answer to {command}"))
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        say(self.address, self.greeting.as_deref(), command)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.running);
    }
}

/// A primary, its replica, and three sentinels that watch them.
pub struct Watched {
    pub primary: Redis,
    pub replica: Redis,
    sentinels: Vec<Redis>,
}

impl Watched {
    pub fn start() -> Self {
        let primary = Redis::start();
        let port = primary.address.port().to_string();
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &port]);
        until_blocking("the replica follows", || {
            replica.ask("INFO replication").contains("master_link_status:up").then_some(())
        });
        let sentinels = (0..3).map(|_| sentinel(&port)).collect();
        let watched = Self { primary, replica, sentinels };
        until_blocking("the sentinels know each other", || {
            let knows = |one: &Redis| {
                let said = one.ask("SENTINEL master main");
                let after = |name: &str| {
                    let mut lines = said.lines().skip_while(|line| *line != name);
                    lines.nth(2).map(str::to_owned)
                };
                after("num-other-sentinels").as_deref() == Some("2")
                    && after("num-slaves").as_deref() == Some("1")
            };
            watched.sentinels.iter().all(knows).then_some(())
        });
        watched
    }

    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(|one| one.address.to_string()).collect()
    }

    /// Waits until the sentinels made the replica the primary.
    pub fn until_failed_over(&self) {
        until_blocking("the replica is the primary", || {
            self.replica.ask("ROLE").contains("master").then_some(())
        });
    }
}

fn sentinel(port: &str) -> Redis {
    let folder = tempfile::tempdir().expect("a folder");
    let address = ports::free_address();
    let text = format!(
        "port {}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {port} 2\n\
         sentinel down-after-milliseconds main 400\nsentinel failover-timeout main 2000\n",
        address.port()
    );
    let file = folder.path().join("sentinel.conf");
    std::fs::write(&file, text).expect("write the configuration");
    let arguments = vec![file.to_str().expect("UTF-8").to_owned(), "--sentinel".to_owned()];
    let mut server =
        Redis { address, arguments, running: None, folder, greeting: None, plain: true };
    server.again();
    server
}

/// Three nodes that share the slots.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    pub fn start() -> Self {
        let node = |_| {
            // The bus is by default 10,000 above, where somebody else may be.
            let bus = ports::free_address().port().to_string();
            let limits = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            let mut arguments = limits.to_vec();
            arguments.extend(["--cluster-port", &bus]);
            (Redis::with(&arguments), bus)
        };
        let nodes: Vec<(Redis, String)> = (0..3).map(node).collect();
        let slots = ["0 5460", "5461 10922", "10923 16383"];
        for ((node, _), range) in nodes.iter().zip(slots) {
            assert!(node.ask(&format!("CLUSTER ADDSLOTSRANGE {range}")).starts_with("+OK"));
        }
        for (number, (node, _)) in nodes.iter().enumerate() {
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        }
        let first = &nodes[0].0;
        for (node, bus) in &nodes[1..] {
            first.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.address.port()));
        }
        let nodes: Vec<Redis> = nodes.into_iter().map(|(node, _)| node).collect();
        until_blocking("the cluster stands", || {
            let stands = |node: &Redis| {
                let info = node.ask("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            nodes.iter().all(stands).then_some(())
        });
        Self { nodes }
    }

    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address.to_string()).collect()
    }
}

fn spawn(folder: &Path, arguments: &[String], environment: &[(&str, &str)]) -> (Child, Child) {
    let mut command = Command::new("redis-server");
    // A configuration file comes before all else.
    let server = command
        .args(arguments)
        .args(["--dir", folder.to_str().expect("UTF-8")])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    // Should the test itself be killed, its end of the pipe closes.
    let watchdog = Command::new("sh")
        .args(["-c", "cat >/dev/null; kill -KILL $1 2>/dev/null", "watchdog"])
        .arg(server.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    (server, watchdog)
}

fn end(running: &mut Option<(Child, Child)>) {
    if let Some((mut server, mut watchdog)) = running.take() {
        let _ = server.kill();
        let _ = server.wait();
        let _ = watchdog.kill();
        let _ = watchdog.wait();
    }
}

/// One command over a connection of its own.
fn say(address: SocketAddr, greeting: Option<&str>, command: &str) -> Option<String> {
    let wait = Duration::from_secs(5);
    let mut link = TcpStream::connect_timeout(&address, wait).ok()?;
    link.set_read_timeout(Some(wait)).ok()?;
    let mut reader = BufReader::new(link.try_clone().ok()?);
    if let Some(greeting) = greeting {
        link.write_all(format!("{greeting}\r\n").as_bytes()).ok()?;
        reply(&mut reader)?;
    }
    link.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    reply(&mut reader)
}

/// One answer with all its parts, a line each.
fn reply(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let number = || line.get(1..).and_then(|rest| rest.trim().parse::<i64>().ok());
    match line.as_bytes().first()? {
        b'$' => {
            let Ok(length) = usize::try_from(number()?) else { return Some(line) };
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            line.push_str(&text);
            Some(format!("{}\n", text.trim_end()))
        }
        b'*' => {
            let mut all = String::new();
            for _ in 0..number()? {
                all.push_str(&reply(reader)?);
                all.push('\n');
            }
            Some(all)
        }
        _ => Some(line),
    }
}
