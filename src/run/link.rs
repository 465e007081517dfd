//! The link on the side of an identity node: its door, and what is answered there.

use std::{net::TcpListener as Bound, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{Gateway, RunError, timers};
use crate::{
    admin,
    edge::{
        EdgeError,
        settings::CertificateFiles,
        tls::{self, NodeDoor},
    },
    link::{self, Settings},
    model::{Clock, SystemClock},
};

/// Opens the door, if there is to be one, and answers there until told to stop.
pub(super) async fn open(
    gateway: &Arc<Gateway>,
    settings: &Settings,
    stop: watch::Receiver<bool>,
    grace: Duration,
) -> Result<Option<JoinHandle<()>>, RunError> {
    let Some(address) = settings.listen else { return Ok(None) };
    if !gateway.opened().store.is_shared() {
        return Err(RunError::LinkWithoutDatabase);
    }
    tls::install_provider();
    let files = CertificateFiles {
        certificate: settings.files.certificate.clone(),
        key: settings.files.key.clone(),
    };
    let (authorities, names) = (settings.files.authorities.clone(), settings.names.clone());
    let door = NodeDoor::new(address, files, authorities, names).map_err(RunError::Link)?;
    let door = Arc::new(door);
    let name = "link".into();
    let listener = Bound::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let listener = listener.map_err(|source| EdgeError::Bind { name, address, source })?;
    tracing::info!(event = "listening", listener = "link", %address);

    let metrics = gateway.metrics().clone();
    door.refresh(&metrics, SystemClock.now());
    timers::every(timers::CERTIFICATES, &door, move |door| {
        let metrics = metrics.clone();
        async move {
            // A panic in it is a bug of ours; the certificates in force stay.
            let refresh = move || door.refresh(&metrics, SystemClock.now());
            let _ = tokio::task::spawn_blocking(refresh).await;
        }
    });
    let contract = admin::contract_router(gateway.mounts());
    let router = link::router(gateway.opened().identity.clone(), contract, stop.clone());
    Ok(Some(tokio::spawn(async move {
        let open = move |tcp| {
            let door = door.clone();
            async move { door.open(tcp).await }
        };
        admin::serve::serve_link(listener, open, router, stop, grace).await;
    })))
}
