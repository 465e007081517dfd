//! The same attacks in front of real servers, and behind real proxies.
//!
//! A server of which the machine has no copy is left out with a line that says so; `make test-security` installs them
//! all and sets `PORTCULLIS_ORIGINS=all`, with which a missing one is a failure.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::{
    bench::Bench,
    bypass, cases, desync,
    support::{ports, upstream::Upstream, wait},
};

/// Cases at once behind a proxy.
const AT_ONCE: usize = 24;

/// A server as a child process.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first, so that it can end its own workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..40 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a tool is there. Missing ones are told, or fail where all are asked for.
pub fn has(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    let all = std::env::var("PORTCULLIS_ORIGINS").is_ok_and(|wanted| wanted == "all");
    assert!(found || !all, "{tool} is not installed");
    if !found {
        eprintln!("left out: {tool} is not installed");
    }
    found
}

/// Starts `command`, after `write` has put its files into a fresh folder, and waits until it takes connections.
pub fn start(
    write: impl Fn(&Path, SocketAddr),
    command: impl Fn(&Path, SocketAddr) -> Command,
) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let address = ports::free_address();
    write(folder.path(), address);
    let child = command(folder.path(), address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let server = Server { child, address, folder };
    wait::until_blocking("the server answers", || std::net::TcpStream::connect(address).ok());
    server
}

pub fn run(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

pub fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

/// nginx as a proxy to `to`; what has `hidden` in its path stops there.
fn nginx(to: SocketAddr) -> Server {
    let write = move |folder: &Path, own: SocketAddr| {
        let text = format!(
            "daemon off; master_process off; pid {pid}; error_log {log};
events {{}}
http {{
  access_log off; client_max_body_size 20m; underscores_in_headers on; ignore_invalid_headers off;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen {own}; merge_slashes off;
    location ~ hidden {{ return 403; }}
    location / {{ proxy_pass http://{to}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_request_buffering off; }} }}
}}",
            pid = path(folder, "pid"),
            log = path(folder, "log"),
            dir = folder.display(),
        );
        fs::write(folder.join("conf"), text).expect("write");
    };
    start(write, |folder, _| run("nginx", &["-p", &path(folder, ""), "-c", &path(folder, "conf")]))
}

fn haproxy(to: SocketAddr) -> Server {
    let write = move |folder: &Path, own: SocketAddr| {
        let text = format!(
            "global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend front
  bind {own}
  http-request deny deny_status 403 if {{ path_sub hidden }}
  default_backend back
backend back
  server one {to}
"
        );
        fs::write(folder.join("conf"), text).expect("write");
    };
    start(write, |folder, _| run("haproxy", &["-db", "-f", &path(folder, "conf")]))
}

fn apache(to: SocketAddr) -> Server {
    let write = move |folder: &Path, own: SocketAddr| {
        let modules = "/usr/lib/apache2/modules";
        let load: String = ["mpm_event", "authz_core", "proxy", "proxy_http"]
            .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
            .concat();
        let text = format!(
            "{load}ServerRoot {dir}\nServerName a\nListen {own}\nPidFile {dir}/pid\nDefaultRuntimeDir {dir}\n\
             ErrorLog {dir}/log\nUser daemon\nGroup daemon\nAllowEncodedSlashes NoDecode\n\
             ProxyPass / http://{to}/ nocanon\n",
            dir = folder.display()
        );
        fs::write(folder.join("conf"), text).expect("write");
    };
    start(write, |folder, _| run("apache2", &["-DFOREGROUND", "-f", &path(folder, "conf")]))
}

const NODE: &str = r#"
const fs = require('fs'), http = require('http'), crypto = require('crypto');
const [host, port] = process.argv[2].split(':');
http.createServer({ maxHeaderSize: 65536 }, (request, reply) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    const line = `${request.method} ${request.url} HTTP/1.1`;
    fs.appendFileSync(process.argv[3], JSON.stringify({ line, mark: request.headers['x-case'], body: body.toString('latin1') }) + '\n');
    reply.end('{}');
  });
}).listen(Number(port), host);
"#;

const PYTHON: &str = r#"
import json, os
def app(environ, start):
    body = environ['wsgi.input'].read()
    line = environ['REQUEST_METHOD'] + ' ' + environ['RAW_URI'] + ' HTTP/1.1'
    with open(os.environ['SEEN'], 'a') as out:
        out.write(json.dumps({'line': line, 'mark': environ.get('HTTP_X_CASE'), 'body': body.decode('latin1')}) + '\n')
    start('200 OK', [('Content-Length', '2')])
    return [b'{}']
