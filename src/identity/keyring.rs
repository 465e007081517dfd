//! The master keys: they encrypt what must lie in the store and be read again (signing keys, derivation keys).
//!
//! Sealed form: `1 | master key id (8) | nonce (12) | ciphertext and tag` under AES-256-GCM. The purpose of a blob is
//! bound as associated data, so that one blob cannot be passed off as another.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};

use super::IdentityError;
use crate::model::{Random, SecretString, secret::ExposeSecret};

const FORM: u8 = 1;
const ID_LEN: usize = 8;
/// Shortest master key text: 128 bits, however they are spelt.
const SHORTEST: usize = 16;

/// Master keys, the first one encrypts, all of them decrypt.
pub(super) struct Keyring {
    keys: Vec<MasterKey>,
}

struct MasterKey {
    id: [u8; ID_LEN],
    cipher: LessSafeKey,
}

impl Keyring {
    /// Derives the keys. Refused when there is none or one is too short.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, IdentityError> {
        let keys: Vec<_> = secrets.iter().map(MasterKey::derive).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            tracing::error!(event = "no_master_key");
            return Err(IdentityError::Internal);
        }
        Ok(Self { keys })
    }

    /// Encrypts with the newest key.
    pub(super) fn seal(
        &self,
        purpose: &str,
        plain: &[u8],
        random: &dyn Random,
    ) -> Result<Vec<u8>, IdentityError> {
        let key = self.keys.first().ok_or(IdentityError::Internal)?;
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce).map_err(|_| IdentityError::Internal)?;
        let mut body = plain.to_vec();
        key.cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut body,
            )
            .map_err(|_| IdentityError::Internal)?;
        let mut sealed = Vec::with_capacity(1 + ID_LEN + NONCE_LEN + body.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Decrypts with whichever key encrypted it. Wrong purpose, unknown key and changed bytes are one refusal.
    pub(super) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, IdentityError> {
        self.try_open(purpose, sealed).map_err(|why| {
            tracing::error!(event = "sealed_secret_refused", purpose, why);
            IdentityError::Internal
        })
    }

    /// The same for what strangers may send: nobody is told.
    pub(super) fn try_open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (form, rest) = sealed.split_first().ok_or("empty")?;
        let (id, rest) = rest.split_at_checked(ID_LEN).ok_or("short")?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or("short")?;
        if *form != FORM {
            return Err("unknown form");
        }
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or("no master key of this id")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| "nonce")?;
        let mut body = body.to_vec();
        let plain = key.cipher.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body);
        Ok(plain.map_err(|_| "does not decrypt")?.to_vec())
    }
}

impl MasterKey {
    fn derive(secret: &SecretString) -> Result<Self, IdentityError> {
        let secret = secret.expose_secret().trim().as_bytes();
        if secret.len() < SHORTEST {
            tracing::error!(event = "master_key_too_short", at_least = SHORTEST);
            return Err(IdentityError::Internal);
        }
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portcullis master key").extract(secret);
        let mut id = [0; ID_LEN];
        expand(&prk, b"id", &mut id)?;
        let mut key = [0; 32];
        expand(&prk, b"aes-256-gcm", &mut key)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| IdentityError::Internal)?;
        Ok(Self { id, cipher: LessSafeKey::new(key) })
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(prk: &hkdf::Prk, info: &[u8], out: &mut [u8]) -> Result<(), IdentityError> {
    prk.expand(&[info], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| IdentityError::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemRandom;

    fn ring(secrets: &[&str]) -> Keyring {
        let secrets: Vec<_> = secrets.iter().map(|text| SecretString::from(*text)).collect();
        Keyring::new(&secrets).unwrap()
    }

    #[test]
    fn what_an_older_master_key_sealed_still_opens_and_new_ones_seal() {
        let old = ring(&["an old master key of some length"]);
        let sealed = old.seal("signing", b"secret", &SystemRandom).unwrap();
        let both = ring(&["a new master key of some length!", "an old master key of some length"]);
        assert_eq!(both.open("signing", &sealed).unwrap(), b"secret");
        let newer = both.seal("signing", b"secret", &SystemRandom).unwrap();
        assert_eq!(old.open("signing", &newer), Err(IdentityError::Internal));
        assert_ne!(newer, both.seal("signing", b"secret", &SystemRandom).unwrap());
    }

    #[test]
    fn another_purpose_and_any_changed_byte_are_refused() {
        let ring = ring(&["a master key of some length here"]);
        let sealed = ring.seal("signing/a", b"secret", &SystemRandom).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert!(ring.open("signing/b", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open("signing/a", &changed).is_err(), "byte {at}");
            assert!(ring.open("signing/a", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn no_or_short_master_keys_are_refused() {
        assert!(Keyring::new(&[]).is_err());
        assert!(Keyring::new(&["short".into()]).is_err());
    }
}
