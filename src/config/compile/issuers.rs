//! Issuers outside: what is asked of them, and how their tokens look at a mount.

use std::sync::Arc;

use super::super::{
    Config,
    blueprint::{Declared, IssuerConfig, IssuerKeys, MountConfig},
};
use crate::{
    issuer,
    model::Issuer,
    pipeline::jwt::{self, IssuerProfile},
};

impl Config {
    /// Issuers that may be asked for keys or about tokens.
    pub fn issuers(&self) -> Vec<issuer::Settings> {
        let asked = |issuer: &Declared<Arc<IssuerConfig>>| issuer::Settings {
            name: issuer.is.name.clone(),
            keys: match &issuer.is.keys {
                IssuerKeys::Fetched(keys) => Some(keys.as_ref().clone()),
                IssuerKeys::Fixed(_) | IssuerKeys::None => None,
            },
            introspection: issuer.is.introspection.as_ref().map(|found| found.asking.clone()),
            login: None,
        };
        let logins = self.blueprint.mounts.iter().filter_map(|mount| mount.is.oidc_login.as_ref());
        let logins = logins.map(|login| issuer::Settings {
            name: login.settings.provider.clone(),
            keys: Some(login.fetching.clone()),
            introspection: None,
            login: Some(login.client.clone()),
        });
        self.blueprint.issuers.iter().map(asked).chain(logins).collect()
    }
}

/// How the tokens of an issuer look at a mount.
pub(super) fn profile(issuer: &IssuerConfig, mount: &MountConfig) -> Arc<IssuerProfile> {
    Arc::new(IssuerProfile {
        name: issuer.name.clone(),
        issuer: issuer.issuer.clone(),
        audiences: issuer.audiences.clone(),
        types: issuer.types.clone(),
        algorithms: issuer.algorithms.clone(),
        required: issuer.required.clone(),
        claims: issuer.claims.clone(),
        exact_scopes: mount.policy.scopes.is_empty(),
        longest: issuer.longest,
        introspected: issuer.introspection.is_some(),
        needs_audience: issuer.introspection.as_ref().is_none_or(|found| found.needs_audience),
        keys: match &issuer.keys {
            IssuerKeys::Fixed(keys) => jwt::IssuerKeys::Fixed(keys.clone()),
            IssuerKeys::Fetched(_) => jwt::IssuerKeys::Fetched,
            IssuerKeys::None => jwt::IssuerKeys::None,
        },
        vouches: Arc::new(Issuer {
            name: issuer.name.clone(),
            url: issuer.issuer.clone(),
            leeway: issuer.leeway,
        }),
        mount: mount.name.clone(),
        realm: mount.realm.clone(),
    })
}
