//! Ends what runs under a credential that has ended.
//!
//! News of what ended come from identity at once. What has expired, or is in the view of ended tokens and sessions, is looked
//! for several times a second, so that no piece of news need be heard; keys, of which the store must be asked, are asked
//! about now and then. Each time the question is the one that the next request would meet. Runs beside the threads that
//! serve.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Found, Open};
use crate::{
    edge::Shared,
    model::{AuthMethod, Principal, Timestamp},
    pipeline::{
        Deny, News, authn,
        deny::{CertificateFault, KeyFault, SessionFault, TokenFault},
        news,
    },
    telemetry::metrics::StreamKind,
};

/// How often ends are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How often everything is asked, news or not.
const ROUND: Duration = Duration::from_secs(10);
/// What an ordinary request gets to finish: its answer may be the one to the very call that ended its credential.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Pause between two questions that nobody could answer.
const BREATH: Duration = Duration::from_secs(1);
/// Nobody can say whether it still stands.
const UNTOLD: Deny = Deny::Unavailable { dependency: "identity" };
/// News looked at together.
const AT_ONCE: usize = 256;

/// Runs until it is dropped.
pub(in crate::edge) async fn run(shared: Arc<Shared>) {
    let mut source = Some(shared.parts.lookup.news());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = Instant::now();
    let mut round: Option<JoinHandle<()>> = None;
    loop {
        let news = tokio::select! {
            news = next(&mut source) => news,
            _ = tick.tick() => Vec::new(),
        };
        if !news.is_empty() {
            shared.streams.grow_older();
        }
        let moment = Instant::now();
        let due = moment.saturating_duration_since(asked) >= ROUND
            && round.as_ref().is_none_or(JoinHandle::is_finished);
        let now = shared.parts.clock.now();
        let (lookup, revocations) = (&*shared.parts.lookup, &*shared.parts.revocations);
        // Then nothing is known any more of what anybody hangs on.
        let blind = !lookup.is_current() && !lookup.becomes_current().await;
        let wanted = |who: &Principal| {
            due || blind
                || news.iter().any(|news| news.concerns(who))
                || revocations.is_revoked(who.token.as_ref(), who.session.as_ref())
        };
        let (picked, counts) = shared.streams.pick(now, moment, wanted);
        shared.parts.metrics.streams_open(&counts);
        let asking = judge(&shared, picked, now, blind);
        if due {
            asked = moment;
            round = asking;
        }
    }
}

