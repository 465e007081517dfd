//! An open stream does not outlive its credential.
//!
//! A request is decided once, but an event stream or a WebSocket goes on for hours: what was decided about its caller is
//! asked again every second, so that a logout, an expiry or a revocation ends it as it would refuse the next request.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{Shared, conn::Conn};
use crate::{
    model::{AuthMethod, Principal, Timestamp},
    pipeline::{
        Deny, Mount, SessionEvidence, authn,
        deny::{CertificateFault, KeyFault, TokenFault},
    },
};

/// How often it is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a stream goes on while nobody can say.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches one stream; ends with the request.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A caller and where it came in.
pub(super) struct Subject {
    pub(super) who: Arc<Principal>,
    pub(super) mount: Arc<Mount>,
    pub(super) address: IpAddr,
    /// The end of the certificate it showed.
    pub(super) certificate_end: Option<Timestamp>,
}

/// Begins to watch: `conn` is ended once its caller would be refused.
pub(super) fn start(shared: Arc<Shared>, subject: Subject, conn: Arc<Conn>) -> Watch {
    conn.watched();
    Watch(tokio::spawn(async move {
        let deny = refusal(&shared, &subject).await;
        conn.end(deny);
    }))
}

/// Waits until the caller would be refused, and says why.
async fn refusal(shared: &Shared, subject: &Subject) -> Deny {
    let mut known = Instant::now();
    loop {
        tokio::time::sleep(PERIOD).await;
        match ask(shared, subject).await {
            Ok(()) => known = Instant::now(),
            Err(Deny::Unavailable { .. }) if known.elapsed() < PATIENCE => {}
            Err(deny) => return deny,
        }
    }
}

async fn ask(shared: &Shared, subject: &Subject) -> Result<(), Deny> {
    let Subject { who, mount, address, certificate_end } = subject;
    let (parts, now) = (&shared.parts, shared.parts.clock.now());
    if who.method == AuthMethod::ClientCert {
        // What the configuration says of it changes with the next connection; its end is its end.
        let over = certificate_end.is_none_or(|end| now >= end);
        return if over { Err(Deny::Certificate(CertificateFault::Expired)) } else { Ok(()) };
    }
    if who.method == AuthMethod::Session {
        // Its end and its ending are all that can happen to it; both are known without a look-up.
        let evidence = SessionEvidence { principal: Arc::clone(who), ended: false };
        let revocations = &*parts.revocations;
        return authn::establish_session(Some(&evidence), mount, revocations, now).map(drop);
    }
    let Some(key) = &who.key else {
        let profile = mount.tokens.as_ref().ok_or(Deny::Token(TokenFault::Invalid))?;
        return authn::establish_token(who, &*parts.revocations, profile.leeway, now).map(drop);
    };
    let found = shared.keys.evidence(&*parts.lookup, &parts.metrics, &mount.name, key).await?;
    // The secret was proven when the stream began; its record may have ended since.
    let evidence = found.ok_or(Deny::Key(KeyFault::Unknown))?;
    authn::establish_key(&evidence.digest, Some(&evidence), mount, *address, now).map(drop)
}
