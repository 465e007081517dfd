//! A WebSocket on its way to the client: where one frame ends and the next begins, so that a last one of ours can stand
//! between them (RFC 6455 section 5.2).

use crate::pipeline::{
    Deny,
    deny::{CertificateFault, KeyFault, SessionFault, TokenFault},
};

/// The end of the head of the answer that switched protocols.
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";
/// First byte, length, its longest extension, mask.
const LONGEST_HEAD: usize = 14;
const CLOSE: u8 = 0x8;

/// Follows the bytes that go to the client, from the head of the answer on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// In the head of the answer; so many bytes of its end were seen.
    Reply(usize),
    /// In the head of a frame, of which there are so many bytes. Without any: between two frames.
    Head([u8; LONGEST_HEAD], usize),
    /// In a frame, of which so many bytes are missing.
    Payload(u64),
    /// The upstream has said its last word itself.
    Closed,
}

impl Default for Boundary {
    fn default() -> Self {
        Self::Reply(0)
    }
}

impl Boundary {
    const BETWEEN: Self = Self::Head([0; LONGEST_HEAD], 0);

    /// Whether a frame of ours may stand here.
    pub(super) fn is_between(&self) -> bool {
        *self == Self::BETWEEN
    }

    /// These bytes went out.
    pub(super) fn passed(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            match self {
                Self::Reply(seen) => {
                    let goes_on = END_OF_HEAD.get(*seen) == Some(first);
                    *seen = if goes_on { *seen + 1 } else { usize::from(*first == b'\r') };
                    if *seen == END_OF_HEAD.len() {
                        *self = Self::BETWEEN;
                    }
                    bytes = rest;
                }
                Self::Head(head, have) => {
                    head.iter_mut().skip(*have).take(1).for_each(|own| *own = *first);
                    *have += 1;
                    if let Some(next) = behind(head, *have) {
                        *self = next;
                    }
                    bytes = rest;
                }
                Self::Payload(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        *self = Self::BETWEEN;
                    }
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Self::Closed => return,
            }
        }
    }
}

/// What follows the head of a frame, once all of it is there.
fn behind(head: &[u8; LONGEST_HEAD], have: usize) -> Option<Boundary> {
    let [first, second, extended @ ..] = head;
    if have < 2 {
        return None;
    }
    let (masked, short) = (second & 0x80 != 0, second & 0x7f);
    let extra = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if have < 2 + extra + if masked { 4 } else { 0 } {
        return None;
    }
    let long = extended.iter().take(extra).fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
    let length = if extra == 0 { u64::from(short) } else { long };
    Some(match (first & 0xf, length) {
        (CLOSE, _) => Boundary::Closed,
        (_, 0) => Boundary::BETWEEN,
        _ => Boundary::Payload(length),
    })
}

/// The last frame to a client: why it ends, in a status code and a few words (RFC 6455 section 7.4).
pub(super) fn close_frame(deny: &Deny) -> Vec<u8> {
    let (code, words): (u16, &str) = match deny {
        Deny::Token(TokenFault::Expired)
        | Deny::Key(KeyFault::Expired)
        | Deny::Session(SessionFault::Expired)
        | Deny::Certificate(CertificateFault::Expired) => (4401, "the credential has expired"),
        Deny::Unavailable { .. } => (1013, "try again later"),
        _ => (1008, "the credential was ended"),
    };
    let length = u8::try_from(2 + words.len()).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(words.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// A frame as servers write it, or masked as only clients should.
    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut out = vec![0x80 | opcode];
        match length {
            0..=125 => out.push(mask | u8::try_from(length).unwrap()),
            126..=65_535 => {
                out.push(mask | 126);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                out.push(mask | 127);
                out.extend((length as u64).to_be_bytes());
            }
        }
        out.extend(std::iter::repeat_n(b'm', if masked { 4 } else { 0 }));
        out.extend(std::iter::repeat_n(b'x', length));
        out
    }

    fn after(pieces: &[&[u8]]) -> Boundary {
        let mut boundary = Boundary::default();
        pieces.iter().for_each(|piece| boundary.passed(piece));
        boundary
    }

    #[test]
    fn between_is_behind_the_answer_and_behind_each_whole_frame() {
        assert!(!after(&[]).is_between());
        assert!(!after(&[&ANSWER[..ANSWER.len() - 1]]).is_between());
        assert!(after(&[ANSWER]).is_between());
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let frame = frame(2, length, false);
            assert!(after(&[ANSWER, &frame]).is_between(), "{length}");
            assert!(!after(&[ANSWER, &frame[..frame.len() - 1]]).is_between(), "{length}");
        }
    }

    #[test]
    fn behind_the_upstreams_own_close_nothing_is_said() {
        let mut closed = after(&[ANSWER, &frame(8, 2, false)]);
        assert_eq!(closed, Boundary::Closed);
        closed.passed(&frame(1, 3, false));
        assert!(!closed.is_between());
    }

    #[test]
    fn a_close_frame_is_one_whole_frame() {
        for (deny, code) in [
            (Deny::Token(TokenFault::Expired), 4401_u16),
            (Deny::Key(KeyFault::Expired), 4401),
            (Deny::Token(TokenFault::Revoked), 1008),
            (Deny::Session(SessionFault::Ended), 1008),
            (Deny::Unavailable { dependency: "identity" }, 1013),
        ] {
            let frame = close_frame(&deny);
            assert_eq!((frame[0], usize::from(frame[1])), (0x88, frame.len() - 2));
            assert!(frame.len() <= 127, "a control frame has a short length");
            assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), code);
            assert_eq!(after(&[ANSWER, &frame]), Boundary::Closed);
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_boundaries_are_the_same(
            frames in prop::collection::vec((0_u8..3, 0_usize..300, any::<bool>()), 0..6),
            cut in 1_usize..40,
        ) {
            let mut wire = ANSWER.to_vec();
            let mut ends = vec![wire.len()];
            for (opcode, length, masked) in frames {
                wire.extend(frame(opcode, length, masked));
                ends.push(wire.len());
            }
            let (mut boundary, mut passed) = (Boundary::default(), 0);
            for piece in wire.chunks(cut) {
                boundary.passed(piece);
                passed += piece.len();
                prop_assert_eq!(boundary.is_between(), ends.contains(&passed));
            }
        }
    }
}
