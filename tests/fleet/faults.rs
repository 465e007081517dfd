//! Whatever happens to Redis and to the database, under load: nothing is lost, nobody who was ended comes in, what was
//! acknowledged stays, and it is over when the fault is. `PORTCULLIS_STORM=5` for the full run (five nodes, five seconds each)
//! with the stated figures, for a release binary (`PORTCULLIS_BINARY`) on a machine that does nothing else.

use std::time::{Duration, Instant};

use super::{
    storm::{Fault, Near, Size, Storm, is_unknown},
    writes::{Ended, Told, Writes},
};
use crate::support::{
    ledger::{Driver, Entry, Faults, Ledger},
    link::Link,
    postgres,
    redis::{self, Redis, Watched},
    wait::until,
};

const ADDED: Duration = Duration::from_millis(1);
const BACK: Duration = Duration::from_secs(1);
/// What even a debug build on a busy machine holds. A request that waits for the database waits longer.
const SANE_P99: Duration = Duration::from_millis(400);
const SANE_BACK: Duration = Duration::from_secs(10);
/// By when every node refuses whom one has ended, also where nothing can be announced.
const HEARD: Duration = Duration::from_secs(2);

/// One fault, by the clock of the ledger and by the machine's.
struct Span {
    fault: Fault,
    begun: Duration,
    ended: Duration,
    back: [Duration; 3],
    began_at: Instant,
    back_at: Instant,
}

impl Span {
    /// When it was so, and until everything was well again.
    fn covers(&self, due: Duration) -> bool {
        (self.begun..self.ended + self.back[2]).contains(&due)
    }
}

async fn suffers(storm: &mut Storm, driver: &Driver, size: Size, fault: Fault) -> Span {
    tokio::time::sleep(size.calm).await;
    let (begun, began_at) = (driver.now(), Instant::now());
    storm.begins(fault).await;
    tokio::time::sleep(size.lasts.saturating_sub(began_at.elapsed())).await;
    storm.ends(fault);
    let ended = driver.now();
    let back = storm.back().await;
    Span { fault, begun, ended, back, began_at, back_at: Instant::now() }
}

async fn play(near: Near, faults: &[Fault]) {
    let size = Size::wanted();
    let mut storm = Storm::over(size, near, faults.len()).await;
    storm.back().await;
    let (driver, writes) = (storm.load(size.rate), Writes::start(&storm.fleet));
    let mut spans = Vec::new();
    for fault in faults {
        spans.push(suffers(&mut storm, &driver, size, *fault).await);
    }
    tokio::time::sleep(size.calm).await;
    let (told, ledger) = (writes.end().await, driver.end().await);
    report(&ledger, &told, &spans, size);
    judge(&storm, &ledger, &spans).await;
    for ended in &told.ended {
        refused_in_time(ended, &spans);
    }
    told.holds(&storm.fleet).await;
    for span in &spans {
        let (added, back) = (added(&ledger, span, size), span.back[2]);
        let (most, soon) = if size.strict { (ADDED, BACK) } else { (SANE_P99, SANE_BACK) };
        assert!(added <= most && back <= soon, "{:?}: {added:?}, {back:?}", span.fault);
    }
}

/// Every request came to its upstream once, was answered, and is in one log; but for those of whom nobody could know.
async fn judge(storm: &Storm, ledger: &Ledger, spans: &[Span]) {
    let out = |due| spans.iter().any(|span| span.fault.is_of_database() && span.covers(due));
    let unknown = |entry: &Entry| is_unknown(entry) && out(entry.due);
    let logs = || storm.fleet.nodes.iter().flat_map(|node| node.log()).collect::<Vec<_>>();
    // The line of the last request is written when it has ended, which is after its answer.
    let found = until("every request is written down", || async {
        let found = ledger.join_with(&storm.fleet.upstream.seen(), &logs(), unknown);
        (found.unlogged.is_empty()).then_some(found)
    })
    .await;
    let undetermined = found.undetermined.clone();
    assert_eq!(found, Faults { undetermined, ..Faults::default() });
}

/// No node lets somebody in whom another has ended, but for the time that a change takes to be heard; and that only the
/// database can tell of.
fn refused_in_time(ended: &Ended, spans: &[Span]) {
    for last in ended.let_in.iter().flatten() {
        let heard_by = ended.acknowledged + HEARD;
        let out = spans.iter().find(|span| {
            span.fault.is_of_database()
                && span.began_at < heard_by
                && ended.acknowledged < span.back_at
        });
        let heard_by = out.map_or(heard_by, |span| heard_by.max(span.back_at + HEARD));
        assert!(*last <= heard_by, "let in {:?} after its end", *last - ended.acknowledged);
    }
}

/// The 99th percentile under this fault over that of the calm before it.
fn added(ledger: &Ledger, span: &Span, size: Size) -> Duration {
    let [before, during] = p99(ledger, span, size);
    during.saturating_sub(before)
}

fn p99(ledger: &Ledger, span: &Span, size: Size) -> [Duration; 2] {
    let calm = span.begun.saturating_sub(size.calm)..span.begun;
    let under = span.begun..span.ended;
    [calm, under]
        .map(|part| ledger.quantile(0.99, |entry| !is_unknown(entry) && part.contains(&entry.due)))
}

fn report(ledger: &Ledger, told: &Told, spans: &[Span], size: Size) {
    println!(
        "{} requests, {} keys made, {} revoked, {} ended, {} writes undetermined",
        ledger.entries.len(),
        told.made.len(),
        told.revoked.len(),
        told.ended.len(),
        told.undetermined
    );
    for span in spans {
        let [before, during] = p99(ledger, span, size);
        let under = |entry: &&Entry| span.covers(entry.due);
        let count = |status: Option<u16>| {
            ledger.entries.iter().filter(under).filter(|entry| entry.status == status).count()
        };
        println!(
            "{:?}: p99 {before:?} before, {during:?} under it, worst {:?}; {} of 200, {} of 503; \
             unknown keys back after {:?}, exact limits {:?}, ready {:?}",
            span.fault,
            ledger.quantile(1.0, |entry| !is_unknown(entry) && under(&entry)),
            count(Some(200)),
            count(Some(503)),
            span.back[0],
            span.back[1],
            span.back[2],
        );
    }
    let late = told.ended.iter().flat_map(|ended| {
        ended.let_in.iter().flatten().map(|last| last.duration_since(ended.acknowledged))
    });
    println!("latest let in after its end: {:?}", late.max());
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_whatever_happens_to_one_redis_and_to_the_database() {
    if !redis::is_there() || !postgres::is_there() {
        return;
    }
    let redis = Redis::start();
    let link = Link::to(redis.address);
    let faults = [
        Fault::RedisKilled,
        Fault::RedisStopped,
        Fault::RedisFlushed,
        Fault::RedisSlow,
        Fault::RedisUnreachable,
        Fault::DatabaseKilled,
        Fault::DatabaseStopped,
        Fault::SessionsTerminated,
        Fault::ConnectionsTaken,
    ];
    play(Near::One(redis, link), &faults).await;
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_sentinels_make_another_redis_the_primary() {
    if !redis::is_there() || !postgres::is_there() {
        return;
    }
    // A fleet each: nobody goes back. One will do to see that it is so at all.
    let each = [Fault::PrimaryKilled, Fault::PrimaryStopped];
    for fault in each.into_iter().take(if Size::wanted().strict { 2 } else { 1 }) {
        play(Near::Watched(Watched::start()), &[fault]).await;
    }
}
