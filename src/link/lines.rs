//! What comes in lines, for it may be long or never ends: everything that has ended, and what is announced.

use super::words;
use crate::{
    identity::{Ended, IdentityError},
    model::Timestamp,
};

/// Longest line that is read: an id and a few numbers.
const LONGEST: usize = 4096;
/// Entries in one piece.
const PIECE: usize = 1000;

/// Everything that has ended, in pieces of lines: `t ID UNTIL`, `s ID AT`, and `end HEAD` as the last one. Without that it
/// was cut off.
pub(super) fn write(ended: Ended) -> impl Iterator<Item = String> + Send {
    let Ended { head, tokens, sessions } = ended;
    let tokens = tokens.into_iter().map(|(id, at)| format!("t {id} {}\n", at.millis()));
    let sessions = sessions.into_iter().map(|(id, at)| format!("s {id} {}\n", at.millis()));
    let mut lines = tokens.chain(sessions).chain([format!("end {head}\n")]);
    std::iter::from_fn(move || {
        let piece: String = lines.by_ref().take(PIECE).collect();
        (!piece.is_empty()).then_some(piece)
    })
}

/// Takes lines together from pieces.
#[derive(Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The whole lines that this piece completes. An error: one is longer than any of ours, or no text.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<String>, IdentityError> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return self.bounded(Vec::new());
        };
        let tail = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, tail);
        let text = String::from_utf8(whole).map_err(|_| IdentityError::Internal)?;
        self.bounded(text.lines().map(str::to_owned).collect())
    }

    fn bounded(&self, lines: Vec<String>) -> Result<Vec<String>, IdentityError> {
        if self.rest.len() > LONGEST { Err(IdentityError::Internal) } else { Ok(lines) }
    }
}

/// Reads one line of [`write`] into what was read before; `true`: it was the last one.
pub(super) fn read(line: &str, ended: &mut Ended) -> Result<bool, IdentityError> {
    const BAD: IdentityError = IdentityError::Internal;
    let mut parts = line.split(' ');
    let (kind, first, second) = (parts.next(), parts.next(), parts.next());
    let time = |text: Option<&str>| text.and_then(|text| text.parse().ok()).map(Timestamp);
    match (kind, first) {
        (Some("t"), Some(id)) => ended.tokens.push((id.into(), time(second).ok_or(BAD)?)),
        (Some("s"), Some(id)) => ended.sessions.push((id.into(), time(second).ok_or(BAD)?)),
        (Some("end"), Some(head)) => {
            ended.head = head.parse().map_err(|_| BAD)?;
            return Ok(true);
        }
        _ => {
            tracing::warn!(event = "link_line_unknown", path = words::ENDED);
            return Err(BAD);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(ended: Ended, size: usize) -> (Ended, bool) {
        let text: String = write(ended).collect();
        let (mut lines, mut found, mut last) = (Lines::default(), Ended::default(), false);
        for piece in text.as_bytes().chunks(size) {
            for line in lines.take(piece).unwrap() {
                assert!(!last, "nothing comes behind the last line");
                last = read(&line, &mut found).unwrap();
            }
        }
        (found, last)
    }

    #[test]
    fn what_has_ended_arrives_whole_however_it_is_cut() {
        let many = (0..2500).map(|n| (format!("session-{n}").as_str().into(), Timestamp(n)));
        let ended = Ended {
            head: 7,
            tokens: vec![("a".into(), Timestamp(1)), ("b".into(), Timestamp(-2))],
            sessions: many.collect(),
        };
        for size in [1, 7, 4096, usize::MAX] {
            assert_eq!(through(ended.clone(), size), (ended.clone(), true), "{size}");
        }
        assert_eq!(through(Ended::default(), 3), (Ended::default(), true));
    }

    #[test]
    fn what_is_none_of_ours_is_an_error_and_never_taken_for_nothing() {
        for line in ["", "x", "t", "t a", "t a b", "s a", "end", "end x", "t  x"] {
            assert!(read(line, &mut Ended::default()).is_err(), "{line:?}");
        }
        assert!(Lines::default().take(&[b'a'; LONGEST + 1]).is_err());
        assert!(Lines::default().take(b"\xff\n").is_err());
    }
}
