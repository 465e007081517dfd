//! Honest traffic: so many requests a second over a few connections, each timed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::support::{tmws::fresh_address, wire};

const CONNECTIONS: usize = 16;
const PACE: Duration = Duration::from_millis(50);

/// What became of it.
#[derive(Debug)]
#[expect(dead_code, reason = "what no test asserts is printed")]
pub struct Figures {
    pub answered: usize,
    pub failed: usize,
    /// Good answers a second.
    pub goodput: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    began: Instant,
    workers: JoinSet<(Vec<Duration>, usize)>,
}

impl Load {
    pub fn start(to: SocketAddr, request: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for _ in 0..CONNECTIONS {
            workers.spawn(worker(to, request.to_owned(), Arc::clone(&stop)));
        }
        Self { stop, began: Instant::now(), workers }
    }

    pub async fn stop(self) -> Figures {
        let took = self.began.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let (mut times, mut failed) = (Vec::new(), 0);
        for (own, lost) in self.workers.join_all().await {
            times.extend(own);
            failed += lost;
        }
        times.sort_unstable();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        Figures {
            answered: times.len(),
            failed,
            goodput: times.len() as f64 / took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
        }
    }
}

/// The load alone, for so long.
pub async fn alone(to: SocketAddr, request: &str, span: Duration) -> Figures {
    let load = Load::start(to, request);
    tokio::time::sleep(span).await;
    load.stop().await
}

async fn worker(to: SocketAddr, request: String, stop: Arc<AtomicBool>) -> (Vec<Duration>, usize) {
    let (mut times, mut failed) = (Vec::new(), 0);
    let (mut open, me) = (None, fresh_address());
    let mut ticks = tokio::time::interval(PACE);
    // What comes late is not made up for: then a slow gateway shows as fewer answers.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let began = Instant::now();
        let mut wire = match open.take() {
            Some(wire) => wire,
            None => match wire::connect_from(to, Some(me)).await {
                Ok(wire) => wire,
                Err(_) => {
                    failed += 1;
                    continue;
                }
            },
        };
        let sent = wire.try_send(&request).await;
        match wire.try_reply(false).await {
            Some(reply) if sent.is_ok() && reply.status == 200 => {
                times.push(began.elapsed());
                open = Some(wire);
            }
            _ => failed += 1,
        }
    }
    (times, failed)
}
