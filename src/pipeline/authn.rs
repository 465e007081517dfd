//! From a credential to a [`Principal`]: which kinds a route takes, and what makes one good.

use std::sync::Arc;

use super::{carrier::Credential, deny::Deny, mount::Mount, view::RequestView};
use crate::model::{Digest, Principal, SessionId, Timestamp, TokenId};

/// A kind of credential, as routes list them in `authn = [...]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// `jwt`: an access token of the route's mount.
    Jwt,
    /// `api_key`: an `X-API-Key` of the route's mount.
    ApiKey,
}

/// Which credentials a route takes. There is no default: a route without it is a config error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authn {
    /// `["public"]`: no credential is read, good or bad.
    Public,
    /// The first kind *present* in this order decides; present but bad refuses.
    Required(Vec<CredentialKind>),
}

impl Authn {
    /// Takes the deciding credential out of the request. `Ok(None)`: public route.
    pub fn extract<'a>(
        &self,
        view: &RequestView<'a>,
        mount: &Mount,
    ) -> Result<Option<Credential<'a>>, Deny> {
        let _ = (view, mount);
        unimplemented!()
    }
}

/// The live revocation view that every token is held against, cached or not.
pub trait RevocationView: Send + Sync {
    /// Whether this token or its session has been ended.
    fn is_revoked(&self, token: Option<&TokenId>, session: Option<&SessionId>) -> bool;
}

/// What the store knows of one API key.
#[derive(Clone, Debug)]
pub struct KeyEvidence {
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// Whom the key stands for: owner's realm, roles and tenant, the key's scopes, addresses and limit.
    pub principal: Arc<Principal>,
    /// End of validity, if any (an overlap end after rotation included).
    pub expires_at: Option<Timestamp>,
    /// Revoked, or its owner disabled.
    pub revoked: bool,
}

/// Holds a presented key against its evidence, in constant time. `None`: the store knows no such id.
pub fn establish_key(
    presented: &Digest,
    evidence: Option<&KeyEvidence>,
    mount: &Mount,
    client: std::net::IpAddr,
    now: Timestamp,
) -> Result<Arc<Principal>, Deny> {
    let _ = (presented, evidence, mount, client, now);
    unimplemented!()
}

/// Holds an already verified token against time and revocations. Done on every request, also on a cache hit.
pub fn establish_token(
    principal: &Arc<Principal>,
    revocations: &dyn RevocationView,
    leeway: std::time::Duration,
    now: Timestamp,
) -> Result<Arc<Principal>, Deny> {
    let _ = (principal, revocations, leeway, now);
    unimplemented!()
}
