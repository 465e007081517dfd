//! Nonces of the server (RFC 9449 sections 8 and 9): a proof that carries one was made after we gave it out.
//!
//! A nonce is the minute of its making and a MAC over that, so nothing is kept, and whoever has the key knows them all: the
//! process before a restart, and the next node.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::Timestamp;

/// Seconds in which everybody is given the same one.
const STEP: i64 = 60;
/// How many steps a nonce is taken after its own: five minutes at least.
const KEPT: u32 = 5;
/// Bytes of the MAC that are given out.
const MAC: usize = 16;
const LABEL: &[u8] = b"dpop nonce";

/// Makes and knows nonces.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The one to give out now.
    pub fn now(&self, now: Timestamp) -> String {
        self.of(step(now))
    }

    /// Whether this one was given out not long ago. A minute ahead is one of a node whose clock is.
    pub fn is_known(&self, text: &str, now: Timestamp) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return false };
        let Some((head, _)) = bytes.split_first_chunk() else { return false };
        let (made, present) = (u32::from_be_bytes(*head), step(now));
        let span = present.saturating_sub(KEPT)..=present.saturating_add(1);
        span.contains(&made)
            && verify_slices_are_equal(self.of(made).as_bytes(), text.as_bytes()).is_ok()
    }

    fn of(&self, step: u32) -> String {
        let head = step.to_be_bytes();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(LABEL);
        context.update(&head);
        let tag = context.sign();
        let mac = tag.as_ref().get(..MAC).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&head, mac].concat())
    }
}

fn step(now: Timestamp) -> u32 {
    u32::try_from(now.secs() / STEP).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_040);

    #[test]
    fn a_nonce_is_taken_for_five_minutes_by_whoever_has_the_key() {
        let (ours, other, theirs) =
            (Nonces::new(&[1; 32]), Nonces::new(&[1; 32]), Nonces::new(&[2; 32]));
        let nonce = ours.now(START);
        let after = |secs| START + Duration::from_secs(secs);
        for (secs, good) in [(0, true), (59, true), (299, true), (359, true), (360, false)] {
            assert_eq!(ours.is_known(&nonce, after(secs)), good, "{secs}");
            assert_eq!(other.is_known(&nonce, after(secs)), good, "after a restart, {secs}");
        }
        assert!(ours.is_known(&nonce, START - Duration::from_secs(60)), "of a clock ahead");
        assert!(!ours.is_known(&nonce, START - Duration::from_secs(61)));
        assert!(!theirs.is_known(&nonce, START));
        assert_eq!(ours.now(after(59)), nonce, "one for everybody in a minute");
        assert_ne!(ours.now(after(60)), nonce);
    }

    #[test]
    fn what_was_changed_is_none() {
        let ours = Nonces::new(&[1; 32]);
        let nonce = ours.now(START);
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(!ours.is_known(&text, START), "{at}");
            assert!(!ours.is_known(&nonce[..at], START), "cut at {at}");
        }
        assert!(!ours.is_known(&format!("{nonce}A"), START));
        assert!(!ours.is_known(&format!("{nonce}="), START));
    }
}
