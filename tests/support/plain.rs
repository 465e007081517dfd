//! A blocking client of the operator's socket, for set-up code that may run inside or outside a runtime.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// Status and body.
#[derive(Clone, Debug)]
pub struct Plain {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Plain {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("status {}: {e}: {}", self.status, self.text()))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// One request over a Unix socket.
pub fn ask(socket: &Path, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<Plain> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| io::Error::other("no whole reply"))
}

/// One JSON request.
pub fn ask_json(socket: &Path, method: &str, path: &str, body: &Value) -> io::Result<Plain> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    ask(socket, method, path, "application/json", text.as_bytes())
}

fn parse(bytes: &[u8]) -> Option<Plain> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).to_ascii_lowercase();
    let rest = bytes.get(end + 4..)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(rest)?
    } else {
        let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = line?.trim().parse().ok()?;
        rest.get(..length)?.to_vec()
    };
    Some(Plain { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?.trim(), 16);
        let size = size.ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 4 + size..)?;
    }
}
