//! The decision core: everything that says yes or no, as ordinary synchronous code over borrowed data.
//!
//! No sockets, no clock, no database, no pingora. One request takes this way, each value being the only way to
//! the next (the async shell that walks it is `edge/admit.rs`):
//!
//! ```text
//! RequestView -> RouteTable::find -> Route -> Authn::extract -> Credential -> establish -> Principal
//!             -> Authz::authorize -> Permit -> mutate -> HeaderPatch
//! ```
//!
//! A refusal anywhere is a [`Deny`]; how it looks on the wire is the mount's [`Face`].

pub mod agent;
pub mod authn;
pub mod authz;
pub mod carrier;
pub mod cookie;
pub mod cors;
pub mod deny;
pub mod egress;
pub mod explain;
#[cfg(test)]
mod fixture;
pub mod forward_auth;
pub mod grants;
pub mod jwt;
pub mod landing;
pub mod mount;
pub mod mutate;
pub mod news;
pub mod path;
mod pattern;
pub mod policy;
pub mod proof;
pub mod quota;
mod reserved;
pub mod route;
pub mod scan;
mod session_carrier;
pub mod shadow;
pub mod snapshot;
pub mod view;

pub use agent::{AgentGrant, AgentPolicy};
pub use authn::{Authn, CredentialKind, KeyEvidence, RevocationView, SessionEvidence};
pub use authz::{Authz, Permit};
pub use carrier::{Credential, CredentialSizes};
pub use deny::{Deny, Face, Outcome, Reply, ReplyFacts};
pub use grants::{Grants, Question};
pub use mount::{Mount, RateHeaders};
pub use mutate::HeaderPatch;
pub use news::News;
pub use path::CanonicalPath;
pub use policy::Policy;
pub use proof::ProofRule;
pub use quota::{Charge, Limit, LimitKey, Per, Toll, Window};
pub use route::{Route, RouteTable, Target};
pub use session_carrier::SessionCarrier;
pub use snapshot::Snapshot;
pub use view::RequestView;

/// Whether only the gateway may set a request field of this name.
pub fn is_reserved(name: &http::HeaderName) -> bool {
    reserved::is_reserved(&reserved::fold(name.as_str()))
}
