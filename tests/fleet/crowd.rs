//! Very many requests with very many credentials, over few connections, every answer looked at.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{
    gateway::Gateway,
    wire::{Wire, connect_from},
};

/// What a credential is shown as.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    Key,
    Session,
}

impl Shown {
    /// A request to a gateway of these tests.
    pub fn request(self, credential: &str) -> Vec<u8> {
        let (path, field) = match self {
            Self::Key => ("/api/v1/tasks/1", format!("x-api-key: {credential}")),
            Self::Session => ("/hh/app/x", format!("cookie: hh_session_id={credential}")),
        };
        format!("GET {path} HTTP/1.1\r\nhost: gate.example\r\n{field}\r\n\r\n").into_bytes()
    }
}

/// What many requests cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU of the gateway for one.
    pub cpu: Duration,
    /// From the first byte sent to the last byte read: of half of them no more.
    pub half: Duration,
}

/// Sends `total` requests over `connections`; `request` makes the bytes of the n-th. Each must be answered with 200.
pub async fn all_pass(
    gateway: &Gateway,
    total: usize,
    connections: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Cost {
    let (next, request) = (Arc::new(AtomicUsize::new(0)), Arc::new(request));
    let times = Arc::new(Mutex::new(Vec::with_capacity(total)));
    let before = cpu(gateway.pid);
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let (next, request, times) = (next.clone(), request.clone(), times.clone());
            let to = gateway.address();
            tokio::spawn(async move {
                let mut own = Vec::new();
                let mut wire = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        break times.lock().unwrap().append(&mut own);
                    }
                    let sent = Instant::now();
                    let status = ask(&mut wire, to, request(number)).await;
                    assert_eq!(status, 200, "request {number}");
                    own.push(sent.elapsed());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("every answer is good");
    }
    let spent = cpu(gateway.pid) - before;
    let mut times = std::mem::take(&mut *times.lock().unwrap());
    times.sort();
    let cpu = spent / u32::try_from(total.max(1)).unwrap();
    Cost { cpu, half: times.get(total / 2).copied().unwrap_or_default() }
}

/// One request over a connection that stays. A connection that was closed between two is made anew once.
async fn ask(
    wire: &mut Option<Wire<tokio::net::TcpStream>>,
    to: SocketAddr,
    bytes: Vec<u8>,
) -> u16 {
    for _ in 0..2 {
        let mut open = match wire.take() {
            Some(open) => open,
            None => connect_from(to, None).await.expect("it listens"),
        };
        if open.try_send(&bytes).await.is_err() {
            continue;
        }
        if let Some(reply) = open.try_reply(false).await {
            if reply.header("connection").is_none_or(|said| !said.contains("close")) {
                *wire = Some(open);
            }
            return reply.status;
        }
    }
    0
}

/// CPU that a process has used so far.
pub fn cpu(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // A hundred ticks a second, on every Linux there is.
    Duration::from_millis(ticks * 10)
}
