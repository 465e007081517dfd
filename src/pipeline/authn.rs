//! From a credential to a [`Principal`]: which kinds a route takes, and what makes one good.

use std::sync::Arc;

use super::{
    carrier::{self, Credential},
    deny::{CertificateFault, Deny, KeyFault, SessionFault, TokenFault},
    mount::Mount,
    view::RequestView,
};
use crate::model::{
    AuthMethod, ClientCertificate, Digest, Principal, SessionId, Timestamp, TokenId,
};

/// A kind of credential, as routes list them in `authn = [...]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// `jwt`: an access token of the route's mount.
    Jwt,
    /// `api_key`: an `X-API-Key` of the route's mount.
    ApiKey,
    /// `agent`: an agent token of the route's mount, in the same field as an access token.
    Agent,
    /// `session`: the secret id of a session of the route's mount, where that mount's carrier says.
    Session,
    /// `client_cert`: a certificate that the connection's handshake has proven, and that the route's mount knows.
    ClientCert,
}

impl CredentialKind {
    /// How it is written in `authn = [...]`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CredentialKind::Jwt => "jwt",
            CredentialKind::ApiKey => "api_key",
            CredentialKind::Agent => "agent",
            CredentialKind::Session => "session",
            CredentialKind::ClientCert => "client_cert",
        }
    }
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
    ///
    /// The first kind present decides; a kind the route does not list is not looked at.
    pub fn extract<'a>(
        &self,
        view: &RequestView<'a>,
        mount: &Mount,
    ) -> Result<Option<Credential<'a>>, Deny> {
        let Authn::Required(kinds) = self else { return Ok(None) };
        for kind in kinds {
            let found = match kind {
                // Which of the two it is stands in its claims, to be believed after the signature only.
                CredentialKind::Jwt | CredentialKind::Agent => {
                    let longest = mount.credential_sizes.bearer_token;
                    let field = view.known.authorization.value();
                    field.map(|value| carrier::bearer(value, longest))
                }
                CredentialKind::ApiKey => {
                    view.known.api_key.value().map(|value| carrier::api_key(value, mount))
                }
                CredentialKind::Session => mount
                    .session_carrier
                    .as_ref()
                    .and_then(|carrier| carrier.extract(view, &mount.cors)),
                CredentialKind::ClientCert => {
                    view.certificate.map(|shown| Ok(Credential::Certificate(shown)))
                }
            };
            if let Some(found) = found {
                return found.map(Some);
            }
        }
        Err(Deny::MissingCredential)
    }

    /// What the stage would say of a caller who is taken for proven, for questions without a credential. `Ok(None)`: public
    /// route.
    pub fn assume(&self, who: Arc<Principal>) -> Result<Option<Arc<Principal>>, Deny> {
        let Authn::Required(_) = self else { return Ok(None) };
        if self.takes(who.method) {
            return Ok(Some(who));
        }
        // Both tokens stand in the same field; a credential of any other kind is not even looked at.
        let bearer = |method| matches!(method, AuthMethod::Jwt | AuthMethod::Agent);
        let looked_at =
            bearer(who.method) && (self.takes(AuthMethod::Jwt) || self.takes(AuthMethod::Agent));
        Err(if looked_at { Deny::Token(TokenFault::Invalid) } else { Deny::MissingCredential })
    }

    /// Whether a caller proven in this way is one that the route asks for.
    pub fn takes(&self, method: AuthMethod) -> bool {
        let Authn::Required(kinds) = self else { return false };
        kinds.contains(&match method {
            AuthMethod::Jwt => CredentialKind::Jwt,
            AuthMethod::ApiKey => CredentialKind::ApiKey,
            AuthMethod::Agent => CredentialKind::Agent,
            AuthMethod::Session => CredentialKind::Session,
            AuthMethod::ClientCert => CredentialKind::ClientCert,
        })
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
    let stored = evidence.map_or_else(|| Digest::of(b""), |evidence| evidence.digest);
    let same = *presented == stored;
    let Some(evidence) = evidence.filter(|evidence| same && evidence.principal.mount == mount.name)
    else {
        return Err(Deny::Key(KeyFault::Unknown));
    };
    key_stands(evidence, client, evidence.expires_at, now)?;
    Ok(evidence.principal.clone())
}

