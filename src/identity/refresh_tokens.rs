//! The text of refresh tokens: `<id>.<secret>`, derived from a key in the store, the family and the generation.
//!
//! Derived, so that a repeated refresh within the grace window gives the very same successor although only digests
//! are stored. Without the key the next token of a family cannot be foretold, not even by who reads the store.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{Digest, SecretString, secret::ExposeSecret};

/// Bytes of the id: 32 characters.
const ID_BYTES: usize = 24;
/// Longest text looked at.
const LONGEST: usize = 256;

/// Derives refresh tokens.
pub(super) struct RefreshKey(hmac::Key);

/// A refresh token as the client has it.
pub(super) struct RefreshText(pub(super) SecretString);

impl RefreshKey {
    /// From 32 random bytes.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The token of this place in a family.
    pub(super) fn derive(&self, family: &str, generation: i64) -> RefreshText {
        let part = |label: &[u8]| {
            let mut context = hmac::Context::with_key(&self.0);
            // The label has a fixed length per use and the generation a fixed one: no two inputs run together.
            context.update(label);
            context.update(&generation.to_be_bytes());
            context.update(family.as_bytes());
            context.sign()
        };
        let (id, secret) = (part(b"refresh id"), part(b"refresh secret"));
        let id = id.as_ref().get(..ID_BYTES).unwrap_or_default();
        let text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(id), URL_SAFE_NO_PAD.encode(secret.as_ref()));
        RefreshText(text.into())
    }
}

impl RefreshText {
    /// Takes a presented text; `None`: it cannot be one.
    pub(super) fn parse(text: &SecretString) -> Option<Self> {
        let plain = text.expose_secret();
        let (id, secret) = plain.split_once('.')?;
        (plain.len() <= LONGEST && !id.is_empty() && !secret.is_empty()).then(|| Self(text.clone()))
    }

    /// The public half.
    pub(super) fn id(&self) -> &str {
        let plain = self.0.expose_secret();
        plain.split_once('.').map_or(plain, |(id, _)| id)
    }

    /// What the store keeps.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.0.expose_secret().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_family_has_one_text_and_no_other_place_has_it() {
        let key = RefreshKey::new(&[7; 32]);
        let text = |key: &RefreshKey, family, generation| {
            key.derive(family, generation).0.expose_secret().to_owned()
        };
        let one = text(&key, "f", 1);
        assert_eq!(one, text(&key, "f", 1));
        assert_ne!(one, text(&key, "f", 2));
        assert_ne!(one, text(&key, "g", 1));
        assert_ne!(one, text(&RefreshKey::new(&[8; 32]), "f", 1));
        let (id, secret) = one.split_once('.').unwrap();
        assert_eq!((id.len(), secret.len()), (32, 43));
        let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(id.chars().chain(secret.chars()).all(url_safe));
    }

    #[test]
    fn odd_texts_are_no_refresh_tokens() {
        for text in ["", ".", "a.", ".b", "ab", &format!("a.{}", "b".repeat(300))] {
            assert!(RefreshText::parse(&text.into()).is_none(), "{text:.20}");
        }
        assert_eq!(RefreshText::parse(&"a.b.c".into()).unwrap().id(), "a");
    }
}
