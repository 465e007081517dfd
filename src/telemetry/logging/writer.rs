//! The queue between those who log and the thread that writes: bounded, lossy, and cheap to add to.
//!
//! A line costs a lock and a copy. The writer is woken once for many lines, since waking a thread costs more than
//! serving a request's checks does.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// Bytes that may wait. Beyond it lines are dropped and counted: a stuck reader must not eat the memory.
const CAPACITY: usize = 8 * 1024 * 1024;
/// Ordinary lines wait this long for others to be written together with them,
const LINGER: Duration = Duration::from_millis(20);
/// or until so many bytes have come together.
const BATCH: usize = 256 * 1024;
/// Memory that a calm queue keeps: room for a batch and what comes while the writer wakes up.
const KEPT: usize = 2 * BATCH;
/// How long the end of the process waits for the last lines.
const FAREWELL: Duration = Duration::from_secs(2);

/// Adds lines to the queue; cheap to clone.
#[derive(Clone)]
pub(in crate::telemetry) struct Writer {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Told to the writing thread: there is something to do.
    work: Condvar,
    /// Told to the guard: all is written.
    done: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    urgent: bool,
    closing: bool,
    finished: bool,
}

/// Keeps the writer going; dropping it writes what is queued, but waits only a short while for a stuck reader.
#[must_use = "the last lines are lost if the guard is dropped early"]
pub struct Guard {
    queue: Arc<Queue>,
}

/// Starts the thread that writes to `output`.
pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(Writer, Guard)> {
    let queue = Arc::new(Queue::default());
    let own = queue.clone();
    thread::Builder::new().name("log-writer".into()).spawn(move || own.run(output))?;
    Ok((Writer { queue: queue.clone() }, Guard { queue }))
}

impl Writer {
    /// Queues a whole line that may wait a moment.
    pub(in crate::telemetry) fn push(&self, line: &[u8]) {
        self.queue.push(line, false);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.queue.dropped.load(Relaxed)
    }
}

/// Queues a whole line that is to be written at once.
impl Write for &Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, true);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn push(&self, line: &[u8], urgent: bool) {
        let mut state = self.state();
        let before = state.lines.len();
        if before + line.len() > CAPACITY {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        state.lines.extend_from_slice(line);
        let wake = before == 0
            || (urgent && !state.urgent)
            || (before < BATCH && state.lines.len() >= BATCH);
        state.urgent |= urgent;
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    fn run(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let idle = |state: &mut State| state.lines.is_empty() && !state.closing;
            let waited = self.work.wait_while(self.state(), idle);
            let state = waited.unwrap_or_else(PoisonError::into_inner);
            let calm =
                |state: &mut State| !state.urgent && !state.closing && state.lines.len() < BATCH;
            let waited = self.work.wait_timeout_while(state, LINGER, calm);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);

            std::mem::swap(&mut batch, &mut state.lines);
            state.urgent = false;
            let last = state.closing;
            drop(state);
            // A log that cannot be written is nobody's reason to stop serving, and there is nowhere to tell it.
            let _ = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            batch.shrink_to(KEPT);
            if last {
                self.state().finished = true;
                self.done.notify_all();
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.closing = true;
        self.queue.work.notify_all();
        let unfinished = |state: &mut State| !state.finished;
        // After the deadline there is nothing more to do than to go.
        let _ = self.queue.done.wait_timeout_while(state, FAREWELL, unfinished);
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}
