//! What other nodes must hear of: that something they may hold in memory has ended or is different now.

use crate::model::Timestamp;

/// One change, as the store counts them: without gaps, in the order of their commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Its number.
    pub seq: u64,
    /// When it was made, by the store's clock.
    pub at: Timestamp,
    /// What it is about.
    pub kind: ChangeKind,
    /// Which one of these; empty: all of them.
    pub subject: String,
    /// Until when it matters, where that is known.
    pub until: Option<Timestamp>,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A token has ended.
    Token,
    /// A session has ended.
    Session,
    /// A key of the API is new, different or revoked.
    Key,
    /// An account may do something else, or nothing any more.
    Account,
    /// Members of an organisation may do something else.
    Access,
    /// A set of signing keys has another one.
    SigningKeys,
    /// A word of a newer version: anything may have changed.
    Anything,
}

impl ChangeKind {
    /// Every kind that has a word.
    pub const NAMED: [ChangeKind; 6] = [
        ChangeKind::Token,
        ChangeKind::Session,
        ChangeKind::Key,
        ChangeKind::Account,
        ChangeKind::Access,
        ChangeKind::SigningKeys,
    ];

    /// As it is written in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Token => "token",
            ChangeKind::Session => "session",
            ChangeKind::Key => "key",
            ChangeKind::Account => "account",
            ChangeKind::Access => "access",
            ChangeKind::SigningKeys => "signing_keys",
            ChangeKind::Anything => "anything",
        }
    }

    /// Reads it. A word that is not known is one of a newer version.
    pub fn parse(text: &str) -> Self {
        let named = Self::NAMED.into_iter().find(|kind| kind.as_str() == text);
        named.unwrap_or(ChangeKind::Anything)
    }
}

/// Changes behind some number, as the store gave them in one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// The number of the newest change that there is.
    pub head: u64,
    /// In their order, as many as were asked for at most.
    pub changes: Vec<ChangeRecord>,
}

/// What was said of changes while they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// This one.
    Change(ChangeRecord),
    /// There are some, up to this number.
    UpTo(u64),
    /// Some may have been missed.
    Interrupted,
}

impl Announcement {
    /// Reads the text of a notification: `SEQ`, or `SEQ AT UNTIL KIND SUBJECT`, where `UNTIL` may be `-`. `None`: it is not
    /// one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, ' ');
        let seq = parts.next()?.parse().ok()?;
        let Some(at) = parts.next() else { return Some(Self::UpTo(seq)) };
        let until = match parts.next()? {
            "-" => None,
            until => Some(Timestamp(until.parse().ok()?)),
        };
        Some(Self::Change(ChangeRecord {
            seq,
            at: Timestamp(at.parse().ok()?),
            kind: ChangeKind::parse(parts.next()?),
            subject: parts.next()?.to_owned(),
            until,
        }))
    }

    /// The text that [`Announcement::parse`] reads; `None`: there is nothing to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Interrupted => None,
            Self::UpTo(seq) => Some(seq.to_string()),
            Self::Change(change) => {
                let ChangeRecord { seq, at, kind, subject, until } = change;
                let until =
                    until.map_or_else(|| "-".to_owned(), |until| until.millis().to_string());
                Some(format!("{seq} {} {until} {} {subject}", at.millis(), kind.as_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_read_as_it_was_written_and_nothing_else_is_one() {
        let change = ChangeRecord {
            seq: 7,
            at: Timestamp(1_700_000_000_000),
            kind: ChangeKind::Session,
            subject: "a b".into(),
            until: Some(Timestamp(5)),
        };
        let empty = ChangeRecord { subject: String::new(), until: None, ..change.clone() };
        for said in
            [Announcement::Change(change), Announcement::Change(empty), Announcement::UpTo(9)]
        {
            assert_eq!(Announcement::parse(&said.text().unwrap()), Some(said));
        }
        for text in ["", "x", "7 8", "7 8 9", "7 x - key k", "7 8 x key k", "-1", "7 8 - key"] {
            assert_eq!(Announcement::parse(text), None, "{text}");
        }
        assert_eq!(Announcement::Interrupted.text(), None);
    }

    #[test]
    fn a_word_of_a_newer_version_is_anything() {
        for kind in ChangeKind::NAMED {
            assert_eq!(ChangeKind::parse(kind.as_str()), kind);
        }
        assert_eq!(ChangeKind::parse("tenant"), ChangeKind::Anything);
    }
}
