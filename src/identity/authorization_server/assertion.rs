//! What upstreams are told of a caller under our signature, so that they need not trust the network between.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{
    identity::{Identity, IdentityError, mount_keys::issuer_keys, tokens},
    model::{MountName, Principal, Timestamp, secret::ExposeSecret},
};

/// `typ`: it is no access token, and no verifier of those takes it for one (RFC 8725 section 3.11).
const TYP: &str = "assertion+jwt";

impl Identity {
    /// A signed statement about a caller for one audience, and when it ends: no later than the caller's credential.
    pub(in crate::identity) fn sign_assertion(
        &self,
        mount: &MountName,
        who: &Principal,
        audience: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        let server = self.server(mount)?;
        let end = who.expires_at.map_or(now + lifetime, |end| end.min(now + lifetime));
        let texts = [
            ("iss", Some(&*server.own.issuer)),
            ("sub", Some(who.subject.as_str())),
            ("aud", Some(audience)),
            ("method", Some(who.method.as_str())),
            ("realm", Some(who.realm.as_str())),
            ("username", who.username.as_deref()),
            ("tenant", who.tenant.as_deref()),
            ("key_id", who.key.as_ref().map(|key| key.as_str())),
        ];
        let mut claims: Map<String, Value> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
            .collect();
        claims.insert("roles".to_owned(), json!(who.roles));
        if let Some(scopes) = &who.scopes {
            claims.insert("scope".to_owned(), scopes.joined().into());
        }
        claims.insert("iat".to_owned(), now.secs().into());
        claims.insert("exp".to_owned(), end.secs().into());
        claims.insert("jti".to_owned(), self.inner.uuid()?.into());
        let key = self.inner.signing_key(&issuer_keys(mount))?;
        let text = tokens::compact_as(&key, TYP, true, &claims)?;
        Ok((text.expose_secret().to_owned(), end))
    }
}
