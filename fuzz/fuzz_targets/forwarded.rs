//! Who asks: a peer that is not listed is itself, whatever it says; of a listed one only the chain's trusted end counts.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use portcullis::edge::fuzzing;
use portcullis_fuzz::{fields, snapshot};

fuzz_target!(|bytes: &[u8]| {
    let headers = fields(bytes);
    let stranger: IpAddr = "192.0.2.9".parse().expect("an address");
    let read = fuzzing::caller(snapshot(), stranger, &headers);
    assert_eq!((read.address, read.scheme), (stranger, "http"));
    assert_eq!(read.host, None);
    assert!(read.request_id.starts_with("req_") && read.request_id.len() == 36);

    let proxy: IpAddr = "10.1.2.3".parse().expect("an address");
    let read = fuzzing::caller(snapshot(), proxy, &headers);
    assert!(
        read.request_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    );
    assert!(read.request_id.len() <= 128);
    let chain: Vec<Option<IpAddr>> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b',').collect::<Vec<_>>())
        .map(|hop| std::str::from_utf8(hop).ok()?.trim().parse::<IpAddr>().ok())
        .map(|hop| hop.map(|hop| hop.to_canonical()))
        .collect();
    if chain.len() > 32 {
        return;
    }
    let mut wanted = proxy;
    for hop in chain.iter().rev() {
        let Some(hop) = hop else { break };
        wanted = *hop;
        if !snapshot().trusts(*hop) {
            break;
        }
    }
    assert_eq!(read.address, wanted);
});
