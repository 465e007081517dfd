//! Plain values every room may use: ids, time, secrets, callers. A leaf: it imports no other room,
//! does no I/O and owns no rule.

pub mod agent;
pub mod api_key;
pub mod certificate;
pub mod client;
pub mod confirmation;
pub mod fingerprint;
pub mod hop;
pub mod id;
pub mod opaque;
pub mod plane;
pub mod principal;
pub mod priority;
pub mod random;
pub mod scope;
pub mod secret;
pub mod time;

pub use agent::Agent;
pub use certificate::ClientCertificate;
pub use client::ClientFacts;
pub use confirmation::{Confirmation, Offered};
pub use fingerprint::{Fingerprint, Fingerprints};
pub use id::{
    AccountId, ClientId, KeyId, MountName, OrganisationId, PermissionId, RealmName, SessionId,
    TeamId, TokenId,
};
pub use plane::Plane;
pub use principal::{AuthMethod, Issuer, Principal};
pub use random::{Random, SystemRandom};
pub use scope::ScopeSet;
pub use secret::{Digest, SecretString};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
