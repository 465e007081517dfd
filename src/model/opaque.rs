//! Opaque secrets as texts: login states, exchange codes, session ids. 256 random bits in URL-safe letters.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Digest, Random, SecretString, random::RandomError};

const BYTES: usize = 32;
/// Length of every such text.
pub const CHARS: usize = 43;

/// Makes one. The text exists once, here; the store gets the digest.
pub fn issue(random: &dyn Random) -> Result<(SecretString, Digest), RandomError> {
    let mut bytes = [0; BYTES];
    random.fill(&mut bytes)?;
    let text = URL_SAFE_NO_PAD.encode(bytes);
    let digest = Digest::of(text.as_bytes());
    Ok((text.into(), digest))
}

/// The digest of a presented text; `None`: it cannot be one of ours, and no look-up is needed.
pub fn digest(text: &str) -> Option<Digest> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let formed = text.len() == CHARS && text.bytes().all(letter);
    formed.then(|| Digest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SystemRandom, secret::ExposeSecret};

    #[test]
    fn an_issued_text_has_the_digest_that_it_is_found_by() {
        let (text, kept) = issue(&SystemRandom).unwrap();
        assert_eq!(digest(text.expose_secret()), Some(kept));
        let (other, _) = issue(&SystemRandom).unwrap();
        assert_ne!(digest(other.expose_secret()), Some(kept));
    }

    #[test]
    fn other_texts_are_none() {
        for text in
            ["", "a", &"a".repeat(42), &"a".repeat(44), &"\u{e4}".repeat(22), &"/".repeat(43)]
        {
            assert_eq!(digest(text), None, "{text}");
        }
    }
}
