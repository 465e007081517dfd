//! The records that go into the store and come out of it: plain data, no SQL, no rule.
//!
//! Texts that are secret or derived from a secret are [`SecretString`](crate::model::SecretString),
//! [`Digest`](crate::model::Digest) or ciphertext, so that no `Debug` shows them.

mod account;
mod audit;
mod foreign;
mod key;
mod keyring;
mod session;

pub use account::{AccountChange, AccountRecord, AccountStatus, Inserted, PasswordChange};
pub use audit::{AuditFault, AuditRecord, AuditVerdict, ChainedRecord};
pub use foreign::{
    AllowEntry, AuditQuery, ForeignCounts, ForeignIdentity, ForeignKey, ForeignLogin,
    ForeignSession, ForeignTokens, LoggedIn, NumberedEvent, Redeem, Redeemed,
};
pub use key::{KeyRecord, KeyUse, OwnedKey};
pub use keyring::{Ciphertext, CodeRecord, SigningKeyRecord};
pub use session::{
    EndedSession, FailureState, FamilyRecord, LoginFailure, NewSession, RefreshRecord,
    RefreshState, RevokedToken, Rotate, Rotation, SessionRecord, SessionsToEnd, Spare,
};
