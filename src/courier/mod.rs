//! Carries letters to receivers outside: one POST, no redirect followed, no address of our own networks unless the
//! operator allows them, checked after the name was resolved and before anything is sent.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Client, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::{
    identity::webhooks::{Carrier, CarryFault, Letter},
    pipeline::egress,
};

#[cfg(test)]
mod tests;

const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
const IDLE_PER_HOST: usize = 2;
/// Told to receivers.
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// Carries over HTTP. The two kinds of letters go different ways, so that no connection is shared between them.
pub struct Courier {
    public: Client,
    any: Client,
}

impl Courier {
    /// Prepares the ways; fails only where the process could not make a TLS client at all.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { public: client(false)?, any: client(true)? })
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Courier")
    }
}

#[async_trait]
impl Carrier for Courier {
    async fn post(&self, letter: &Letter) -> Result<u16, CarryFault> {
        let url =
            egress::target(&letter.url, letter.allow_private).map_err(|_| CarryFault::Forbidden)?;
        let client = if letter.allow_private { &self.any } else { &self.public };
        let mut request = client
            .post(url)
            .timeout(letter.timeout)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(letter.body.clone());
        for (name, value) in &letter.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            // The answer's body is nobody's business; the connection goes with it.
            Ok(response) => Ok(StatusCode::as_u16(&response.status())),
            Err(error) if error.is_timeout() => Err(CarryFault::Timeout),
            Err(error) if is_forbidden(&error) => Err(CarryFault::Forbidden),
            Err(_) => Err(CarryFault::Unreachable),
        }
    }
}

fn client(private: bool) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(AGENT)
        .redirect(redirect::Policy::none())
        // The environment's proxy would resolve names for us, unchecked.
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .dns_resolver(Arc::new(Resolver { private }))
        .build()
}

/// Resolves names, and keeps to itself what may not be reached.
struct Resolver {
    private: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
struct NotPublic;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (allowed, inner): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|address| private || egress::is_public(address.ip()));
            // A name with one inner address is not to be trusted with its others.
            if !inner.is_empty() {
                return Err(Box::new(NotPublic) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(found) = cause {
        if found.is::<NotPublic>() {
            return true;
        }
        cause = found.source();
    }
    false
}
