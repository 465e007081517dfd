//! The text form of an API key: `<prefix><id>.<secret><checksum>`.
//!
//! The checksum lets a mistyped or made-up key be refused without a look-up (security requirement 13). It is no
//! proof of anything: the stored digest decides.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Digest, KeyId, Random, SecretString, random::RandomError};

/// Random bytes in the secret: 256 bits.
const SECRET_BYTES: usize = 32;
/// Random bytes in the id: enough that ids never meet, short enough to read in a list.
const ID_BYTES: usize = 10;
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Longest key text looked at (security requirements, section 3).
pub const MAX_KEY_BYTES: usize = 256;

/// A well-formed key as presented: the public id and the digest of the secret. The secret itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedKey {
    /// Public part, prefix included.
    pub id: KeyId,
    /// SHA-256 of the secret part.
    pub digest: Digest,
}

/// A new key. The text exists once, here; the store gets only id and digest.
pub struct IssuedKey {
    /// Public part, prefix included.
    pub id: KeyId,
    /// The whole key as the client must send it.
    pub text: SecretString,
    /// What the store keeps.
    pub digest: Digest,
    /// First 8 characters of the secret, shown in lists (contract tmws, `key_prefix`).
    pub hint: String,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a key with this prefix, such as `tmws_key_`.
pub fn issue(prefix: &str, random: &dyn Random) -> Result<IssuedKey, RandomError> {
    let mut id = [0; ID_BYTES];
    random.fill(&mut id)?;
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes)?;
    let id = KeyId::new(format!("{prefix}{}", hex(&id)));
    let mut secret = URL_SAFE_NO_PAD.encode(bytes);
    let hint = secret.chars().take(8).collect();
    let check = checksum(&format!("{id}.{secret}"));
    secret.extend(check.map(char::from));
    Ok(IssuedKey {
        text: format!("{id}.{secret}").into(),
        digest: Digest::of(secret.as_bytes()),
        id,
        hint,
    })
}

/// Takes a presented key apart. `None`: not a key of this prefix, or its checksum does not fit.
pub fn parse(prefix: &str, text: &str) -> Option<PresentedKey> {
    if text.len() > MAX_KEY_BYTES || !text.starts_with(prefix) {
        return None;
    }
    let (id, secret) = text.split_once('.')?;
    if secret.len() != SECRET_CHARS + CHECKSUM_CHARS || !secret.is_ascii() {
        return None;
    }
    let (_, check) = secret.split_at(SECRET_CHARS);
    // What is summed stands in the text as it is.
    let summed = text.get(..text.len() - CHECKSUM_CHARS)?;
    if checksum(summed) != check.as_bytes() {
        return None;
    }
    Some(PresentedKey { id: id.into(), digest: Digest::of(secret.as_bytes()) })
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// CRC-32 of the key's text up to where the checksum stands: it finds mistakes, and proves nothing.
fn checksum(summed: &str) -> [u8; CHECKSUM_CHARS] {
    let mut text = [0; CHECKSUM_CHARS];
    // Four bytes are six characters, so they fit.
    let _ =
        URL_SAFE_NO_PAD.encode_slice(crc32fast::hash(summed.as_bytes()).to_be_bytes(), &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SystemRandom, secret::ExposeSecret};

    #[test]
    fn an_issued_key_parses_back_to_its_id_and_digest() {
        let key = issue("tmws_key_", &SystemRandom).unwrap();
        let seen = parse("tmws_key_", key.text.expose_secret()).unwrap();
        assert_eq!(seen, PresentedKey { id: key.id.clone(), digest: key.digest });
        assert!(key.id.as_str().starts_with("tmws_key_"));
        assert!(!format!("{key:?}").contains(key.text.expose_secret()));
    }

    #[test]
    fn any_changed_character_is_refused_before_a_look_up() {
        let key = issue("tmws_key_", &SystemRandom).unwrap();
        let text = key.text.expose_secret();
        for at in "tmws_key_".len()..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(parse("tmws_key_", &changed), None, "position {at}");
        }
    }

    #[test]
    fn odd_texts_are_no_keys() {
        for text in ["", ".", "tmws_key_", "tmws_key_a.b", "other_a.b", &"x".repeat(5000)] {
            assert_eq!(parse("tmws_key_", text), None, "{text:.20}");
        }
    }
}
