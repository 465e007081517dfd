//! The standard issuer of a mount (RFC 6749, 7009, 7523, 7662, 8693, 9068): its clients, and what it gives them.
//!
//! ```text
//! clients  client_rules  client_keys   who may ask, and how they are made
//! proof                                who asks
//! targets                              which scopes and audiences, within what there is
//! issue                                a client's own token, and how every token is made
//! exchange                             a narrower token for another's
//! authorize  redeem                    logins of people for a client: the code flow
//! assertion                            what upstreams are told of a caller
//! status                               what a token is worth, and how it ends
//! ```
//!
//! Tokens of a contract's own login keep the contract's profile; these have a profile, an `iss` and keys of their own.

mod assertion;
mod authorize;
mod client_keys;
mod client_rules;
mod clients;
mod exchange;
mod fault;
mod issue;
mod proof;
mod redeem;
mod settings;
mod status;
mod targets;

use std::sync::Arc;

pub use authorize::{Authorization, Step};
pub use clients::{Client, NewClient, NewClientSecret};
pub use exchange::Exchange;
pub use fault::GrantFault;
pub use issue::Issued;
pub use proof::{ClientProof, ProvenClient};
pub use redeem::CodeTrade;
pub use settings::{AuthorizationServerSettings, GRANTS, Grant, LONGEST_ASSERTION};

pub(super) use authorize::ClientLogin;

use settings::AT_JWT;
pub use targets::Wanted;

use super::{Identity, IdentityError, MountSettings, mount_keys::issuer_keys};
use crate::{
    model::{MountName, Timestamp},
    pipeline::jwt::TokenProfile,
};

/// A mount with its issuer.
struct Server {
    mount: Arc<MountSettings>,
    own: Arc<AuthorizationServerSettings>,
}

impl Identity {
    /// The standard issuer of a mount; [`IdentityError::NotFound`] where it has none.
    pub fn authorization_server(
        &self,
        mount: &MountName,
    ) -> Result<Arc<AuthorizationServerSettings>, IdentityError> {
        Ok(self.server(mount)?.own)
    }

    fn server(&self, mount: &MountName) -> Result<Server, IdentityError> {
        let mount = self.inner.state().mount(mount)?;
        let own = mount.authorization_server.clone().ok_or(IdentityError::NotFound)?;
        Ok(Server { mount, own })
    }

    /// How tokens of the issuer are verified when they come back to it, whichever resource they are for.
    fn issued_profile(&self, server: &Server, now: Timestamp) -> TokenProfile {
        let keys = self.inner.mount_keys(&issuer_keys(&server.mount.name));
        let keys = keys.map(|keys| keys.verifying_at(now)).unwrap_or_default();
        TokenProfile { audience: None, ..server.own.profile(&server.mount, keys) }
    }
}
