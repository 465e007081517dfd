//! What other nodes change, taken into the memory of this one: ended tokens and sessions are refused, keys and accounts are
//! asked for again, streams that hang on them are told, signing keys are read anew.
//!
//! The store numbers its changes. They are announced as they are made, and asked for once a second whether anything was
//! announced or not, so that losing every announcement costs a second and nothing else.

mod apply;
mod follower;
mod herald;
mod memory;
mod pulse;
mod source;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{broadcast, mpsc},
    time::{MissedTickBehavior, interval},
};

use super::{Identity, IdentityError};
use crate::store::{Announcement, Announcements, ChangePage};
use follower::{Follower, Read};
use herald::Hints;
use source::Source;
use watch::Watch;

pub(super) use apply::take_in;
pub use herald::{Herald, Hint};
pub(super) use memory::Memory;
pub(super) use pulse::Pulse;

/// How often the store is asked, announced or not.
const POLL: Duration = Duration::from_secs(1);
/// How often it is asked again while it cannot be: it is back when it is, and not a second later.
const AGAIN: Duration = Duration::from_millis(200);
/// Changes read in one look.
const PAGE: u32 = 1000;

/// Where following stands, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Since the store last confirmed what this node holds in memory.
    pub lag: Duration,
    /// The newest change that was heard of.
    pub newest: u64,
    /// Up to where every change was taken in.
    pub upto: u64,
    /// How often everything had to be read anew.
    pub rebuilt: u64,
    /// For each way of hearing, how long it has owed word of something that is known.
    pub owed: [(&'static str, Option<Duration>); 2],
}

/// Where this node stands among the changes of the store.
#[derive(Default)]
pub(super) struct Following {
    pub(super) pulse: Pulse,
    /// Where to begin: what was before is in memory since the start. `None`: nobody else changes this store.
    begins: std::sync::OnceLock<(u64, Instant)>,
    newest: AtomicU64,
    upto: AtomicU64,
    rebuilt: AtomicU64,
    /// What the database and the second way owe, in milliseconds and one more; 0: there is no such way.
    owed: [AtomicU64; 2],
    /// Counts up when signing keys are to be read anew.
    keys: tokio::sync::watch::Sender<u64>,
    /// What is heard, passed on to nodes that hear only this one.
    heard: std::sync::OnceLock<broadcast::Sender<Announcement>>,
}

/// What was asked, and what came of it.
enum Answer {
    /// `wrote`: after this node had written something.
    Page {
        asked: u64,
        began: Instant,
        wrote: bool,
        page: Result<ChangePage, IdentityError>,
    },
    Whole {
        began: Instant,
        head: Result<u64, IdentityError>,
    },
}

impl Identity {
    /// How old what is held in memory may grow while the store cannot be asked.
    pub fn allow_stale(&self, stale_for: Duration) {
        self.inner.following.pulse.allow(stale_for);
    }

    /// Where this node stands; `None`: nobody else changes its store.
    pub fn followed(&self) -> Option<Followed> {
        self.inner.following.followed()
    }

    /// Counts up whenever another node has changed signing keys.
    pub fn signing_key_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.following.key_changes()
    }

    /// Takes in what other nodes change, from the moment at which memory was filled, for as long as this is polled. Returns at
    /// once where nobody else changes the store. `herald`: where else changes are told of.
    pub async fn follow_changes(&self, announcements: Announcements, herald: Option<Herald>) {
        follow(self.inner.clone(), announcements, herald).await;
    }
}

/// Keeps a memory in step for as long as this is polled.
pub(super) async fn follow(
    memory: Arc<dyn Memory>,
    announcements: Announcements,
    herald: Option<Herald>,
) {
    let following = memory.following();
    let Some(&(head, read)) = following.begins.get() else { return };
    following.pulse.begins(read, Instant::now());
    Task {
        inner: memory,
        follower: Follower::new(head),
        announcements,
        database: Source::new(head),
        second: herald.map(|herald| (herald, Hints::new(head))),
        watch: Watch::default(),
        woke: Some(read),
        asked_at: None,
        due: true,
        wrote: false,
    }
    .run()
    .await;
}

/// The one that follows.
struct Task {
    inner: Arc<dyn Memory>,
    follower: Follower,
    announcements: Announcements,
    database: Source,
    second: Option<(Herald, Hints)>,
    watch: Watch,
    /// It did not run until then, and has not asked since.
    woke: Option<Instant>,
    asked_at: Option<Instant>,
    /// The store is to be asked as soon as it is not being asked.
    due: bool,
    /// This node has written something since the store was asked.
    wrote: bool,
}

type Asking = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

