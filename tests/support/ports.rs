//! Free ports below the ephemeral range, so that no outgoing connection of a test can take one meanwhile.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

static NEXT: AtomicU32 = AtomicU32::new(0);
const LOW: u32 = 11_000;
const SPAN: u32 = 20_000;

fn candidate() -> u32 {
    let step = NEXT.fetch_add(1, Ordering::Relaxed);
    // Spread processes apart: test runners start several at once.
    (std::process::id().wrapping_mul(7919).wrapping_add(step.wrapping_mul(13))) % SPAN
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A loopback address nobody listens on right now.
pub fn free_address() -> SocketAddr {
    loop {
        let port = u16::try_from(LOW + candidate()).expect("below the ephemeral range");
        if is_free(port) {
            return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        }
    }
}

/// A `--port-offset` under which every port of the demo is free.
pub fn free_offset() -> u16 {
    loop {
        let offset = u16::try_from(3_000 + candidate()).expect("small");
        if [8000, 8002, 8181, 9900, 9901, 9902, 9903].iter().all(|base| is_free(base + offset)) {
            return offset;
        }
    }
}
