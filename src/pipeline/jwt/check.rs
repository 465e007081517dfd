//! Whether a profile may be used at all (RFC 8725 sections 3.4 and 3.5, RFC 7518 section 3.2). Asked at load.

use std::{collections::HashSet, time::Duration};

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKeyKind};

use super::{TokenProfile, VerificationKey, algorithm_name};

/// Longest leeway.
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// Bits of a modulus, and bytes of the smallest DER form of a key with the shortest.
const RSA_BITS: usize = 2048;
const RSA_DER: usize = 266;
/// A larger one only costs time.
const MOST_RSA_BITS: usize = 8192;
/// The least public exponent (F4, as in FIPS 186-5).
const RSA_EXPONENT: u64 = 65_537;

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
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let family = self.key.family();
        if algorithm_name(self.algorithm).is_none()
            || !family.algorithms().contains(&self.algorithm)
        {
            return Err("a key is of another kind than its algorithm");
        }
        let long_enough = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let exponent = e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
                if bits(n) > MOST_RSA_BITS || e.len() > 4 {
                    return Err("an RSA key is larger than any should be");
                }
                if exponent < RSA_EXPONENT || exponent % 2 == 0 {
                    return Err("the exponent of an RSA key is even or less than 65537");
                }
                if is_roca(n) {
                    return Err("an RSA key can be factored (ROCA, CVE-2017-15361)");
                }
                bits(n) >= RSA_BITS
            }
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

/// Length of a number without the zeros before it.
fn bits(number: &[u8]) -> usize {
    let mut rest = number.iter().skip_while(|byte| **byte == 0);
    let Some(first) = rest.next() else { return 0 };
    let first = 8 - usize::try_from(first.leading_zeros()).unwrap_or(8);
    first + 8 * rest.count()
}

/// Whether a modulus has the form of a broken key generator: modulo every small prime it is a power of 65537. A sound
/// one is that by chance once in a hundred million (Nemec et al., "The Return of Coppersmith's Attack", 2017).
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let wanted = n.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65_537 % prime) % prime;
            power == wanted
        })
    })
}
