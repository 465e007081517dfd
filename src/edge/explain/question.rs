//! What a question says of the connection the request would come on.

use crate::{
    edge::{ListenerSettings, tls::TlsFacts},
    pipeline::explain::Question,
};

/// The listener that is named; else the one at the port of the URL, else the first that speaks its scheme, else the first.
pub(super) fn listener<'a>(
    all: &'a [ListenerSettings],
    question: &Question,
) -> Option<&'a ListenerSettings> {
    if let Some(name) = &question.listener {
        return all.iter().find(|listener| *listener.name == **name);
    }
    let tls = question.server_name.is_some();
    let at_port = all.iter().find(|listener| Some(listener.address.port()) == question.port);
    let like = || all.iter().find(|listener| listener.tls.is_some() == tls);
    at_port.or_else(like).or_else(|| all.first())
}

/// What the handshake would have told. No certificate is made up: a caller known by one is named with `--as`.
pub(super) fn tls_facts(question: &Question) -> Option<TlsFacts> {
    let name = question.server_name.as_deref()?;
    Some(TlsFacts { name: Some(name.into()), certificate: None, http2: false })
}
