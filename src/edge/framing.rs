//! What frames a request, judged on the bytes as they come from the socket.
//!
//! pingora repairs a blank in a request line before any hook sees it, and takes chunk lines without a digit, with blanks
//! behind the size or with a bare line feed in an extension. Other readers end such a line elsewhere, so that a proxy in
//! front of us could be made to see other requests than we do. The [`Watch`] follows every byte and only notes what it
//! found; hooks ask for it once they know what the head says (requirement 15; RFC 9112 sections 2.2, 3 and 7.1).

use http::{HeaderMap, header};
use memchr::{memchr, memchr2};

/// The request line has not exactly two blanks.
const BAD_LINE: u8 = 1;
/// What follows the head is no well-formed chunked body. Says nothing about a body of another kind.
const BAD_CHUNKS: u8 = 2;

/// Digits of a chunk size: more do not fit 64 bits.
const MAX_DIGITS: u8 = 16;
/// Bytes of one chunk extension, and of all trailers.
const MAX_EXTENSION: u16 = 256;
const MAX_TRAILERS: u16 = 8 << 10;

/// Whether what was noted concerns a request with these fields.
pub(super) fn is_faulty(noted: u8, headers: &HeaderMap) -> bool {
    noted != 0 && (noted & BAD_LINE != 0 || headers.contains_key(header::TRANSFER_ENCODING))
}

/// Follows one request from its first byte.
#[derive(Debug)]
pub(super) struct Watch {
    step: Step,
    faults: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The request line; blanks so far, and whether anything stood in it.
    Line {
        blanks: u8,
        begun: bool,
    },
    /// The fields; so many bytes of CR LF CR LF were the last ones.
    Fields {
        matched: u8,
    },
    /// The digits of a chunk size.
    Size {
        digits: u8,
        size: u64,
    },
    /// Behind the `;`.
    Extension {
        size: u64,
        length: u16,
    },
    /// The LF of a chunk's first line.
    SizeEnd {
        size: u64,
    },
    /// So many bytes of data are left.
    Data {
        left: u64,
    },
    /// CR and LF behind the data.
    DataCr,
    DataLf,
    /// A trailer field; whether its name ended, and bytes of all trailers.
    Trailer {
        begun: bool,
        named: bool,
        length: u16,
    },
    /// The LF of a trailer; whether the line was the empty one.
    TrailerEnd {
        last: bool,
        length: u16,
    },
    /// Nothing more is of interest.
    Over,
}

impl Default for Watch {
    fn default() -> Self {
        Self { step: Step::Line { blanks: 0, begun: false }, faults: 0 }
    }
}

