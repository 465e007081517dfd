//! The canonical path: one form for routing, policy, limits, log and the bytes sent upstream, or a refusal.

use std::borrow::Cow;

use super::deny::Malformed;

/// A path in its one canonical form. It begins with a single `/`, has upper-case percent escapes only where they are
/// needed, no dot segments, no NUL, control, backslash or `#`, and no double encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    text: Cow<'a, str>,
    has_encoded_slash: bool,
    has_semicolon: bool,
    has_empty_segment: bool,
}

impl<'a> CanonicalPath<'a> {
    /// Reads the path part of a request target (no query). RFC 3986 section 6; requirements line 20.
    ///
    /// Unreserved escapes are decoded, all others written in upper case; bytes that may not stand raw in a path but
    /// that clients send (`|`, `{`, …) are escaped, so that both spellings meet the same rule.
    pub fn parse(raw: &'a str) -> Result<Self, Malformed> {
        if !raw.starts_with('/') {
            return Err(Malformed::Target);
        }
        let extra = raw.bytes().take_while(|byte| *byte == b'/').count().saturating_sub(1);
        let (text, seen) = rewrite(raw.get(extra..).unwrap_or("/"))?;
        if seen.high_escape && percent_encoding::percent_decode_str(&text).decode_utf8().is_err() {
            return Err(Malformed::PathEncoding);
        }
        if seen.escape && is_double_encoded(&text) {
            return Err(Malformed::PathDoubleEncoding);
        }
        if seen.dot && has_dot_segment(&text) {
            return Err(Malformed::PathDots);
        }
        Ok(Self {
            has_encoded_slash: seen.escape && text.contains("%2F"),
            has_semicolon: seen.semicolon || (seen.escape && text.contains("%3B")),
            has_empty_segment: seen.empty_segment,
            text,
        })
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What follows a mount's prefix of `prefix_len` bytes: begins with one `/`, as the whole path does. This is what is
    /// judged and what is sent, so a run of slashes behind the prefix counts as one for both; sent as it stands it would
    /// also read as another host (RFC 3986 section 4.2). See [`super::route::Found`].
    pub fn behind(&self, prefix_len: usize) -> &str {
        let rest = self.text.get(prefix_len..).unwrap_or_default();
        let slashes = rest.bytes().take_while(|byte| *byte == b'/').count();
        slashes.checked_sub(1).and_then(|extra| rest.get(extra..)).unwrap_or("/")
    }

    /// `%2F` somewhere.
    pub fn has_encoded_slash(&self) -> bool {
        self.has_encoded_slash
    }

    /// `;` or `%3B` somewhere.
    pub fn has_semicolon(&self) -> bool {
        self.has_semicolon
    }

    /// `//` after the first byte.
    pub fn has_empty_segment(&self) -> bool {
        self.has_empty_segment
    }
}

/// What one pass over the bytes met, so that the slower checks run only where they can find something.
#[derive(Default)]
struct Seen {
    escape: bool,
    high_escape: bool,
    dot: bool,
    semicolon: bool,
    empty_segment: bool,
}

/// Checks every byte and brings the text into canonical spelling; copies only when something changes.
fn rewrite(text: &str) -> Result<(Cow<'_, str>, Seen), Malformed> {
    let mut seen = Seen::default();
    let mut copy: Option<String> = None;
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let at = text.len() - rest.len();
        rest = tail;
        let done = || text.get(..at).unwrap_or_default().to_owned();
        match *byte {
            b'%' => {
                let [high, low, after @ ..] = tail else { return Err(Malformed::PathEncoding) };
                let value = hex_pair(*high, *low).ok_or(Malformed::PathEncoding)?;
                rest = after;
                if value < 0x20 || value == 0x7f {
                    return Err(Malformed::PathEncoding);
                }
                if value == b'\\' {
                    return Err(Malformed::PathByte);
                }
                seen.high_escape |= value >= 0x80;
                if is_unreserved(value) {
                    seen.dot |= value == b'.';
                    copy.get_or_insert_with(done).push(char::from(value));
                } else if high.is_ascii_lowercase() || low.is_ascii_lowercase() {
                    seen.escape = true;
                    push_escape(copy.get_or_insert_with(done), value);
                } else {
                    seen.escape = true;
                    if let Some(copy) = &mut copy {
                        push_escape(copy, value);
                    }
                }
            }
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                seen.escape = true;
                push_escape(copy.get_or_insert_with(done), *byte);
            }
            b'\\' | b'#' | b'?' => return Err(Malformed::PathByte),
            byte if !byte.is_ascii_graphic() => return Err(Malformed::PathByte),
            byte => {
                seen.dot |= byte == b'.';
                seen.semicolon |= byte == b';';
                seen.empty_segment |= byte == b'/' && tail.first() == Some(&b'/');
                if let Some(copy) = &mut copy {
                    copy.push(char::from(byte));
                }
            }
        }
    }
    Ok((copy.map_or(Cow::Borrowed(text), Cow::Owned), seen))
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.extend(DIGITS.get(usize::from(nibble)));
    }
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `%25` and two hexadecimal digits: some later reader would decode it twice.
fn is_double_encoded(text: &str) -> bool {
    text.as_bytes().windows(5).any(|window| match window {
        [b'%', b'2', b'5', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    })
}

/// `.` or `..`, also where an upstream would see one after decoding `%2F` or cutting `;parameters` off.
fn has_dot_segment(text: &str) -> bool {
    text.split('/').flat_map(|segment| segment.split("%2F")).any(|segment| {
        let name = segment.split(';').next().unwrap_or(segment);
        let name = name.split("%3B").next().unwrap_or(name);
        name == "." || name == ".."
    })
}

#[cfg(test)]
mod tests;
