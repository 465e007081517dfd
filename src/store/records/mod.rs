//! The records that go into the store and come out of it: plain data, no SQL, no rule.
//!
//! Texts that are secret or derived from a secret are [`SecretString`](crate::model::SecretString),
//! [`Digest`](crate::model::Digest) or ciphertext, so that no `Debug` shows them.

mod account;
mod agent;
mod audit;
mod change;
mod client;
mod code;
mod foreign;
mod key;
mod keyring;
mod oidc;
mod organisation;
mod outbox;
mod second_factor;
mod session;
mod webhook;

pub use account::{
    AccountChange, AccountQuery, AccountRecord, AccountStatus, AccountUpdate, Inserted,
    PasswordChange,
};
pub use agent::{AgentTokenRecord, ExpiredAgent};
pub use audit::{AuditFault, AuditRange, AuditRecord, AuditVerdict, ChainedRecord};
pub use change::{Announcement, ChangeKind, ChangePage, ChangeRecord};
pub use client::{
    ClientLogged, ClientRecord, ClientSession, EndedGrants, IssuedRecord, LiveToken, LiveTokens,
    RedeemedGrant,
};
pub use code::{CodeProof, CodeRecord, Judged};
pub use foreign::{
    AllowEntry, AuditQuery, ForeignCounts, ForeignIdentity, ForeignKey, ForeignLogin,
    ForeignSession, ForeignTokens, LoggedIn, NumberedEvent, Redeem, Redeemed,
};
pub use key::{KeyRecord, KeyUse, OwnedKey};
pub use keyring::{Ciphertext, SigningKeyRecord};
pub use oidc::{Joined, LinkRecord, OidcLogged, OidcLogin, OidcLogout, OidcSession};
pub use organisation::{
    AccessRecord, Grantee, MemberRecord, NewOrganisation, OrganisationRecord, PermissionRecord,
    TeamRecord,
};
pub use outbox::{Backlog, Handed, OutboxRecord};
pub use second_factor::{Factor, FactorRecord, SpentFactor};
pub use session::{
    EndedSession, FailureState, FamilyRecord, LoginFailure, NewSession, RefreshRecord,
    RefreshState, RevokedToken, Rotate, Rotation, SessionRecord, SessionsToEnd, Spare,
};
pub use webhook::{DeliveryRecord, Happened, NewDelivery, Tried, WebhookRecord};
