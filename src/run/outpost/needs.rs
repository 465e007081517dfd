//! What an edge node is put together from: its mirror of identity, the pool of identity nodes, and no store.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    config::Config,
    edge::{
        IDENTITY_NODES, UpstreamSettings,
        settings::{Backend, CertificateFiles, Ejection, HealthCheck, HostHeader, UpstreamTls},
    },
    identity::{IdentityError, Mirror, issuer_keys},
    issuer::{self, Shelf},
    link,
    model::{MountName, SystemClock, SystemRandom},
    run::RunError,
    telemetry::Metrics,
};

/// Pause between two looks for an identity node at the start.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// Fills the mirror, and waits for an identity node where none can be asked yet: nodes are started together.
pub(super) async fn awaited(
    client: &link::Client,
    settings: &link::Settings,
    config: &Config,
) -> Result<Mirror, RunError> {
    let started = Instant::now();
    let nodes: Vec<String> = settings.nodes.iter().map(ToString::to_string).collect();
    let sets = key_sets(config);
    loop {
        let opened = Mirror::open(
            Arc::new(client.clone()),
            Arc::new(SystemClock),
            &sets,
            config.identity().remember(),
            settings.stale_for,
        );
        match opened.await {
            Ok(mirror) => return Ok(mirror),
            // To wait helps nothing: the configurations differ.
            Err(error @ IdentityError::NotFound) => return Err(RunError::NoIdentityNode(error)),
            Err(error) if started.elapsed() >= settings.wait => {
                return Err(RunError::NoIdentityNode(error));
            }
            Err(_) => {}
        }
        let left = settings.wait.saturating_sub(started.elapsed()).as_secs();
        tracing::warn!(
            event = "waiting",
            what = "an identity node",
            nodes = nodes.join(", "),
            seconds_left = left
        );
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// Every set of keys that tokens of this configuration may be signed with.
pub(super) fn key_sets(config: &Config) -> Vec<MountName> {
    let mounts = config.blueprint.mounts.iter().map(|mount| &mount.is);
    let sets = mounts.flat_map(|mount| {
        let issuer = mount.authorization_server.as_ref().map(|_| issuer_keys(&mount.name));
        [Some(mount.name.clone()), issuer]
    });
    sets.flatten().collect()
}

/// The upstreams of a configuration, and the identity nodes as one more.
pub(super) fn with_identity_nodes(
    mut upstreams: Vec<UpstreamSettings>,
    link: &link::Settings,
) -> Vec<UpstreamSettings> {
    let backends = link.nodes.iter().map(|node| Backend::Http {
        host: node.host.clone(),
        port: node.port,
        tls: true,
    });
    upstreams.push(UpstreamSettings {
        name: IDENTITY_NODES.into(),
        backends: backends.collect(),
        health: Some(HealthCheck {
            path: link::ALIVE.to_owned(),
            interval: Duration::from_secs(1),
            timeout: link.timeout,
            unhealthy_after: 2,
            healthy_after: 1,
        }),
        ejection: Ejection { failures: 1, duration: Duration::from_secs(5) },
        // Only where no connection could be made: what was sent is never sent to another one.
        retries: link.nodes.len(),
        host: HostHeader::Preserve,
        max_requests: link.at_once,
        http2: false,
        tls: UpstreamTls {
            server_name: link.server_name.clone(),
            authorities: Some(link.files.authorities.clone()),
            client_certificate: Some(CertificateFiles {
                certificate: link.files.certificate.clone(),
                key: link.files.key.clone(),
            }),
        },
    });
    upstreams
}

/// Keeps nothing: an edge node has no store.
struct NoShelf;

#[async_trait]
impl Shelf for NoShelf {
    async fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _: &str, _: Vec<u8>) {}
}

pub(super) fn issuer_parts(metrics: &Metrics) -> issuer::Parts {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    // Whoever waits for another's turn finds what came of it on the shelf, and here is none.
    let (shelf, turns) = (Arc::new(NoShelf), None);
    issuer::Parts { metrics: metrics.clone(), clock, random, shelf, turns }
}
