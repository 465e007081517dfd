//! `[trust]`, and how many credentials that are none an address may send.

use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use toml::Value as Toml;

use super::process::{in_range, is_ours_to_set};
use crate::{
    config::{document::Value, section::Section, shape::Fault},
    pipeline::{Window, mutate::IdentityHeaders},
};

const CERTIFICATE: &str = "client_certificate";

/// `[trust]`.
pub(super) struct Trust {
    pub(super) proxies: Vec<IpNet>,
    pub(super) hops: usize,
    pub(super) client_certificate: Option<HeaderName>,
}

/// Who may say what the client's address is, and what certificate it showed: listed peers, and how far behind them the client
/// stands.
pub(super) fn proxies(top: &mut Section<'_>, identity: &IdentityHeaders) -> Trust {
    let mut trust = top.inner("trust");
    let proxies = trust.or("proxies", Vec::<IpNet>::new());
    let hops = trust.checked("hops", 0, |hops| in_range(*hops, 0, 32));
    if hops > 0 && proxies.is_empty() {
        let why = "only a listed proxy is believed, however many stand in front of it";
        let fix = "write proxies = [...] with the network that the last proxy connects from";
        trust.fault("hops", Fault::new("no proxy is listed", why, fix));
    }
    let client_certificate = certificate(&mut trust);
    if let Some(name) = &client_certificate {
        if proxies.is_empty() {
            let why = "anybody could name any certificate: only a listed proxy is believed";
            let fix = "write proxies = [...] with the network that the proxy connects from";
            trust.fault(CERTIFICATE, Fault::new("no proxy is listed", why, fix));
        }
        if identity.all().contains(&name) || !is_ours_to_set(name) {
            let what = format!("header name \"{name}\" cannot carry a certificate");
            let why = "it has a meaning of its own in HTTP or for the gateway";
            let fix = "choose a name such as \"x-client-cert\"";
            trust.fault(CERTIFICATE, Fault::new(what, why, fix));
        }
    }
    top.note("trust", Toml::Table(trust.finish()));
    Trust { proxies, hops, client_certificate }
}

/// `false`: they tell of none.
fn certificate(trust: &mut Section<'_>) -> Option<HeaderName> {
    let written = trust.raw(CERTIFICATE).map(|node| &node.value);
    if matches!(written, None | Some(Value::Bool(false))) {
        trust.note(CERTIFICATE, Toml::Boolean(false));
        return None;
    }
    trust.maybe(CERTIFICATE)
}

/// `false` switches the count off.
pub(super) fn failure_windows(limiter: &mut Section<'_>) -> Vec<Window> {
    const KEY: &str = "failures_per_address";
    if let Some(Value::Bool(false)) = limiter.raw(KEY).map(|node| &node.value) {
        limiter.note(KEY, Toml::Boolean(false));
        return Vec::new();
    }
    let usual = vec![Window { limit: 600, per: Duration::from_secs(60) }];
    limiter.checked(KEY, usual, |windows| match windows.as_slice() {
        [] => {
            Err(Fault::new("an empty list", "it would allow nothing or everything", "write false"))
        }
        _ => Ok(()),
    })
}
