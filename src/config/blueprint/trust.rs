//! `[trust]`, and how many credentials that are none an address may send.

use std::time::Duration;

use ipnet::IpNet;
use toml::Value as Toml;

use super::process::in_range;
use crate::{
    config::{document::Value, section::Section, shape::Fault},
    pipeline::Window,
};

/// Who may say what the client's address is: listed peers, and how far behind them the client stands.
pub(super) fn proxies(top: &mut Section<'_>) -> (Vec<IpNet>, usize) {
    let mut trust = top.inner("trust");
    let proxies = trust.or("proxies", Vec::<IpNet>::new());
    let hops = trust.checked("hops", 0, |hops| in_range(*hops, 0, 32));
    if hops > 0 && proxies.is_empty() {
        let why = "only a listed proxy is believed, however many stand in front of it";
        let fix = "write proxies = [...] with the network that the last proxy connects from";
        trust.fault("hops", Fault::new("no proxy is listed", why, fix));
    }
    top.note("trust", Toml::Table(trust.finish()));
    (proxies, hops)
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
