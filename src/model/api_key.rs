//! The text form of an API key: `<prefix><id>.<secret><checksum>`, or `<prefix><secret>` where a contract fixes that.
//!
//! The checksum lets a mistyped or made-up key be refused without a look-up (security requirement 13). It is no
//! proof of anything: the stored digest decides. A key without an id of its own is known by one that is derived from its
//! text, so that it is looked up like any other; from the id nobody gets back to the text.

use std::{fmt, sync::Arc};

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

/// What stands behind the prefix of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// `<id>.<secret><checksum>`.
    WithId,
    /// `<secret>`; the public id is derived.
    Bare,
}

/// How the keys of a mount look. A text alone is the prefix of keys with an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFormat {
    /// Tells people and scanners what the key is: `tmws_key_`.
    pub prefix: Arc<str>,
    /// What stands behind it.
    pub form: KeyForm,
}

impl<T: Into<Arc<str>>> From<T> for KeyFormat {
    fn from(prefix: T) -> Self {
        Self { prefix: prefix.into(), form: KeyForm::WithId }
    }
}

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

/// Makes a key of this format.
pub fn issue(format: &KeyFormat, random: &dyn Random) -> Result<IssuedKey, RandomError> {
    let KeyFormat { prefix, form } = format;
    let mut id = [0; ID_BYTES];
    random.fill(&mut id)?;
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes)?;
    let mut secret = URL_SAFE_NO_PAD.encode(bytes);
    let hint = secret.chars().take(8).collect();
    if *form == KeyForm::Bare {
        let text = format!("{prefix}{secret}");
        let (id, digest) = (derived_id(&text), Digest::of(text.as_bytes()));
        return Ok(IssuedKey { text: text.into(), digest, id, hint });
    }
    let id = KeyId::new(format!("{prefix}{}", hex(&id)));
    let check = checksum(&format!("{id}.{secret}"));
    secret.extend(check.map(char::from));
    Ok(IssuedKey {
        text: format!("{id}.{secret}").into(),
        digest: Digest::of(secret.as_bytes()),
        id,
        hint,
    })
}

/// Takes a presented key apart. `None`: not a key of this format, or its checksum does not fit.
pub fn parse(format: &KeyFormat, text: &str) -> Option<PresentedKey> {
    if text.len() > MAX_KEY_BYTES {
        return None;
    }
    let rest = text.strip_prefix(&*format.prefix)?;
    if format.form == KeyForm::Bare {
        let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = rest.len() == SECRET_CHARS && rest.bytes().all(url_safe);
        return fits
            .then(|| PresentedKey { id: derived_id(text), digest: Digest::of(text.as_bytes()) });
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

/// The public id of a key that has none in its text: a UUID from a digest that is not the stored one.
fn derived_id(text: &str) -> KeyId {
    let digest = Digest::of(format!("key id\n{text}").as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    KeyId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string())
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

    fn tmws() -> KeyFormat {
        "tmws_key_".into()
    }

    fn inkpass() -> KeyFormat {
        KeyFormat { form: KeyForm::Bare, .."inkpass_".into() }
    }

    // requirement: 13
    #[test]
    fn an_issued_key_parses_back_to_its_id_and_digest() {
        let key = issue(&tmws(), &SystemRandom).unwrap();
        let seen = parse(&tmws(), key.text.expose_secret()).unwrap();
        assert_eq!(seen, PresentedKey { id: key.id.clone(), digest: key.digest });
        assert!(key.id.as_str().starts_with("tmws_key_"));
        assert!(!format!("{key:?}").contains(key.text.expose_secret()));
    }

    // requirement: 13
    #[test]
    fn any_changed_character_is_refused_before_a_look_up() {
        let key = issue(&tmws(), &SystemRandom).unwrap();
        let text = key.text.expose_secret();
        for at in "tmws_key_".len()..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(parse(&tmws(), &changed), None, "position {at}");
        }
    }

    #[test]
    fn a_bare_key_is_prefix_and_secret_and_known_by_an_id_that_tells_nothing() {
        let key = issue(&inkpass(), &SystemRandom).unwrap();
        let text = key.text.expose_secret();
        assert_eq!(text.len(), "inkpass_".len() + SECRET_CHARS);
        let seen = parse(&inkpass(), text).unwrap();
        assert_eq!(seen, PresentedKey { id: key.id.clone(), digest: key.digest });
        assert!(uuid::Uuid::parse_str(key.id.as_str()).is_ok(), "{}", key.id);
        let stored = hex(key.digest.as_bytes());
        assert!(!stored.starts_with(&key.id.as_str().replace('-', "")[..8]));

        let other = issue(&inkpass(), &SystemRandom).unwrap();
        assert_ne!(other.id, key.id);
        let longer = format!("{text}a");
        for odd in ["inkpass_", &text[1..], &text[..text.len() - 1], &longer, "inkpass_ä", "x"] {
            assert_eq!(parse(&inkpass(), odd), None, "{odd}");
        }
        assert_eq!(parse(&"inkpass_".into(), text), None, "another form");
    }

    #[test]
    fn odd_texts_are_no_keys() {
        for text in ["", ".", "tmws_key_", "tmws_key_a.b", "other_a.b", &"x".repeat(5000)] {
            assert_eq!(parse(&tmws(), text), None, "{text:.20}");
        }
    }
}
