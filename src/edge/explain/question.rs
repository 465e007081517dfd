//! What a question says of the connection the request would come on.

use crate::{
    edge::{
        ForwardAuth, ListenerSettings, Settings,
        tls::{TlsFacts, peer},
    },
    pipeline::explain::Question,
};

/// Where a request comes in.
#[derive(Clone, Copy)]
pub(super) enum Door<'a> {
    Public(&'a ListenerSettings),
    /// A proxy asks there about a request.
    Front(&'a ForwardAuth),
}

impl<'a> Door<'a> {
    pub(super) fn listener(self) -> &'a ListenerSettings {
        match self {
            Door::Public(listener) => listener,
            Door::Front(front) => &front.listener,
        }
    }
}

/// The listener that is named; else the one at the port of the URL, else the first public one that speaks its scheme, else the
/// first.
pub(super) fn door<'a>(settings: &'a Settings, question: &Question) -> Option<Door<'a>> {
    let public = || settings.listeners.iter().map(Door::Public);
    let mut all = public().chain(settings.forward_auth.iter().map(|front| Door::Front(front)));
    if let Some(name) = &question.listener {
        return all.find(|door| *door.listener().name == **name);
    }
    let tls = question.server_name.is_some();
    let at_port = all.find(|door| Some(door.listener().address.port()) == question.port);
    let like = || public().find(|door| door.listener().tls.is_some() == tls);
    at_port.or_else(like).or_else(|| public().next())
}

/// What the handshake would have told.
pub(super) fn tls_facts(listener: &ListenerSettings, question: &Question) -> Option<TlsFacts> {
    let certificate = shown(listener, question).and_then(peer::read);
    let name = question.server_name.as_deref();
    // A name was always given before there were certificates to show.
    if name.is_none() && certificate.is_none() {
        return None;
    }
    Some(TlsFacts { name: name.map(Into::into), certificate, http2: false })
}

/// The certificate that the listener asks for.
pub(super) fn shown<'a>(listener: &ListenerSettings, question: &'a Question) -> Option<&'a [u8]> {
    let asks = listener.tls.as_ref().is_some_and(|tls| tls.client_authorities.is_some());
    question.certificate.as_deref().filter(|_| asks)
}
