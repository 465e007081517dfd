//! Path patterns of policy rules.

use std::sync::Arc;

use crate::pipeline::pattern::{Pattern, Segment, segments};

/// A path pattern of a rule: `/a/b`, `/a/{id}`, `/a/**`, `**/search`. Compared with the path behind the mount's prefix.
#[derive(Clone, Debug)]
pub struct PathPattern {
    text: Arc<str>,
    kind: Kind,
    rank: Box<[u8]>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// From the root.
    Rooted(Pattern),
    /// `**/search`: any path with this last segment.
    Last(Box<str>),
}

impl PathPattern {
    /// Reads a pattern, or tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let kind = match text.strip_prefix("**/") {
            Some(last) => Kind::Last(last_segment(last)?),
            None => Kind::Rooted(Pattern::parse(text)?),
        };
        let rank = kind.rank().into();
        Ok(Self { text: text.into(), kind, rank })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a canonical path fits. A trailing slash says nothing; `/a/**` also fits `/a`.
    pub fn matches(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Rooted(pattern) => pattern.matches(path),
            Kind::Last(own) => segments(path).last().is_some_and(|last| *last == **own),
        }
    }

    /// How closely the pattern says what it means; of two that fit one path, the greater is the more specific.
    /// Segment by segment: the end of the path before a literal, a parameter, a last segment anywhere, `**`.
    pub(super) fn specificity(&self) -> &[u8] {
        &self.rank
    }
}

impl Kind {
    fn rank(&self) -> Vec<u8> {
        let Kind::Rooted(pattern) = self else { return vec![1] };
        let mut ranks: Vec<u8> = pattern
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 3,
                Segment::Parameter => 2,
            })
            .collect();
        ranks.push(if pattern.open { 0 } else { 4 });
        ranks
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

impl std::str::FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

fn last_segment(text: &str) -> Result<Box<str>, String> {
    match Pattern::parse(&format!("/{text}"))? {
        Pattern { segments, open: false } => match segments.as_slice() {
            [Segment::Literal(last)] => Ok(last.clone()),
            _ => Err("`**/` takes exactly one literal segment".into()),
        },
        _ => Err("`**/` takes exactly one literal segment".into()),
    }
}
