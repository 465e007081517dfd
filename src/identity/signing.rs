//! Signing keys of mounts: made here, signing here. Private halves leave this file only sealed by the keyring.

use std::sync::Arc;

use aws_lc_rs::{
    encoding::AsDer,
    hmac, rand,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::IdentityError;
use crate::{
    model::{Digest, Random, SecretString, api_key::hex, secret::ExposeSecret},
    pipeline::jwt::VerificationKey,
};

/// Fewest bytes of an HS256 secret (RFC 7518 section 3.2).
pub(super) const SHORTEST_HMAC: usize = 32;

/// A key that signs tokens of one mount, and what verifies them.
pub(super) struct SigningKey {
    kid: Arc<str>,
    algorithm: Algorithm,
    half: PrivateHalf,
    verifies: DecodingKey,
    public: Option<Vec<u8>>,
}

enum PrivateHalf {
    Hmac(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

/// A key just made, with the private half in the form that [`SigningKey::load`] takes back.
pub(super) struct FreshKey {
    /// The key.
    pub(super) key: SigningKey,
    /// Raw HMAC secret or PKCS#8. To be sealed, never stored as it is.
    pub(super) private: Vec<u8>,
}

impl SigningKey {
    /// Makes a key. RSA takes its time: call it on the blocking pool.
    pub(super) fn generate(
        algorithm: Algorithm,
        random: &dyn Random,
    ) -> Result<FreshKey, IdentityError> {
        let private = match algorithm {
            Algorithm::HS256 => {
                let mut secret = vec![0; 32];
                random.fill(&mut secret).map_err(|_| IdentityError::Internal)?;
                secret
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .map_err(failed)?
                    .as_ref()
                    .to_vec()
            }
            Algorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            Algorithm::EdDSA => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            other => return Err(unsupported(other)),
        };
        let mut name = [0; 12];
        random.fill(&mut name).map_err(|_| IdentityError::Internal)?;
        let kid: Arc<str> = URL_SAFE_NO_PAD.encode(name).into();
        Ok(FreshKey { key: Self::load(kid, algorithm, &private)?, private })
    }

    /// Takes a private half back, and proves that it signs what its public half verifies.
    pub(super) fn load(
        kid: Arc<str>,
        algorithm: Algorithm,
        private: &[u8],
    ) -> Result<Self, IdentityError> {
        let (half, verifies, public) = match algorithm {
            Algorithm::HS256 => {
                if private.len() < SHORTEST_HMAC {
                    tracing::error!(event = "signing_secret_too_short", at_least = SHORTEST_HMAC);
                    return Err(IdentityError::Internal);
                }
                let half = PrivateHalf::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, private)));
                (half, DecodingKey::from_secret(private), None)
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(private).map_err(failed)?;
                let public = pair.public_key().as_ref().to_vec();
                let verifies = DecodingKey::from_rsa_der(&public);
                (PrivateHalf::Rsa(Box::new(pair)), verifies, Some(public))
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)
                    .map_err(failed)?;
                let public = pair.public_key().as_ref().to_vec();
                let verifies = DecodingKey::from_ec_der(&public);
                (PrivateHalf::Ec(Box::new(pair)), verifies, Some(public))
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(private).map_err(failed)?;
                let public = pair.public_key().as_ref().to_vec();
                let verifies = DecodingKey::from_ed_der(&public);
                (PrivateHalf::Ed(Box::new(pair)), verifies, Some(public))
            }
            other => return Err(unsupported(other)),
        };
        let key = Self { kid, algorithm, half, verifies, public };
        key.prove()?;
        Ok(key)
    }

    /// The key of an operator-given HS256 secret. Its `kid` shows nothing of the secret but changes with it.
    pub(super) fn of_secret(secret: &SecretString) -> Result<Self, IdentityError> {
        let bytes = secret.expose_secret().as_bytes();
        let mut text = b"portcullis signing secret\0".to_vec();
        text.extend_from_slice(bytes);
        let name: String = hex(Digest::of(&text).as_bytes()).chars().take(16).collect();
        Self::load(name.into(), Algorithm::HS256, bytes)
    }

    /// The `kid`.
    pub(super) fn kid(&self) -> &Arc<str> {
        &self.kid
    }

    /// The algorithm.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as stored; `None` for HMAC, which has none.
    pub(super) fn public(&self) -> Option<&[u8]> {
        self.public.as_deref()
    }

    /// What the edge verifies with.
    pub(super) fn verification(&self) -> VerificationKey {
        VerificationKey {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            key: self.verifies.clone(),
        }
    }

    /// The signature over `message`, base64url without padding.
    pub(super) fn sign(&self, message: &[u8]) -> Result<String, IdentityError> {
        // aws-lc-rs takes its own randomness whatever is passed; a dependency cannot be injected here.
        let own = rand::SystemRandom::new();
        let signature = match &self.half {
            PrivateHalf::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            PrivateHalf::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &own, message, &mut out).map_err(failed)?;
                out
            }
            PrivateHalf::Ec(pair) => pair.sign(&own, message).map_err(failed)?.as_ref().to_vec(),
            PrivateHalf::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        };
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }

    fn prove(&self) -> Result<(), IdentityError> {
        let message = b"portcullis self test";
        let signature = self.sign(message)?;
        let good =
            jsonwebtoken::crypto::verify(&signature, message, &self.verifies, self.algorithm);
        if !matches!(good, Ok(true)) {
            tracing::error!(event = "signing_key_self_test_failed", kid = %self.kid);
            return Err(IdentityError::Internal);
        }
        Ok(())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn failed(error: impl std::fmt::Debug) -> IdentityError {
    tracing::error!(event = "signing_failed", ?error);
    IdentityError::Internal
}

fn unsupported(algorithm: Algorithm) -> IdentityError {
    tracing::error!(event = "signing_algorithm_unsupported", ?algorithm);
    IdentityError::Internal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemRandom;

    const ALL: [Algorithm; 4] =
        [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

    #[test]
    fn every_algorithm_makes_keys_that_load_again_and_verify() {
        for algorithm in ALL {
            let fresh = SigningKey::generate(algorithm, &SystemRandom).unwrap();
            let again =
                SigningKey::load(fresh.key.kid().clone(), algorithm, &fresh.private).unwrap();
            let signature = again.sign(b"a.b").unwrap();
            let check = fresh.key.verification();
            assert_eq!(check.algorithm, algorithm);
            let verify = |message: &[u8]| {
                jsonwebtoken::crypto::verify(&signature, message, &check.key, algorithm).unwrap()
            };
            assert!(verify(b"a.b") && !verify(b"a.c"), "{algorithm:?}");
            assert_eq!(fresh.key.public().is_none(), algorithm == Algorithm::HS256);
        }
    }

    #[test]
    fn short_secrets_and_other_algorithms_are_refused() {
        assert!(SigningKey::of_secret(&"x".repeat(31).into()).is_err());
        assert!(SigningKey::of_secret(&"x".repeat(32).into()).is_ok());
        assert!(SigningKey::generate(Algorithm::HS384, &SystemRandom).is_err());
        assert!(SigningKey::load("k".into(), Algorithm::RS256, b"no key").is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = SigningKey::of_secret(&"0123456789abcdef0123456789abcdef".into()).unwrap();
        assert!(!format!("{key:?}").contains("0123456789abcdef0"));
    }
}