/// The next news, and what else is there. Whoever missed some must look at everything.
async fn next(source: &mut Option<Receiver<News>>) -> Vec<News> {
    let Some(receiver) = source else { return std::future::pending().await };
    let mut news = match receiver.recv().await {
        Ok(first) => vec![first],
        Err(RecvError::Lagged(_)) => vec![News::Anything],
        Err(RecvError::Closed) => {
            *source = None;
            return Vec::new();
        }
    };
    while news.len() < AT_ONCE {
        match receiver.try_recv() {
            Ok(next) => news.push(next),
            Err(TryRecvError::Lagged(_)) => news.push(News::Anything),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    news
}

/// Ends those whose credential is known to have ended, or of which nobody can say any more. What hangs on a key is asked for
/// aside: returns the task that does.
fn judge(
    shared: &Arc<Shared>,
    picked: Vec<Found>,
    now: Timestamp,
    blind: bool,
) -> Option<JoinHandle<()>> {
    let (mut later, mut keyed) = (Vec::new(), Vec::new());
    for found in picked {
        let hangs_on_memory = found.open.who.method != AuthMethod::ClientCert;
        match known(shared, &found.open, now) {
            Some(Ok(())) | None if blind && hangs_on_memory => later.extend(end(found, UNTOLD)),
            Some(Err(deny)) => later.extend(end(found, deny)),
            Some(Ok(())) => {}
            None => keyed.push(found),
        }
    }
    end_later(later);
    if keyed.is_empty() {
        return None;
    }
    Some(tokio::spawn(ask(Arc::clone(shared), keyed)))
}

/// What is known of a credential without asking; `None`: it is a key, of which the store must be asked.
fn known(shared: &Shared, open: &Open, now: Timestamp) -> Option<Result<(), Deny>> {
    let who = &open.who;
    let revoked = || shared.parts.revocations.is_revoked(who.token.as_ref(), who.session.as_ref());
    let (expired, ended) = match who.method {
        AuthMethod::Jwt | AuthMethod::Agent => {
            (Deny::Token(TokenFault::Expired), Deny::Token(TokenFault::Revoked))
        }
        AuthMethod::Session => {
            (Deny::Session(SessionFault::Expired), Deny::Session(SessionFault::Ended))
        }
        AuthMethod::ClientCert => {
            // What the configuration says of it changes with the next connection; its end is its end.
            let expired = Deny::Certificate(CertificateFault::Expired);
            return Some(if open.is_over(now) { Err(expired) } else { Ok(()) });
        }
        AuthMethod::ApiKey if open.is_over(now) => {
            return Some(Err(Deny::Key(KeyFault::Expired)));
        }
        AuthMethod::ApiKey => return None,
    };
    Some(match () {
        () if revoked() => Err(ended),
        () if open.is_over(now) => Err(expired),
        () => Ok(()),
    })
}

/// Asks the store about keys, again and again where it cannot say.
async fn ask(shared: Arc<Shared>, mut keyed: Vec<Found>) {
    let began = tokio::time::Instant::now();
    loop {
        let (mut later, mut unknown) = (Vec::new(), Vec::new());
        for mut found in keyed {
            // A store that hangs would hang for each of them.
            if !unknown.is_empty() {
                unknown.push(found);
                continue;
            }
            match holds(&shared, &mut found).await {
                Ok(()) => {}
                Err(Deny::Unavailable { .. }) => unknown.push(found),
                Err(deny) => later.extend(end(found, deny)),
            }
        }
        // How long something goes on while nobody can say.
        if began.elapsed() >= shared.parts.lookup.stale_for() {
            later.extend(std::mem::take(&mut unknown).into_iter().filter_map(|it| end(it, UNTOLD)));
        }
        end_later(later);
        if unknown.is_empty() {
            return;
        }
        keyed = unknown;
        sleep(BREATH).await;
    }
}

/// Whether a key still stands, for what began under it.
async fn holds(shared: &Shared, found: &mut Found) -> Result<(), Deny> {
    let (parts, open) = (&shared.parts, &mut found.open);
    let who = &open.who;
    let Some(key) = &who.key else { return Err(Deny::Internal) };
    let evidence = shared.keys.evidence(&parts.lookup, &parts.metrics, &who.mount, key).await?;
    // The secret was proven when it began; its record may have ended since.
    let evidence = evidence.ok_or(Deny::Key(KeyFault::Unknown))?;
    let until = evidence.expires_at.map(|end| end + open.leniency);
    authn::key_stands(&evidence, open.address, until, parts.clock.now())?;
    news::still_reaches(who, &evidence.principal)?;
    if until != open.until {
        // Replaced, it is good for a while yet.
        open.until = until;
        shared.streams.moves(found);
    }
    Ok(())
}

/// Ends one, or gives it back where it may finish first.
fn end(found: Found, deny: Deny) -> Option<(Open, Deny)> {
    let Found { open, kind, .. } = found;
    match kind {
        StreamKind::Transfer | StreamKind::Stream => Some((open, deny)),
        _ => {
            open.conn.end_request(open.request, deny);
            None
        }
    }
}

fn end_later(those: Vec<(Open, Deny)>) {
    if those.is_empty() {
        return;
    }
    tokio::spawn(async move {
        sleep(LAST_WORDS).await;
        for (open, deny) in those {
            open.conn.end_request(open.request, deny);
        }
    });
}
