//! Whether a profile may be used at all (RFC 8725 sections 3.4 and 3.5, RFC 7518 section 3.2). Asked at load.

use std::{collections::HashSet, time::Duration};

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKeyKind};

use super::{TokenProfile, VerificationKey, algorithm_name};

/// Longest leeway.
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// Bytes of a 2048-bit modulus, and of the smallest DER form of a key with one.
const RSA_MODULUS: usize = 256;
const RSA_DER: usize = 266;

impl TokenProfile {
    /// Tells the first thing that makes this profile unsafe. Without keys a profile is sound: it verifies nothing.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.leeway > MAX_LEEWAY {
            return Err("the leeway is longer than 60 seconds");
        }
        let mut kids = HashSet::new();
        if !self.keys.iter().all(|key| kids.insert(&key.kid)) {
            return Err("two keys have one id");
        }
        let symmetric = |key: &VerificationKey| key.key.family() == AlgorithmFamily::Hmac;
        if self.keys.iter().any(symmetric) && !self.keys.iter().all(symmetric) {
            return Err("symmetric and asymmetric keys stand in one set");
        }
        self.keys.iter().try_for_each(VerificationKey::check)
    }
}

impl VerificationKey {
    /// The key fits its algorithm and is long enough for it.
    fn check(&self) -> Result<(), &'static str> {
        let family = self.key.family();
        if algorithm_name(self.algorithm).is_none()
            || !family.algorithms().contains(&self.algorithm)
        {
            return Err("a key is of another kind than its algorithm");
        }
        let long_enough = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= RSA_MODULUS,
            DecodingKeyKind::SecretOrDer(bytes) => {
                let least = match self.algorithm {
                    Algorithm::HS256 => 32,
                    Algorithm::HS384 => 48,
                    Algorithm::HS512 => 64,
                    _ if family == AlgorithmFamily::Rsa => RSA_DER,
                    _ => 0,
                };
                bytes.len() >= least
            }
        };
        if long_enough { Ok(()) } else { Err("a key is too short for its algorithm") }
    }
}
