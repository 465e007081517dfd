//! Who opened a connection at a proxy: what is read of a header does not depend on how its bytes come, says what a plain
//! reader of the format finds there, and leaves alone what stands behind.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use portcullis::edge::fuzzing;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|bytes: &[u8]| {
    let found = fuzzing::proxied(bytes, usize::MAX);
    assert_eq!(fuzzing::proxied(bytes, 1), found);
    assert_eq!(fuzzing::proxied(bytes, 7), found);
    let wanted = if bytes.starts_with(SIGNATURE) { binary(bytes) } else { text(bytes) };
    match (&found, &wanted) {
        // A header that names nobody has forms that the plain reader does not know, and such that only it takes.
        (Some((None, _)), _) | (None, Some((None, _))) => {}
        _ => assert_eq!(found, wanted),
    }
    let Some((_, length)) = found else { return };
    // Neither more bytes behind it nor their absence change anything.
    assert_eq!(fuzzing::proxied(&bytes[..length], usize::MAX), found);
    let mut shorter = (0..length).rev().take(40);
    assert!(shorter.all(|cut| fuzzing::proxied(&bytes[..cut], usize::MAX).is_none()));
    let more = [&bytes[..length], b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"].concat();
    assert_eq!(fuzzing::proxied(&more, usize::MAX), found);
});

type Found = Option<(Option<SocketAddr>, usize)>;

/// Version 1: six words and CR LF, at most 107 bytes.
fn text(bytes: &[u8]) -> Found {
    let end = bytes.iter().take(107).position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(bytes[..end].strip_suffix(b"\r")?).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    let ["PROXY", family, source, destination, port, own_port] = words[..] else {
        return line.starts_with("PROXY UNKNOWN").then_some((None, end + 1));
    };
    let address: IpAddr = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            source.parse::<Ipv4Addr>().ok()?.into()
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            source.parse::<Ipv6Addr>().ok()?.into()
        }
        _ => return line.starts_with("PROXY UNKNOWN").then_some((None, end + 1)),
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    number(own_port)?;
    let client = SocketAddr::new(address.to_canonical(), number(port)?);
    Some((Some(client), end + 1))
}

/// Version 2: the signature, version and command, family, length, addresses; whatever is behind them within the length
/// changes nothing.
fn binary(bytes: &[u8]) -> Found {
    let [command, family, high, low] = bytes.get(12..16)? else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let rest = bytes.get(16..16 + length).filter(|_| length <= 4096)?;
    let end = 16 + length;
    match (command, family) {
        (0x20, _) => Some((None, end)),
        (0x21, 0x11) => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *rest.get(..12)? else { return None };
            let port = u16::from_be_bytes([high, low]);
            Some((Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)), end))
        }
        (0x21, 0x21) => {
            let address = <[u8; 16]>::try_from(rest.get(..16)?).ok()?;
            let [high, low] = *rest.get(32..34)? else { return None };
            rest.get(34..36)?;
            let port = u16::from_be_bytes([high, low]);
            let address = IpAddr::from(Ipv6Addr::from(address)).to_canonical();
            Some((Some(SocketAddr::new(address, port)), end))
        }
        _ => None,
    }
}
