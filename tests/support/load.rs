//! A bounded load: so many requests over so many keep-alive connections, every reply looked at.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::wire::{Reply, connect_from};

/// What became of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    pub replies: Vec<Reply>,
    /// Requests that got no complete reply, with the reason.
    pub lost: Vec<String>,
}

/// Sends `total` requests over `connections`, and more until `done`; `request` makes the bytes of the n-th.
pub async fn run(
    to: SocketAddr,
    total: usize,
    done: Arc<AtomicBool>,
    connections: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Outcome {
    let next = Arc::new(AtomicUsize::new(0));
    let request = Arc::new(request);
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let (next, done) = (Arc::clone(&next), Arc::clone(&done));
            tokio::spawn(worker(to, total, done, next, Arc::clone(&request)))
        })
        .collect();
    let mut outcome = Outcome::default();
    for worker in workers {
        let part = worker.await.expect("a worker ends");
        outcome.replies.extend(part.replies);
        outcome.lost.extend(part.lost);
    }
    outcome
}

async fn worker(
    to: SocketAddr,
    total: usize,
    done: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
    request: Arc<impl Fn(usize) -> Vec<u8>>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut wire = None;
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= total && done.load(Ordering::SeqCst) {
            return outcome;
        }
        let mut open = match wire.take() {
            Some(open) => open,
            None => match connect_from(to, None).await {
                Ok(open) => open,
                Err(error) => {
                    outcome.lost.push(format!("request {number}: connect: {error}"));
                    continue;
                }
            },
        };
        if let Err(error) = open.try_send(request(number)).await {
            outcome.lost.push(format!("request {number}: write: {error}"));
            continue;
        }
        match open.try_reply(false).await {
            None => outcome.lost.push(format!("request {number}: no reply")),
            Some(reply) if !reply.complete => {
                outcome.lost.push(format!("request {number}: cut short"));
            }
            Some(reply) => {
                let closes = reply.header("connection").is_some_and(|c| c.contains("close"));
                if !closes {
                    wire = Some(open);
                }
                outcome.replies.push(reply);
            }
        }
    }
}
