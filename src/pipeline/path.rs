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
    pub fn parse(raw: &'a str) -> Result<Self, Malformed> {
        let _ = raw;
        unimplemented!()
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
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
