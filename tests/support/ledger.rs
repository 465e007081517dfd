//! A ledger of requests: an open-loop driver gives each an id, the upstream writes down which ids came, the gateways' access
//! logs say what became of them; joined, they show what was lost, doubled, or came though nobody was told so.
//!
//! Open loop: requests are due by the clock, whatever became of those before. A gateway that stands still for a second has a
//! second's requests waiting, and each of them counts its whole wait.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};

use super::{
    upstream::Recorded,
    wire::{Wire, connect_from},
};

/// The field that carries a request's id.
pub const FIELD: &str = "x-ledger";
/// Until a request counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client knows of one request.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    /// Its number in the order in which they were due.
    pub number: usize,
    /// Which of the targets it went to.
    pub target: usize,
    /// When it was due, since the ledger began.
    pub due: Duration,
    /// From then until its answer was whole.
    pub took: Duration,
    /// `None`: no whole answer came.
    pub status: Option<u16>,
    /// The gateway's name for it.
    pub request_id: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Ledger {
    pub entries: Vec<Entry>,
}

/// What the join shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Without an answer, or with another than 200.
    pub lost: Vec<String>,
    /// Answered 503, where nobody could know whom the request came from.
    pub undetermined: Vec<String>,
    /// Came to the upstream more than once.
    pub doubled: Vec<String>,
    /// Came to the upstream though its client was refused, or was never sent.
    pub ghosts: Vec<String>,
    /// Answered, without exactly one line of an access log.
    pub unlogged: Vec<String>,
}

/// A driver at work.
pub struct Driver {
    began: Instant,
    done: Arc<AtomicBool>,
    running: JoinHandle<Vec<Entry>>,
}

/// Connections that are open and idle, by target.
type Idle = Arc<Mutex<HashMap<usize, Vec<Wire<TcpStream>>>>>;

impl Driver {
    /// Sends `rate` requests a second, turn by turn to each target; `head` makes the request line and fields of the n-th, without
    /// the empty line.
    pub fn start(
        targets: Vec<SocketAddr>,
        rate: u32,
        head: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let (began, done) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let to = (targets, rate, began);
        let running = tokio::spawn(drive(to, Arc::new(head), Arc::clone(&done)));
        Driver { began, done, running }
    }

    /// The time on the clock by which requests are due.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends no more, and waits for what is on its way.
    pub async fn end(self) -> Ledger {
        self.done.store(true, Ordering::SeqCst);
        Ledger { entries: self.running.await.expect("the driver ends") }
    }
}

async fn drive(
    (targets, rate, began): (Vec<SocketAddr>, u32, Instant),
    head: Arc<impl Fn(usize) -> String + Send + Sync + 'static>,
    done: Arc<AtomicBool>,
) -> Vec<Entry> {
    let idle = Idle::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut sent = Vec::new();
    while !done.load(Ordering::SeqCst) {
        ticks.tick().await;
        let number = sent.len();
        let (target, idle, head) = (number % targets.len(), Arc::clone(&idle), Arc::clone(&head));
        let to = targets[target];
        // By the clock of the beginning, not by when this task had its turn.
        let due = Duration::from_secs(1) * u32::try_from(number).expect("few") / rate;
        sent.push(tokio::spawn(async move {
            let id = format!("l{number}z");
            let text = format!("{}\r\n{FIELD}: {id}\r\n\r\n", head(number).trim_end());
            let asked = tokio::time::timeout(PATIENCE, ask(to, target, &idle, &text)).await;
            let (status, request_id) = asked.ok().flatten().unzip();
            let took = began.elapsed().saturating_sub(due);
            Entry { id, number, target, due, took, status, request_id: request_id.flatten() }
        }));
    }
    let mut entries = Vec::with_capacity(sent.len());
    for one in sent {
        entries.push(one.await.expect("no request panics"));
    }
    entries
}

/// One request on a connection of its own for that time. A connection that the gateway had closed while it was idle is no
/// lost request: it was never taken, and is sent on a fresh one.
async fn ask(
    to: SocketAddr,
    target: usize,
    idle: &Idle,
    text: &str,
) -> Option<(u16, Option<String>)> {
    let kept = idle.lock().expect("no panic inside").entry(target).or_default().pop();
    let mut wires = kept.into_iter().map(Some).chain([None]);
    loop {
        let kept = wires.next()?;
        let was_kept = kept.is_some();
        let mut wire = match kept {
            Some(wire) => wire,
            None => connect_from(to, None).await.ok()?,
        };
        let sent = wire.try_send(text).await.is_ok();
        let reply = if sent { wire.try_reply(false).await } else { None };
        let Some(reply) = reply.filter(|reply| reply.complete) else {
            if was_kept {
                continue;
            }
            return None;
        };
        let closes = reply.header("connection").is_some_and(|said| said.contains("close"));
        if !closes {
            idle.lock().expect("no panic inside").entry(target).or_default().push(wire);
        }
        return Some((reply.status, reply.header("x-request-id").map(str::to_owned)));
    }
}

impl Ledger {
    /// Holds the entries against what the upstream read and what the gateways wrote down.
    pub fn join(&self, seen: &[Recorded], log: &[Value]) -> Faults {
        self.join_with(seen, log, |_| false)
    }

    /// The same; a 503 of these requests is no loss.
    pub fn join_with(
        &self,
        seen: &[Recorded],
        log: &[Value],
        may_be_unknown: impl Fn(&Entry) -> bool,
    ) -> Faults {
        let mut came: BTreeMap<String, usize> = BTreeMap::new();
        for id in seen.iter().filter_map(|request| request.field(FIELD)) {
            *came.entry(id).or_default() += 1;
        }
        let mut lines: HashMap<&str, usize> = HashMap::new();
        let accesses = log.iter().filter(|line| line["outcome"].is_string());
        for id in accesses.filter_map(|line| line["request_id"].as_str()) {
            *lines.entry(id).or_default() += 1;
        }
        let mut faults = Faults::default();
        for entry in &self.entries {
            let times = came.remove(&entry.id).unwrap_or(0);
            let told = format!("{} at {:?}: {:?}", entry.id, entry.due, entry.status);
            match entry.status {
                Some(200) => {}
                Some(503) if may_be_unknown(entry) => faults.undetermined.push(told.clone()),
                _ => faults.lost.push(told.clone()),
            }
            if times > 1 {
                faults.doubled.push(told.clone());
            }
            if times > 0 && matches!(entry.status, Some(status) if status != 200) {
                faults.ghosts.push(told.clone());
            }
            let logged = entry.request_id.as_deref().and_then(|id| lines.get(id));
            if entry.status.is_some() && logged != Some(&1) {
                faults.unlogged.push(told);
            }
        }
        faults.ghosts.extend(came.into_keys());
        faults
    }

    /// The time within which this share of the requests had their answers, `among` these.
    pub fn quantile(&self, share: f64, among: impl Fn(&Entry) -> bool) -> Duration {
        let mut times: Vec<Duration> =
            self.entries.iter().filter(|entry| among(entry)).map(|entry| entry.took).collect();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}