impl Watch {
    /// Reads on; returns everything noted so far.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u8 {
        while !bytes.is_empty() && self.step != Step::Over {
            let used = match self.step {
                Step::Line { .. } => self.line(bytes),
                Step::Fields { matched } => self.fields(bytes, matched),
                Step::Data { left } => self.data(bytes, left),
                _ => {
                    let next = bytes.first().and_then(|byte| self.chunk_byte(*byte));
                    self.step = next.unwrap_or_else(|| self.broken());
                    1
                }
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
        self.faults
    }

    /// Whether the request line has not ended yet.
    pub(super) fn in_line(&self) -> bool {
        matches!(self.step, Step::Line { .. })
    }

    fn broken(&mut self) -> Step {
        self.faults |= BAD_CHUNKS;
        Step::Over
    }

    /// To the next blank or the end of the line; empty lines before it are skipped (RFC 9112 section 2.2).
    fn line(&mut self, bytes: &[u8]) -> usize {
        let Step::Line { blanks, begun } = self.step else { return 0 };
        let Some(at) = memchr2(b' ', b'\n', bytes) else {
            self.step = Step::Line { blanks, begun: begun || bytes.iter().any(|b| *b != b'\r') };
            return bytes.len();
        };
        let begun = begun || bytes.iter().take(at).any(|byte| *byte != b'\r');
        self.step = if bytes.get(at) == Some(&b' ') {
            Step::Line { blanks: blanks.saturating_add(1), begun: true }
        } else if begun {
            if blanks != 2 {
                self.faults |= BAD_LINE;
            }
            // The CR LF of this line may be half of what ends the head.
            Step::Fields { matched: 2 }
        } else {
            Step::Line { blanks: 0, begun: false }
        };
        at + 1
    }

    /// To the next byte that may belong to the empty line. A head with bare line feeds is refused elsewhere.
    fn fields(&mut self, bytes: &[u8], matched: u8) -> usize {
        if matched == 0 {
            // Straight to the next CR.
            let at = memchr(b'\r', bytes);
            self.step = Step::Fields { matched: u8::from(at.is_some()) };
            return at.map_or(bytes.len(), |at| at + 1);
        }
        self.step = match (matched, bytes.first()) {
            (3, Some(b'\n')) => Step::Size { digits: 0, size: 0 },
            (2, Some(b'\r')) => Step::Fields { matched: 3 },
            (1, Some(b'\n')) => Step::Fields { matched: 2 },
            (_, Some(b'\r')) => Step::Fields { matched: 1 },
            _ => Step::Fields { matched: 0 },
        };
        1
    }

    fn data(&mut self, bytes: &[u8], left: u64) -> usize {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(count as u64);
        self.step = if left == 0 { Step::DataCr } else { Step::Data { left } };
        count
    }

    /// One byte of what frames a chunk; `None`: it may not stand there.
    fn chunk_byte(&self, byte: u8) -> Option<Step> {
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        match self.step {
            Step::Size { digits, size } => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(value)) if digits < MAX_DIGITS => {
                    Some(Step::Size { digits: digits + 1, size: size << 4 | u64::from(value) })
                }
                (b';', _) if digits > 0 => Some(Step::Extension { size, length: 0 }),
                (b'\r', _) if digits > 0 => Some(Step::SizeEnd { size }),
                _ => None,
            },
            Step::Extension { size, .. } if byte == b'\r' => Some(Step::SizeEnd { size }),
            Step::Extension { size, length } => {
                let fits = is_text && length < MAX_EXTENSION;
                fits.then_some(Step::Extension { size, length: length + 1 })
            }
            Step::SizeEnd { size } => (byte == b'\n').then_some(match size {
                0 => Step::Trailer { begun: false, named: false, length: 0 },
                left => Step::Data { left },
            }),
            Step::DataCr => (byte == b'\r').then_some(Step::DataLf),
            Step::DataLf => (byte == b'\n').then_some(Step::Size { digits: 0, size: 0 }),
            Step::Trailer { begun, named, length } => match byte {
                b'\r' if begun == named => Some(Step::TrailerEnd { last: !begun, length }),
                _ if length >= MAX_TRAILERS => None,
                b':' if begun => Some(Step::Trailer { begun, named: true, length: length + 1 }),
                _ => {
                    let fits = if named { is_text } else { is_token(byte) };
                    fits.then_some(Step::Trailer { begun: true, named, length: length + 1 })
                }
            },
            Step::TrailerEnd { last, length } => (byte == b'\n').then_some(match last {
                true => Step::Over,
                false => Step::Trailer { begun: false, named: false, length: length + 2 },
            }),
            _ => None,
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// In one piece, byte by byte, and cut in two at every place: the verdict is the same.
    fn of(text: &str) -> u8 {
        let bytes = text.as_bytes();
        let whole = Watch::default().read(bytes);
        let mut single = Watch::default();
        let one_by_one = bytes.iter().fold(0, |_, byte| single.read(&[*byte]));
        assert_eq!(whole, one_by_one, "{text:?}");
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            let mut halves = Watch::default();
            halves.read(first);
            assert_eq!(halves.read(second), whole, "{text:?} cut at {at}");
        }
        whole
    }

    #[test]
    fn well_formed_requests_have_no_fault() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00a;name=value;other=\"quoted\"\r\n0123456789\r\n0\r\n\r\n",
            "5\r\nhe\r\no\r\n0\r\nX-Sum: abc\r\nOther:\r\n\r\n",
            "FFFFFFFFFFFFFFFF\r\nbegun",
            "",
        ] {
            assert_eq!(of(&format!("{HEAD}{body}")), 0, "{body:?}");
        }
        assert_eq!(of("\r\n\r\nGET / HTTP/1.1\r\nHost: a b c\r\n\r\n"), 0);
        assert_eq!(of("GET / HTTP/1.1\r\n\r\n"), 0);
    }

    // requirement: 15
    #[test]
    fn chunks_that_readers_end_in_different_places_are_noted() {
        for body in [
            "\r\n\r\n",
            "5\r\nhello\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5\t;a\r\nhello\r\n0\r\n\r\n",
            " 5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "5;\n\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloXX0\r\n\r\n",
            "0\n\n",
            "0\r\n\n",
            "0\r\nX-Sum : a\r\n\r\n",
            "0\r\nX-Sum: a\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nnocolon\r\n\r\n",
            "0\r\n: a\r\n\r\n",
            "0\r\n folded: a\r\n\r\n",
            "10000000000000000\r\n",
            "GET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(of(&format!("{HEAD}{body}")), BAD_CHUNKS, "{body:?}");
        }
        let long = format!("{HEAD}5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(257));
        assert_eq!(Watch::default().read(long.as_bytes()), BAD_CHUNKS);
        let trailers = format!("{HEAD}0\r\n{}\r\n", "X: y\r\n".repeat(2048));
        assert_eq!(Watch::default().read(trailers.as_bytes()), BAD_CHUNKS);
    }

    // requirement: 15
    #[test]
    fn a_request_line_has_two_blanks() {
        for line in ["GET /a b HTTP/1.1", "GET  / HTTP/1.1", "GET /", "GET / HTTP/1.1 ", " GET / H"]
        {
            assert_eq!(of(&format!("{line}\r\nHost: a\r\n\r\n")) & BAD_LINE, BAD_LINE, "{line}");
        }
    }
}
