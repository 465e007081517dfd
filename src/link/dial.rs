//! One identity node as an edge node speaks with it: HTTP over TLS on which both show a certificate.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Certificate, Identity, dns, redirect, tls};

use super::settings::{Address, Files, Settings};

/// For a connection to be made and proven.
const CONNECT: Duration = Duration::from_millis(500);
/// An idle connection is given up before the other end would.
const IDLE: Duration = Duration::from_secs(30);

/// A node, and the connections to it.
pub(super) struct Node {
    pub(super) label: String,
    base: String,
    client: reqwest::Client,
}

impl Node {
    /// The address of a question.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

/// Whatever the files hold now; `None`: one cannot be read.
pub(super) fn held(files: &Files) -> Option<[Vec<u8>; 3]> {
    let Files { certificate, key, authorities } = files;
    Some([fs::read(certificate).ok()?, fs::read(key).ok()?, fs::read(authorities).ok()?])
}

/// Every node, with connections that begin anew.
pub(super) fn nodes(settings: &Settings, held: &[Vec<u8>; 3]) -> Result<Vec<Node>, String> {
    settings.nodes.iter().map(|address| node(settings, address, held)).collect()
}

fn node(
    settings: &Settings,
    address: &Address,
    [certificate, key, authorities]: &[Vec<u8>; 3],
) -> Result<Node, String> {
    let told = |error: reqwest::Error| format!("the link's certificates: {error}");
    let mut own = certificate.clone();
    own.push(b'\n');
    own.extend_from_slice(key);
    let mut builder = reqwest::Client::builder()
        .identity(Identity::from_pem(&own).map_err(told)?)
        .tls_certs_only(Certificate::from_pem_bundle(authorities).map_err(told)?)
        .tls_version_min(tls::Version::TLS_1_2)
        .https_only(true)
        .http1_only()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT.min(settings.timeout))
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(settings.at_once.min(32));
    let name = settings.server_name.as_deref().unwrap_or(&address.host);
    if settings.server_name.is_some() {
        // The name is proven; the address is where it is looked for.
        builder = builder.dns_resolver(Arc::new(At(address.clone())));
    }
    let base = Address { host: name.to_owned(), port: address.port };
    Ok(Node {
        label: address.to_string(),
        base: format!("https://{base}"),
        client: builder.build().map_err(told)?,
    })
}

/// Finds one address, whatever name is asked for.
struct At(Address);

impl dns::Resolve for At {
    fn resolve(&self, _: dns::Name) -> dns::Resolving {
        let Address { host, port } = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            let found: dns::Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}