/// Holds what is known of a key against revocation, `end` and address, once its secret was proven.
pub fn key_stands(
    evidence: &KeyEvidence,
    client: std::net::IpAddr,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Deny> {
    if evidence.revoked {
        return Err(Deny::Key(KeyFault::Revoked));
    }
    if end.is_some_and(|end| now >= end) {
        return Err(Deny::Key(KeyFault::Expired));
    }
    let allowed = &evidence.principal.allowed_ips;
    let client = client.to_canonical();
    if !allowed.is_empty() && !allowed.iter().any(|net| net.contains(&client)) {
        return Err(Deny::AddressNotAllowed);
    }
    Ok(())
}

/// What the store knows of one session.
#[derive(Clone, Debug)]
pub struct SessionEvidence {
    /// Whom the session stands for; `expires_at` is the session's end.
    pub principal: Arc<Principal>,
    /// Logged out or terminated, or its account is disabled.
    pub ended: bool,
    /// It is over by then if it is not used before; `None`: it may rest until its end.
    pub idle_until: Option<Timestamp>,
}

/// Holds what is known of a presented session against time and revocations. `None`: the store knows no such session.
pub fn establish_session(
    evidence: Option<&SessionEvidence>,
    mount: &Mount,
    revocations: &dyn RevocationView,
    now: Timestamp,
) -> Result<Arc<Principal>, Deny> {
    let Some(evidence) = evidence.filter(|evidence| evidence.principal.mount == mount.name) else {
        return Err(Deny::Session(SessionFault::Invalid));
    };
    let who = &evidence.principal;
    // The evidence may be some seconds old, the view is not.
    if evidence.ended || revocations.is_revoked(None, who.session.as_ref()) {
        return Err(Deny::Session(SessionFault::Ended));
    }
    let rested = evidence.idle_until.is_some_and(|end| now >= end);
    if rested || who.expires_at.is_none_or(|end| now >= end) {
        return Err(Deny::Session(SessionFault::Expired));
    }
    Ok(who.clone())
}

/// Finds whom a certificate stands for. Its chain and key were proven when the connection was made, which may be long ago:
/// its end is held against each request.
pub fn establish_certificate(
    shown: &ClientCertificate,
    mount: &Mount,
    now: Timestamp,
) -> Result<Arc<Principal>, Deny> {
    let known =
        |(name, _): &&(Box<str>, Arc<Principal>)| shown.names.iter().any(|own| **own == **name);
    let Some((_, who)) = mount.client_certs.iter().find(known) else {
        return Err(Deny::Certificate(CertificateFault::Unknown));
    };
    if now >= shown.not_after {
        return Err(Deny::Certificate(CertificateFault::Expired));
    }
    Ok(Arc::clone(who))
}

/// Holds an already verified token against time and revocations. Done on every request, also on a cache hit. `leeway`: for
/// tokens of our own.
pub fn establish_token(
    principal: &Arc<Principal>,
    revocations: &dyn RevocationView,
    leeway: std::time::Duration,
    now: Timestamp,
) -> Result<Arc<Principal>, Deny> {
    let leeway = principal.issuer.as_ref().map_or(leeway, |issuer| issuer.leeway);
    // RFC 7519 section 4.1.4: not accepted *on* or after `exp`. A token without an end is none of ours.
    if principal.expires_at.is_none_or(|end| now >= end + leeway) {
        return Err(Deny::Token(TokenFault::Expired));
    }
    if revocations.is_revoked(principal.token.as_ref(), principal.session.as_ref()) {
        return Err(Deny::Token(TokenFault::Revoked));
    }
    Ok(principal.clone())
}

#[cfg(test)]
mod tests;
