//! The text of refresh tokens, `<id>.<secret>` or a signed token whose `jti` is the id, derived from a key in the store,
//! the family and the generation.
//!
//! Derived, so that a repeated refresh within the grace window gives the very same successor although only digests
//! are stored. Without the key the next token of a family cannot be foretold, not even by who reads the store.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Account, IdentityError, Inner, MountSettings,
    settings::{REFRESH, RefreshForm},
    tokens::{self, Bearer},
};
use crate::model::{Digest, SecretString, SessionId, Timestamp, secret::ExposeSecret};

/// Bytes of the id: 32 characters.
const ID_BYTES: usize = 24;
/// Longest text looked at.
const LONGEST: usize = 256;

/// Derives refresh tokens.
pub(super) struct RefreshKey(hmac::Key);

/// A refresh token as the client has it.
pub(super) struct RefreshText {
    /// The whole.
    pub(super) text: SecretString,
    /// Its public half.
    pub(super) id: String,
    /// What the store keeps.
    pub(super) digest: Digest,
}

/// Where a refresh token stands, and for whom it is made.
pub(super) struct RefreshPlace<'a> {
    /// Family.
    pub(super) family: &'a str,
    /// Place in it.
    pub(super) generation: i64,
    /// Whose.
    pub(super) account: &'a Account,
    /// In which session.
    pub(super) session: &'a SessionId,
    /// End of the session.
    pub(super) expires_at: Timestamp,
}

impl Inner {
    /// The refresh token of a place, in the form of the mount; `None` where there are none. Where it is signed only the
    /// id is the same each time, and nothing else of it is kept.
    pub(super) fn refresh_text(
        &self,
        mount: &MountSettings,
        form: RefreshForm,
        place: &RefreshPlace<'_>,
        now: Timestamp,
    ) -> Result<Option<RefreshText>, IdentityError> {
        let derived = self.refresh_key.derive(place.family, place.generation);
        match form {
            RefreshForm::None => Ok(None),
            RefreshForm::Opaque => Ok(Some(derived)),
            RefreshForm::Jwt => {
                let key = self.signing_key(&mount.name)?;
                let bearer = Bearer {
                    account: place.account,
                    session: place.session,
                    scopes: &[],
                    agents: &[],
                };
                let (id, end) = (derived.id, place.expires_at);
                let text = tokens::mint_refresh(&mount.tokens, &key, &bearer, &id, now, end)?;
                Ok(Some(RefreshText { text, digest: Digest::of(id.as_bytes()), id }))
            }
        }
    }

    /// Takes a presented text; `None`: it cannot be one of this mount.
    pub(super) fn presented(
        &self,
        mount: &MountSettings,
        form: RefreshForm,
        text: &SecretString,
        now: Timestamp,
    ) -> Option<RefreshText> {
        match form {
            RefreshForm::None => None,
            RefreshForm::Opaque => RefreshText::parse(text),
            RefreshForm::Jwt => {
                let keys = self.mount_keys(&mount.name)?.verifying_at(now);
                let audience = mount.tokens.audience.clone();
                let profile = tokens::profile(mount, audience, Some(REFRESH), keys);
                let id = profile.verify(text.expose_secret(), now).ok()?.token?.to_string();
                Some(RefreshText { text: text.clone(), digest: Digest::of(id.as_bytes()), id })
            }
        }
    }
}

impl RefreshKey {
    /// From 32 random bytes.
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A secret for the nonces of proofs, from which nothing of a refresh token follows.
    pub(super) fn nonce_secret(&self) -> Option<[u8; 32]> {
        hmac::sign(&self.0, b"proof nonces").as_ref().try_into().ok()
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
        let id = URL_SAFE_NO_PAD.encode(id);
        let text = format!("{id}.{}", URL_SAFE_NO_PAD.encode(secret.as_ref()));
        RefreshText { digest: Digest::of(text.as_bytes()), id, text: text.into() }
    }
}

impl RefreshText {
    /// Takes a presented text; `None`: it cannot be one.
    pub(super) fn parse(text: &SecretString) -> Option<Self> {
        let plain = text.expose_secret();
        let (id, secret) = plain.split_once('.')?;
        // No store is asked for what it may not be able to hold.
        let whole = !id.is_empty() && !secret.is_empty() && !id.contains('\0');
        let fits = plain.len() <= LONGEST && whole;
        fits.then(|| Self {
            text: text.clone(),
            id: id.to_owned(),
            digest: Digest::of(plain.as_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_family_has_one_text_and_no_other_place_has_it() {
        let key = RefreshKey::new(&[7; 32]);
        let text = |key: &RefreshKey, family, generation| {
            key.derive(family, generation).text.expose_secret().to_owned()
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
        for text in ["", ".", "a.", ".b", "ab", "a\0.b", &format!("a.{}", "b".repeat(300))] {
            assert!(RefreshText::parse(&text.into()).is_none(), "{text:.20}");
        }
        assert_eq!(RefreshText::parse(&"a.b.c".into()).unwrap().id, "a");
    }
}
