//! A strict look at the raw bytes of a request head.
//!
//! pingora's parser repairs some of what two parsers could read differently: it takes bare line feeds, drops a
//! `Content-Length` beside `Transfer-Encoding`, and cuts fragments off. So the bytes themselves are judged here, once,
//! before anything is believed (requirements, lines 15 and 18; RFC 9112 sections 2.2, 3, 5 and 6).

use memchr::{memchr, memchr3};

use super::ClientLimits;
use crate::pipeline::{deny::Malformed, scan};

/// Judges a raw head: request line and fields, up to and including the empty line.
pub(super) fn judge(raw: &[u8], limits: &ClientLimits) -> Result<(), Malformed> {
    // RFC 9112 section 2.2: empty lines before a request line are skipped, and the parser did.
    let raw = skip_empty_lines(raw);
    let (line, mut rest) = split_line(raw)?;
    if line.len() > limits.request_line {
        return Err(Malformed::LineTooLong);
    }
    request_line(line)?;
    if rest.len() > limits.headers {
        return Err(Malformed::HeadTooLarge);
    }
    let mut framing = Framing::default();
    for _ in 0..=limits.header_count {
        let (field, next) = split_line(rest)?;
        if field.is_empty() {
            if framing.cookies > limits.cookies {
                return Err(Malformed::HeadTooLarge);
            }
            return framing.verdict();
        }
        if field.len() > limits.header {
            return Err(Malformed::HeadTooLarge);
        }
        framing.field(field)?;
        rest = next;
    }
    Err(Malformed::HeadTooLarge)
}

fn skip_empty_lines(mut raw: &[u8]) -> &[u8] {
    while let [b'\r', b'\n', rest @ ..] = raw {
        raw = rest;
    }
    raw
}

/// Splits at CR LF. A bare CR, a bare LF or a NUL anywhere before it is refused.
fn split_line(raw: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    match memchr3(b'\r', b'\n', 0, raw).map(|at| raw.split_at(at)) {
        Some((line, [b'\r', b'\n', rest @ ..])) => Ok((line, rest)),
        _ => Err(Malformed::Framing),
    }
}

/// One method, one target, one version, one blank between each; no fragment.
fn request_line(line: &[u8]) -> Result<(), Malformed> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(_), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed::Framing);
    };
    if !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
        return Err(Malformed::Framing);
    }
    let scheme =
        |own: &[u8]| target.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own));
    // The origin form, the absolute form of a scheme of ours, or a star (RFC 9112 section 3.2).
    if !(target.starts_with(b"/") || target == b"*" || scheme(b"http://") || scheme(b"https://")) {
        return Err(Malformed::Target);
    }
    if target.contains(&b'#') {
        return Err(Malformed::PathByte);
    }
    Ok(())
}

/// What the head says about the length of the body.
#[derive(Default)]
struct Framing {
    lengths: usize,
    encodings: usize,
    faulty: bool,
    /// Bytes of all cookies, which may stand in several fields.
    cookies: usize,
}

impl Framing {
    fn field(&mut self, field: &[u8]) -> Result<(), Malformed> {
        // A line that begins with a blank continues the one before (obs-fold).
        if matches!(field.first(), Some(b' ' | b'\t')) {
            return Err(Malformed::Framing);
        }
        let Some(colon) = memchr(b':', field) else {
            return Err(Malformed::Framing);
        };
        let (name, value) = field.split_at(colon);
        if name.is_empty() || name.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Malformed::Framing);
        }
        // Control bytes other than the tab never stand in a value.
        if !scan::all(value, |byte| ((byte >= b' ') | (byte == b'\t')) & (byte != 0x7f)) {
            return Err(Malformed::Header);
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // Underscores fold to dashes in some upstreams: such a spelling of a framing header is no accident.
        if same(name, b"content-length") {
            self.lengths += 1;
            self.faulty |= value.is_empty() || !value.iter().all(u8::is_ascii_digit);
        } else if same(name, b"transfer-encoding") {
            self.encodings += 1;
            // Byte for byte, as the view reads it: who writes it otherwise wants two readers to differ.
            self.faulty |= value != b"chunked";
        } else if same(name, b"cookie") {
            self.cookies += value.len();
        }
        Ok(())
    }

    fn verdict(&self) -> Result<(), Malformed> {
        if self.faulty || self.lengths + self.encodings > 1 {
            return Err(Malformed::Framing);
        }
        Ok(())
    }
}

fn same(name: &[u8], wanted: &[u8]) -> bool {
    name.len() == wanted.len()
        && name.iter().zip(wanted).all(|(own, wanted)| {
            own.eq_ignore_ascii_case(wanted) || (*own == b'_' && *wanted == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(raw: &[u8]) -> Result<(), Malformed> {
        super::judge(raw, &ClientLimits::default())
    }

    fn of(fields: &str) -> Result<(), Malformed> {
        judge(format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn ordinary_heads_pass() {
        assert_eq!(of(""), Ok(()));
        assert_eq!(of("Content-Length: 5\r\nX-Y:\r\nX-Z: a\tb\r\n"), Ok(()));
        assert_eq!(of("transfer-encoding: chunked\r\n"), Ok(()));
        assert_eq!(judge(b"\r\nGET / HTTP/1.0\r\n\r\n"), Ok(()));
    }

    #[test]
    fn a_body_length_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content_Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: Chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "X: a\r\n b\r\n",
            "X: a\n",
            "X: a\rb\r\n",
            "X: a\0b\r\n",
            "no colon\r\n",
            ": empty name\r\n",
        ] {
            assert_eq!(of(fields), Err(Malformed::Framing), "{fields:?}");
        }
    }

    #[test]
    fn odd_request_lines_are_refused() {
        for line in
            ["GET  / HTTP/1.1", "GET /", "GET / HTTP/1.1 ", "GET / HTTP/2.0", "GET /a b HTTP/1.1"]
        {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            assert_eq!(judge(head.as_bytes()), Err(Malformed::Framing), "{line:?}");
        }
        assert_eq!(judge(b"GET /a#b HTTP/1.1\r\n\r\n"), Err(Malformed::PathByte));
        for target in ["ftp://a/b", "a/b", "a:443", "http:/a", "//", "*", "HTTPS://a/"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let passes = ["//", "*", "HTTPS://a/"].contains(&target);
            assert_eq!(judge(head.as_bytes()).is_ok(), passes, "{target}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(of(&format!("X: {}\r\n", "a".repeat(9000))), Err(Malformed::HeadTooLarge));
        assert_eq!(of(&"X: a\r\n".repeat(101)), Err(Malformed::HeadTooLarge));
        assert_eq!(
            of(&format!("X: {}\r\n", "a".repeat(7000)).repeat(6)),
            Err(Malformed::HeadTooLarge)
        );
        let cookies = format!("Cookie: a={}\r\n", "a".repeat(5000));
        assert_eq!(of(&cookies), Ok(()));
        assert_eq!(of(&cookies.repeat(2)), Err(Malformed::HeadTooLarge));
        let line = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000));
        assert_eq!(judge(line.as_bytes()), Err(Malformed::LineTooLong));
    }

    #[test]
    fn control_bytes_in_values_are_refused() {
        assert_eq!(of("X: a\x01b\r\n"), Err(Malformed::Header));
        assert_eq!(of("X: a\x7fb\r\n"), Err(Malformed::Header));
    }
}
