//! The second factor of an account.

use super::Ciphertext;
use crate::model::{Digest, Timestamp};

/// The state of an account's second factor.
#[derive(Clone, Debug, Default)]
pub struct FactorRecord {
    /// Encrypted seed; there may be one that is not yet switched on.
    pub secret: Option<Ciphertext>,
    /// When it was switched on.
    pub enabled_at: Option<Timestamp>,
    /// The newest time step whose code was taken.
    pub last_step: Option<i64>,
    /// Backup codes that are left.
    pub backup_codes: u32,
}

/// A code that was right, to be taken so that it is right only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Factor {
    /// The code of a time step.
    Step(i64),
    /// A backup code.
    Backup(Digest),
}

/// A code to take for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentFactor {
    /// What was presented.
    pub factor: Factor,
    /// Now.
    pub now: Timestamp,
}
