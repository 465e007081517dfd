//! What the state of some windows is kept under: a fingerprint of the limit, its windows and whom it counts.

use std::net::IpAddr;

use super::table::Key;
use crate::{
    model::{Digest, Fingerprints},
    pipeline::quota::{Charge, KeyPart, Window},
};

/// The key of these windows, the `part`th few of a charge.
pub(in crate::limit) fn of_windows(
    names: &Fingerprints,
    charge: &Charge<'_>,
    part: usize,
    windows: &[Window],
) -> Key {
    let mut text = Text::new(names);
    limit(&mut text, charge.key.limit, windows);
    text.add(&part.to_le_bytes());
    charge.key.parts.iter().for_each(|part| key_part(&mut text, part));
    text.name()
}

/// The key of the coarse bucket of a limit.
pub(in crate::limit) fn of_limit(names: &Fingerprints, name: &str, windows: &[Window]) -> Key {
    let mut text = Text::new(names);
    limit(&mut text, name, windows);
    text.name()
}

/// What a charge is called in all nodes alike: SHA-256 in hexadecimal digits.
pub(in crate::limit) fn in_all_nodes(charge: &Charge<'_>) -> String {
    let mut text = Vec::new();
    limit(&mut text, charge.key.limit, charge.windows);
    charge.key.parts.iter().for_each(|part| key_part(&mut text, part));
    let digest = Digest::of(&text);
    digest.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Every piece has a fixed length or tells its own, so that no two limits are written alike.
fn limit(text: &mut impl Sink, name: &str, windows: &[Window]) {
    piece(text, name);
    text.add(&windows.len().to_le_bytes());
    for window in windows {
        text.add(&window.limit.to_le_bytes());
        text.add(&window.per.as_secs().to_le_bytes());
        text.add(&window.per.subsec_nanos().to_le_bytes());
    }
}

fn key_part(text: &mut impl Sink, part: &KeyPart<'_>) {
    match part {
        KeyPart::Client(IpAddr::V4(address)) => tagged(text, b'4', &address.octets()),
        KeyPart::Client(IpAddr::V6(address)) => tagged(text, b'6', &address.octets()),
        KeyPart::Key(id) => worded(text, b'k', id),
        KeyPart::User(realm, id) => {
            worded(text, b'u', realm);
            piece(text, id);
        }
        KeyPart::Tenant(id) => worded(text, b'o', id),
        KeyPart::Route(name) => worded(text, b'r', name),
        KeyPart::Absent(per) => tagged(text, b'-', &[*per as u8]),
        KeyPart::Text(value) => worded(text, b't', value),
    }
}

fn tagged(text: &mut impl Sink, tag: u8, bytes: &[u8]) {
    text.add(&[tag]);
    text.add(bytes);
}

fn worded(text: &mut impl Sink, tag: u8, word: &str) {
    text.add(&[tag]);
    piece(text, word);
}

fn piece(text: &mut impl Sink, word: &str) {
    text.add(&word.len().to_le_bytes());
    text.add(word.as_bytes());
}

/// Where the pieces of a name go.
trait Sink {
    fn add(&mut self, piece: &[u8]);
}

impl Sink for Vec<u8> {
    fn add(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }
}

/// What is hashed, collected for one pass: a pass for every few bytes costs several times as much.
struct Text<'n> {
    names: &'n Fingerprints,
    bytes: [u8; 160],
    len: usize,
}

impl<'n> Text<'n> {
    fn new(names: &'n Fingerprints) -> Self {
        Self { names, bytes: [0; 160], len: 0 }
    }

    fn name(&self) -> Key {
        self.names.of(self.bytes.get(..self.len).unwrap_or_default())
    }
}

impl Sink for Text<'_> {
    fn add(&mut self, piece: &[u8]) {
        let end = self.len + piece.len();
        if let Some(space) = self.bytes.get_mut(self.len..end) {
            space.copy_from_slice(piece);
            self.len = end;
            return;
        }
        // No room: what there is, and a long piece, are named from here on by their fingerprints.
        let (before, own) = (self.name(), self.names.of(piece));
        self.len = 0;
        for word in [before.0, before.1, own.0, own.1] {
            self.add(&word.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::quota::{Across, KeyParts, LimitKey, Per};

    #[test]
    fn whatever_differs_has_another_key() {
        let names = Fingerprints::new();
        let one = [Window { limit: 5, per: Duration::from_secs(60) }];
        let more = [one[0], Window { limit: 50, per: Duration::from_secs(3600) }];
        let (long, longer) = ("x".repeat(150), "x".repeat(300));
        let parts: [&[KeyPart<'_>]; 18] = [
            &[],
            &[KeyPart::Client([192, 0, 2, 1].into())],
            &[KeyPart::Client([0, 0, 0, 0, 0, 0, 0, 1].into())],
            &[KeyPart::Key("a")],
            &[KeyPart::Tenant("a")],
            &[KeyPart::Route("a")],
            &[KeyPart::Text("a")],
            &[KeyPart::Text("ab")],
            &[KeyPart::User("a", "b")],
            &[KeyPart::User("ab", "")],
            &[KeyPart::Absent(Per::Key)],
            &[KeyPart::Absent(Per::User)],
            &[KeyPart::Key("a"), KeyPart::Key("b")],
            &[KeyPart::Key("b"), KeyPart::Key("a")],
            &[KeyPart::Text(&long)],
            &[KeyPart::Text(&longer)],
            &[KeyPart::Text(&longer), KeyPart::Text(&long)],
            &[KeyPart::Text(&long), KeyPart::Text(&longer)],
        ];
        let mut keys = Vec::new();
        for limit in ["l", "m"] {
            for windows in [&one[..], &more[..]] {
                keys.push(of_limit(&names, limit, windows));
                for parts in parts {
                    let key = LimitKey { limit, parts: KeyParts::from_slice(parts) };
                    let charge = Charge { key, windows, across: Across::default() };
                    keys.extend([0, 1].map(|part| of_windows(&names, &charge, part, windows)));
                }
            }
        }
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((keys.len(), all), (148, 148));
    }
}
