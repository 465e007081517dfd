//! Announces changes over Redis, and hears of them there. Only numbers travel: who hears one asks the store.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::{
    fleet::{Client, News, Subscription},
    identity::{Herald, Hint},
};

/// Under the prefix of the fleet.
const CHANNEL: &str = "changes";
/// Numbers that wait to be looked at. What comes beyond waits in the connection.
const WAITING: usize = 64;
/// A word that does not arrive is said again, so often and after such a pause. Whoever missed it all the same asks the store
/// within a second.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// Begins to speak and to listen, on the runtime it is called on, for as long as the other ends are kept.
pub(super) fn start(redis: &Client) -> Herald {
    let (tell, heard) = mpsc::channel(WAITING);
    let listener = redis.subscribe(CHANNEL);
    let doubt = listener.doubt();
    tokio::spawn(listen(listener, tell));
    let (say, said) = watch::channel(0);
    tokio::spawn(speak(redis.clone(), said));
    Herald { heard, say, doubt }
}

async fn listen(mut listener: Subscription, tell: mpsc::Sender<Hint>) {
    while let Some(news) = listener.next().await {
        let hint = match news {
            News::Message(text) => number(&text).map(Hint::UpTo),
            News::Listening => Some(Hint::Listening),
            News::Lost => None,
        };
        if let Some(hint) = hint
            && tell.send(hint).await.is_err()
        {
            return;
        }
    }
}

/// Says the newest number; those that came while it was said are not said by themselves.
async fn speak(redis: Client, mut said: watch::Receiver<u64>) {
    while said.changed().await.is_ok() {
        for _ in 0..TRIES {
            let seq = *said.borrow_and_update();
            if redis.publish(CHANNEL, seq.to_string().as_bytes()).await.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What is no number says nothing.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 20 && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for text in [
            &b""[..],
            b"-1",
            b"+1",
            b"1 ",
            b"1 2 - session x",
            b"18446744073709551616",
            b"000000000000000000001",
            b"\xff",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
