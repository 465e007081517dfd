//! What the configuration says about asking an issuer.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use url::Url;

use crate::model::{Digest, SecretString, secret::ExposeSecret};

/// One issuer that is asked for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: Arc<str>,
    /// Its keys; `None`: they stand in the configuration, or it has none.
    pub keys: Option<Fetching>,
    /// Asking it about tokens.
    pub introspection: Option<Asking>,
    /// Logging people in through it; then its keys are fetched.
    pub login: Option<Client>,
}

/// Who we are to a provider through which people log in.
#[derive(Clone, Debug)]
pub struct Client {
    /// Our name there.
    pub client_id: Arc<str>,
    /// What proves it.
    pub secret: SecretString,
    /// Where it sends browsers back to, exactly as registered there.
    pub redirect_uri: Arc<str>,
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        let digest = |own: &Self| Digest::of(own.secret.expose_secret().as_bytes());
        let rest = |own: &Self| (own.client_id.clone(), own.redirect_uri.clone());
        rest(self) == rest(other) && digest(self) == digest(other)
    }
}

impl Eq for Client {}

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Clone, Debug)]
pub struct Asking {
    /// Its introspection end point.
    pub url: Url,
    /// Who we are there.
    pub client_id: Arc<str>,
    /// What proves it (`client_secret_basic`).
    pub secret: SecretString,
    /// How long an answer is taken as it is; never beyond the end of the token.
    pub cache: Duration,
    /// Who signs the certificates of its servers, as PEM; `None`: whom the system trusts.
    pub authorities: Option<Arc<str>>,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        let digest = |own: &Self| Digest::of(own.secret.expose_secret().as_bytes());
        let rest = |own: &Self| {
            (own.url.clone(), own.client_id.clone(), own.cache, own.authorities.clone())
        };
        rest(self) == rest(other) && digest(self) == digest(other)
    }
}

impl Eq for Asking {}

/// How the keys of an issuer are fetched and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// Its `iss`, which its metadata must say as well.
    pub issuer: Arc<str>,
    /// Where they are.
    pub at: KeysAt,
    /// What they may be used for.
    pub algorithms: Vec<Algorithm>,
    /// Longest time between two fetches.
    pub refresh: Duration,
    /// Shortest time between two fetches, whoever asks for them.
    pub floor: Duration,
    /// How long the last good set is used while no newer one can be had.
    pub keep: Duration,
    /// Who signs the certificates of its servers, as PEM; `None`: whom the system trusts.
    pub authorities: Option<Arc<str>>,
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysAt {
    /// At this address.
    Set(Url),
    /// Where the issuer's metadata says, which is at this address.
    Metadata {
        /// Of the metadata.
        url: Url,
        /// Origins at which the keys may be, beside that of the metadata.
        origins: Vec<String>,
    },
}

impl KeysAt {
    /// The address that the operator wrote.
    pub fn url(&self) -> &Url {
        match self {
            KeysAt::Set(url) | KeysAt::Metadata { url, .. } => url,
        }
    }
}
