//! Short names for long values: 128 bits under a key that nobody outside the process knows.

use std::hash::{BuildHasher, RandomState};

use siphasher::sip128::SipHasher24;

/// Makes fingerprints with SipHash-2-4 of 128 bits, a pseudorandom function: without the key nobody can find two values
/// that share a fingerprint, nor a value for a given one better than by guessing. They mean nothing in another process.
#[derive(Clone)]
pub struct Fingerprints {
    keyed: SipHasher24,
}

/// The fingerprint of one value.
pub type Fingerprint = (u64, u64);

impl Fingerprints {
    /// Under a key of its own, from the randomness that the standard library's maps have.
    pub fn new() -> Self {
        let word = || RandomState::new().hash_one(0_u8);
        Self { keyed: SipHasher24::new_with_keys(word(), word()) }
    }

    /// That of some bytes.
    pub fn of(&self, bytes: &[u8]) -> Fingerprint {
        self.keyed.hash(bytes).as_u64()
    }
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_value_and_of_the_key() {
        let (one, other) = (Fingerprints::new(), Fingerprints::new());
        assert_eq!(one.of(b"value"), one.clone().of(b"value"));
        assert_ne!(one.of(b"value"), one.of(b"valuf"));
        assert_ne!(one.of(b"value"), other.of(b"value"));
    }
}