impl Task {
    async fn run(mut self) {
        let mut tick = interval(pulse::PACE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking: Option<Asking> = None;
        loop {
            if self.due && asking.is_none() {
                asking = Some(self.ask());
            }
            let answer = maybe(asking.as_mut());
            let (wrote, hint) = match &mut self.second {
                Some((herald, _)) => (Some(&self.announcements.wrote), Some(&mut herald.heard)),
                None => (None, None),
            };
            tokio::select! {
                answer = answer => asking = self.answered(answer),
                Some(heard) = self.announcements.heard.recv() => self.heard(heard),
                Some(hint) = maybe(hint.map(mpsc::Receiver::recv)) => self.hinted(hint),
                () = maybe(wrote.map(|wrote| wrote.notified())) => {
                    self.wrote = true;
                    self.due = true;
                }
                _ = tick.tick() => self.comes_round(),
            }
            self.shows();
        }
    }

    fn ask(&mut self) -> Asking {
        let (inner, asked, began) = (self.inner.clone(), self.follower.upto(), Instant::now());
        self.due = false;
        self.asked_at = Some(began);
        let wrote = std::mem::take(&mut self.wrote);
        if let Some((_, hints)) = &mut self.second {
            hints.asks();
        }
        Box::pin(async move {
            let page = inner.changes_since(asked, PAGE).await;
            Answer::Page { asked, began, wrote, page }
        })
    }

    /// Reads everything anew.
    fn rebuild(&mut self) -> Asking {
        let (inner, began) = (self.inner.clone(), Instant::now());
        self.inner.following().rebuilt.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(event = "changes_read_anew", behind = self.follower.upto());
        Box::pin(async move {
            let head = inner.rebuild().await;
            Answer::Whole { began, head }
        })
    }

    fn heard(&mut self, heard: Announcement) {
        self.inner.following().passes_on(&heard);
        match heard {
            Announcement::Change(change) => {
                self.database.tells(change.seq);
                if self.follower.heard(change.seq) {
                    self.inner.take_in(&change);
                }
            }
            Announcement::UpTo(seq) => {
                self.database.tells(seq);
                self.follower.heard_up_to(seq);
            }
            Announcement::Interrupted => {
                self.database.begins_anew(self.follower.upto());
                self.due = true;
            }
        }
        self.due |= self.follower.is_missing_some();
    }

    fn hinted(&mut self, hint: Hint) {
        let Some((_, hints)) = &mut self.second else { return };
        let upto = self.follower.upto();
        match hint {
            Hint::UpTo(seq) => self.due |= hints.hears(seq, upto, Instant::now()),
            Hint::Listening => {
                hints.source.begins_anew(upto);
                self.due = true;
            }
        }
    }

    /// What the store said of its newest change is held against what was heard, and told to others. `news`: this node has
    /// written or found something.
    fn learned(&mut self, head: Option<u64>, news: bool) {
        let Some((herald, hints)) = &mut self.second else { return };
        hints.learns(head, Instant::now());
        if let Some(seq) = head.filter(|_| news).and_then(|head| hints.has_to_say(head)) {
            herald.say.send_replace(seq);
        }
    }

    /// Returns what is asked next at once, if anything.
    fn answered(&mut self, answer: Answer) -> Option<Asking> {
        let began = match answer {
            Answer::Page { asked, began, wrote, page: Ok(page) } => {
                self.learned(Some(page.head), wrote || !page.changes.is_empty());
                match self.follower.read(asked, page) {
                    Read::Lost => return Some(self.rebuild()),
                    Read::Some { changes, more } => {
                        for change in changes {
                            self.inner.take_in(&change);
                            // Nobody has announced it here, and so to nobody who hears only this node.
                            self.inner.following().passes_on(&Announcement::Change(change));
                        }
                        self.due |= more;
                        if !more {
                            self.confirmed(began);
                        }
                    }
                }
                began
            }
            Answer::Whole { began, head: Ok(head) } => {
                self.follower.rebuilt(head);
                self.database.rebuilt(head);
                if let Some((_, hints)) = &mut self.second {
                    *hints = Hints::new(head);
                }
                self.confirmed(began);
                // What was made while it was read.
                self.due = true;
                began
            }
            Answer::Page { began, page: Err(_), .. } | Answer::Whole { began, head: Err(_) } => {
                self.learned(None, false);
                self.watch.unconfirmed();
                began
            }
        };
        // A question from before it slept says nothing of what happened meanwhile.
        if self.woke.is_some_and(|woke| began >= woke) {
            self.woke = None;
            self.inner.following().pulse.beats(Instant::now());
        }
        None
    }

    fn confirmed(&mut self, began: Instant) {
        self.inner.following().pulse.confirms(began);
        self.watch.confirmed();
    }

    fn comes_round(&mut self) {
        let memory = self.inner.clone();
        let (pulse, now) = (&memory.following().pulse, Instant::now());
        if self.woke.is_none() && pulse.slept(now) {
            self.woke = Some(now);
            self.due = true;
        }
        if self.woke.is_none() {
            pulse.beats(now);
        }
        let since = |asked: Instant| now.saturating_duration_since(asked);
        let pause = if self.watch.is_unconfirmed() { AGAIN } else { POLL };
        self.due |= self.asked_at.is_none_or(|asked| since(asked) >= pause);
        self.watch.looks(pulse.is_too_old(now));
        // Whoever announces may have lost its connection without noticing.
        let upto = self.follower.upto();
        if self.database.is_doubtful(upto, now) {
            self.announcements.doubt.notify_one();
        }
        if let Some((herald, hints)) = &mut self.second
            && hints.source.is_doubtful(upto, now)
        {
            herald.doubt.notify_one();
        }
    }

    fn shows(&mut self) {
        let memory = self.inner.clone();
        let Following { newest, upto, owed: [database, second], .. } = memory.following();
        let (known, now) = (self.follower.upto(), Instant::now());
        newest.store(self.follower.newest(), Ordering::Relaxed);
        upto.store(known, Ordering::Relaxed);
        let millis =
            |owed: Duration| u64::try_from(owed.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        database.store(millis(self.database.owes(known, now)), Ordering::Relaxed);
        let owed = self.second.as_mut().map(|(_, hints)| hints.source.owes(known, now));
        second.store(owed.map_or(0, millis), Ordering::Relaxed);
    }
}

/// What comes of this, if there is any; else nothing ever.
async fn maybe<F: Future>(work: Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
