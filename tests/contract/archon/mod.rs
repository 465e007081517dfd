//! Every row of the archon contract; one file per part of the contract.

mod admin;
mod agents;
mod clients;
mod codes;
mod delivery;
mod errors;
mod events;
mod limits;
mod login;
mod loops;
mod page;
mod sessions;
mod users;
mod webhooks;

use std::sync::OnceLock;

use crate::support::{archon, gateway::Gateway, upstream::Upstream};

/// A gateway with its upstream.
pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

/// The gateway of all tests that are not about limits or restarts.
pub fn shared() -> &'static Bench {
    static SHARED: OnceLock<Bench> = OnceLock::new();
    SHARED.get_or_init(|| {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|places| archon::configuration(places, &upstream.url(), ""));
        archon::add(&gateway, "keeper@example.org", &["agent_operator"]);
        Bench { gateway, upstream }
    })
}
