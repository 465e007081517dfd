//! Honest traffic: so many requests a second, whatever becomes of those before, over a few connections, each timed from
//! the moment it was due. It has a thread of its own, so that what an attack costs its sender is not measured.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    support::{tmws::fresh_address, wire},
    wanted,
};

/// Enough that a slow answer holds up none of the next.
const CONNECTIONS: u32 = 32;
/// What takes longer is no answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So that a percentile says something.
pub const SAMPLES: usize = 2_000;

/// What became of it.
#[derive(Clone)]
pub struct Figures {
    /// Requests that were due.
    pub offered: usize,
    pub answered: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
    /// The first answers that were none.
    pub faults: Vec<String>,
    times: Vec<Duration>,
}

impl Figures {
    fn new(mut times: Vec<Duration>, offered: usize, mut faults: Vec<String>) -> Self {
        times.sort_unstable();
        faults.truncate(3);
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        let (p50, p99, longest) = (at(50), at(99), times.last().copied().unwrap_or_default());
        Self { offered, answered: times.len(), p50, p99, longest, faults, times }
    }

    /// Several loads as one.
    pub fn of_all(all: Vec<Self>) -> Self {
        let offered = all.iter().map(|one| one.offered).sum();
        let (times, faults): (Vec<_>, Vec<_>) =
            all.into_iter().map(|one| (one.times, one.faults)).unzip();
        Self::new(times.concat(), offered, faults.concat())
    }

    /// Good answers of what was offered.
    pub fn share(&self) -> f64 {
        self.answered as f64 / self.offered.max(1) as f64
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offered, answered, p50, p99, longest, faults, .. } = self;
        write!(f, "{answered} of {offered} answered ({:.1} %), ", 100.0 * self.share())?;
        write!(f, "p50 {p50:.2?}, p99 {p99:.2?}, longest {longest:.2?} {faults:?}")
    }
}

/// Requests a second.
pub fn rate() -> u32 {
    u32::try_from(wanted("PORTCULLIS_HONEST_RATE", 200)).expect("a rate")
}

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Figures>,
}

impl Load {
    pub fn start(to: SocketAddr, request: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (own, request) = (Arc::clone(&stop), Arc::<str>::from(request));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(offer(to, request, own))
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> Figures {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic inside")
    }
}

/// The load alone, for as long as it takes to say something.
pub async fn alone(to: SocketAddr, request: &str) -> Figures {
    // Connections are made and caches are filled before anything counts.
    let load = Load::start(to, request);
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.stop();
    let load = Load::start(to, request);
    enough(Instant::now()).await;
    load.stop()
}

/// Until there are samples enough since then.
pub async fn enough(began: Instant) {
    let span = Duration::from_secs_f64(SAMPLES as f64 * 1.05 / f64::from(rate()));
    tokio::time::sleep_until((began + span).into()).await;
}

/// Prints both.
pub fn tell(attack: &str, before: &Figures, during: &Figures) {
    println!("{attack}: honest before {before:?}");
    println!("{attack}: honest during {during:?}");
    println!("{attack}: p99 x{:.2}", during.p99.as_secs_f64() / before.p99.as_secs_f64());
}

/// Honest callers keep their goodput.
#[track_caller]
pub fn kept_goodput(during: &Figures) {
    assert!(during.share() >= 0.95, "{during:?}");
}

/// Their slowest answers take at most twice as long. Held only by the long form, on a machine that does nothing else: what
/// a busy one does to any thread in the meantime says nothing of the gateway. The slice has them answered in time at all.
#[track_caller]
pub fn kept_pace(before: &Figures, during: &Figures) {
    if wanted("PORTCULLIS_PACE", 0) > 0 {
        assert!(during.p99 <= before.p99 * 2, "{before:?}, then {during:?}");
    }
}

async fn offer(to: SocketAddr, request: Arc<str>, stop: Arc<AtomicBool>) -> Figures {
    let (start, mut workers) = (Instant::now(), JoinSet::new());
    for number in 0..CONNECTIONS {
        workers.spawn(worker(to, Arc::clone(&request), (start, number), Arc::clone(&stop)));
    }
    let (mut times, mut offered, mut faults) = (Vec::new(), 0, Vec::new());
    for (own, lost) in workers.join_all().await {
        offered += own.len() + lost.len();
        times.extend(own);
        faults.extend(lost);
    }
    Figures::new(times, offered, faults)
}

async fn worker(
    to: SocketAddr,
    request: Arc<str>,
    (start, number): (Instant, u32),
    stop: Arc<AtomicBool>,
) -> (Vec<Duration>, Vec<String>) {
    let (mut times, mut faults) = (Vec::new(), Vec::new());
    let (mut open, me) = (None, fresh_address());
    let mut due = start + Duration::from_secs(1) * number / rate();
    while !stop.load(Ordering::Relaxed) {
        // The clock of the runtime ticks in milliseconds, which is nothing the gateway does: only who is kept from being on
        // time by the answer before counts from when it was due.
        let began = if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            Instant::now()
        } else {
            due
        };
        let answered = async {
            let mut wire = match open.take() {
                Some(wire) => wire,
                None => wire::connect_from(to, Some(me)).await.map_err(|e| e.to_string())?,
            };
            wire.try_send(&*request).await.map_err(|error| error.to_string())?;
            match wire.try_reply(false).await {
                Some(reply) if reply.status == 200 => Ok(wire),
                Some(reply) => Err(format!("{}: {}", reply.status, reply.text())),
                None => Err("closed".to_owned()),
            }
        };
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(wire)) => {
                times.push(began.elapsed());
                open = Some(wire);
            }
            Ok(Err(fault)) => faults.push(fault),
            Err(_) => faults.push("no answer in time".to_owned()),
        }
        due += Duration::from_secs(1) * CONNECTIONS / rate();
    }
    (times, faults)
}
