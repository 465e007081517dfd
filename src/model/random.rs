//! Randomness as a dependency: services take a [`Random`], only the composition root names the system's.

/// A source of unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with random bytes. A source that cannot do so must end the operation, never return weak bytes.
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError>;
}

/// The generator failed; the operation that needed it is refused.
#[derive(Debug, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct RandomError;

/// The generator of the crypto provider, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        aws_lc_rs::rand::fill(out).map_err(|_| RandomError)
    }
}
