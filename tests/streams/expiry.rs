//! Everything under a credential that comes to its own end goes with it, and says so.

use std::time::{Duration, Instant};

use super::{
    bench::{Bench, bearer, ends, open, outside, token},
    lines::{Credential, Door},
};
use crate::support::{operate, signer, tmws::fresh_name};

/// How long a credential lives here: long enough to open everything under it.
const LIFE: u64 = 7;

/// Waits for the end of a whole second of the wall clock.
async fn come(second: u64) -> Instant {
    let end = Duration::from_secs(second);
    let left = end.saturating_sub(std::time::UNIX_EPOCH.elapsed().unwrap());
    tokio::time::sleep(left).await;
    Instant::now()
}

async fn expires(bench: &Bench, own: Credential, other: Credential, second: u64) {
    let (own, others) = (bench.open(&own).await, bench.open(&other).await);
    ends(&bench.far, own, others, 4401, async || come(second).await).await;
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_token_ends_when_it_expires() {
    let bench = Bench::start().await;
    let made = operate::add_user(&bench.gateway, &fresh_name(), &["USER"]);
    let id = made["id"].as_str().unwrap();
    let second = signer::now() + LIFE;
    expires(&bench, bearer(&token(id, LIFE)), bearer(&token(id, 3600)), second).await;
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_token_of_an_issuer_outside_ends_when_it_expires() {
    let bench = Bench::start().await;
    let second = signer::now() + LIFE;
    expires(&bench, bearer(&outside("ada", LIFE)), bearer(&outside("ada", 600)), second).await;
}

#[tokio::test]
async fn everything_under_a_certificate_ends_when_it_expires() {
    let bench = Bench::start().await;
    let second = signer::now() + LIFE;
    let door = &bench.doors[1];
    let showing = |pair| Door {
        address: door.address,
        tls: door.tls.clone().map(|caller| caller.showing(&pair)),
    };
    let none = ("x-nothing", "nothing".to_owned());
    let robot = bench.authority.client_until("robot", "spiffe://test/robot", second);
    let other = bench.authority.client("robot", "spiffe://test/robot");
    let own = open(&showing(robot), &none).await;
    let others = open(&showing(other), &none).await;
    ends(&bench.far, own, others, 4401, async || come(second).await).await;
}