"#;

fn node() -> Server {
    let write = |folder: &Path, _| fs::write(folder.join("app.js"), NODE).expect("write");
    start(write, |folder, own| {
        run("node", &[&path(folder, "app.js"), &own.to_string(), &path(folder, "seen")])
    })
}

fn gunicorn() -> Server {
    let write = |folder: &Path, _| fs::write(folder.join("app.py"), PYTHON).expect("write");
    start(write, |folder, own| {
        let mut command =
            run("gunicorn", &["-b", &own.to_string(), "--chdir", &path(folder, ""), "app:app"]);
        command.env("SEEN", path(folder, "seen"));
        command
    })
}

impl Server {
    /// What a server that keeps a list has read of a case.
    fn taken(&self, case: &str) -> Vec<(String, Vec<u8>)> {
        let text = fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        let latin =
            |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line"))
            .filter(|seen| seen["mark"] == case)
            .map(|seen| {
                (seen["line"].as_str().unwrap().to_owned(), latin(seen["body"].as_str().unwrap()))
            })
            .collect()
    }
}

/// Client, gateway, server. A server may refuse what we take, but never see something else.
async fn in_front(server: SocketAddr, taken: impl Fn(&str) -> Vec<(String, Vec<u8>)>) {
    let gateway = desync::gateway(server);
    let mut found = Vec::new();
    for trial in desync::trials(&gateway.address().to_string()) {
        let (reply, closed) = desync::send(gateway.address(), &trial.bytes).await;
        let seen = taken(&trial.case);
        // What the server itself refuses is none of our doing.
        let theirs = reply.as_ref().is_some_and(|reply| reply.header("x-request-id").is_some());
        let status = reply.as_ref().map_or(0, |reply| reply.status);
        if theirs && seen.is_empty() && status >= 400 && trial.tier == "Compliant" {
            continue;
        }
        found.extend(desync::faults(&trial, reply.as_ref(), closed, &seen));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

async fn in_front_of_proxy(make: impl Fn(SocketAddr) -> Server) {
    let echo = Upstream::start();
    let server = make(echo.address);
    in_front(server.address, |case| desync::read(&echo.seen(), case)).await;
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_reads_what_was_authorised() {
    if has("nginx") {
        in_front_of_proxy(nginx).await;
    }
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_reads_what_was_authorised() {
    if has("haproxy") {
        in_front_of_proxy(haproxy).await;
    }
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apache_reads_what_was_authorised() {
    if has("apache2") {
        in_front_of_proxy(apache).await;
    }
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_reads_what_was_authorised() {
    if has("node") {
        let server = node();
        in_front(server.address, |case| server.taken(case)).await;
    }
}

// requirement: 15
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gunicorn_reads_what_was_authorised() {
    if has("gunicorn") {
        let server = gunicorn();
        in_front(server.address, |case| server.taken(case)).await;
    }
}

/// Client, proxy, gateway: what the proxy stops must not come to life behind us, and the corpus finds no way either.
async fn behind(make: impl Fn(SocketAddr) -> Server) {
    let bench = Arc::new(Bench::start());
    let front = make(bench.gateway.address());
    let to = front.address;
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for trial in desync::trials(&to.to_string()) {
        let gate = Arc::clone(&gate);
        running.push(tokio::spawn(async move {
            let _permit = gate.acquire_owned().await.expect("never closed");
            drop(desync::send(to, &trial.bytes).await);
        }));
    }
    for case in cases::all() {
        let (gate, bench) = (Arc::clone(&gate), Arc::clone(&bench));
        running.push(tokio::spawn(async move {
            let _permit = gate.acquire_owned().await.expect("never closed");
            bypass::send_only(&bench, to, &case).await;
        }));
    }
    for one in running {
        one.await.expect("no case panics");
    }
    let faults = bypass::judge_everything(&bench).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

// requirement: 15, 18, 20
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_by_behind_nginx() {
    if has("nginx") {
        behind(nginx).await;
    }
}

// requirement: 15, 18, 20
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_by_behind_haproxy() {
    if has("haproxy") {
        behind(haproxy).await;
    }
}
