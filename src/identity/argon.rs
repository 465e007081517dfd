//! Argon2id itself, in memory that goes back to the system after each hash.
//!
//! The allocator keeps freed blocks of up to 32 MiB per thread in stock, so a gateway that once served logins would go
//! on holding 19 MiB per worker. A larger request is mapped and unmapped alone; the part that is not written costs nothing.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq;

use super::{HashSettings, IdentityError};

/// Blocks of one KiB that are asked for at least: just above what the allocator would keep.
const UNKEPT_BLOCKS: usize = 33 * 1024;
/// Bytes of a new hash.
const OUTPUT_BYTES: usize = 32;

/// Hashes a new password; the text carries algorithm, parameters and salt.
pub(super) fn hash(
    settings: &HashSettings,
    password: &[u8],
    salt: &[u8],
) -> Result<String, IdentityError> {
    let HashSettings { memory_kib, iterations, .. } = *settings;
    let params = Params::new(memory_kib, iterations, 1, Some(OUTPUT_BYTES)).map_err(failed)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.into(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(failed)?,
        salt: Some(Salt::new(salt).map_err(failed)?),
        hash: None,
    };
    let mut out = [0; OUTPUT_BYTES];
    run(Algorithm::Argon2id, Version::V0x13, params, password, salt, &mut out)?;
    let hash = PasswordHash { hash: Some(Output::new(&out).map_err(failed)?), ..hash };
    Ok(hash.to_string())
}

/// Whether `password` has this hash, with the parameters in it.
pub(super) fn verify(hash: &str, password: &[u8]) -> Result<bool, IdentityError> {
    let hash = PasswordHash::new(hash).map_err(failed)?;
    let (Some(salt), Some(wanted)) = (&hash.salt, &hash.hash) else {
        return Err(failed("no salt or no output"));
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(failed)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(failed)?;
    let params = Params::try_from(&hash).map_err(failed)?;
    let mut out = vec![0; wanted.len()];
    run(algorithm, version.unwrap_or_default(), params, password, salt.as_ref(), &mut out)?;
    Ok(out.ct_eq(wanted.as_bytes()).into())
}

fn run(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    password: &[u8],
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), IdentityError> {
    let count = params.block_count();
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(count.max(UNKEPT_BLOCKS)).map_err(failed)?;
    blocks.resize_with(count, Block::default);
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, salt, out, &mut blocks[..])
        .map_err(failed)
}

fn failed(error: impl std::fmt::Debug) -> IdentityError {
    // The errors of both crates name parameters and lengths, never a password or a hash.
    tracing::error!(event = "hash_failed", ?error);
    IdentityError::Internal
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_library() {
        let settings = HashSettings {
            memory_kib: 64,
            iterations: 2,
            permits: 1,
            queue: 1,
            only_when_idle: true,
        };
        let own = hash(&settings, b"secret", &[7; 16]).unwrap();
        let params = Params::new(64, 2, 1, None).unwrap();
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        assert_eq!(theirs.hash_password_with_salt(b"secret", &[7; 16]).unwrap().to_string(), own);
        let parsed = PasswordHash::new(&own).unwrap();
        theirs.verify_password(b"secret", &parsed).unwrap();
        assert_eq!(verify(&own, b"secret"), Ok(true));
        assert_eq!(verify(&own, b"Secret"), Ok(false));
    }

    #[test]
    fn foreign_parameters_lanes_and_lengths_verify_too() {
        for (memory, passes, lanes, length) in [(64, 1, 1, 16), (128, 3, 4, 64), (96, 2, 2, 32)] {
            let params = Params::new(memory, passes, lanes, Some(length)).unwrap();
            let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let hash = theirs.hash_password_with_salt(b"secret", &[7; 16]).unwrap().to_string();
            assert_eq!(verify(&hash, b"secret"), Ok(true), "{hash}");
            assert_eq!(verify(&hash, b"secrets"), Ok(false), "{hash}");
        }
    }

    #[test]
    fn a_text_that_is_no_hash_is_an_error_and_not_a_wrong_password() {
        for text in ["", "x", "$argon2id$v=19$m=64,t=1,p=1$", "$scrypt$ln=1$c2FsdHNhbHQ$AAAA"] {
            assert_eq!(verify(text, b"x"), Err(IdentityError::Internal), "{text}");
        }
    }
}
