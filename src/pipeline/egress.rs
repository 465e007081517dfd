//! Where the gateway may be sent by somebody else's wish: the rule against server-side request forgery.
//!
//! Asked twice: of the address as it is written, when it is given, and of every address that its name turns out to have,
//! when something is sent. A name may say one thing today and another tomorrow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longest address taken.
const LONGEST: usize = 2048;

/// Reads an address to which something may be sent. `private`: also `http` and addresses of our own networks.
pub fn target(text: &str, private: bool) -> Result<Url, &'static str> {
    if text.len() > LONGEST {
        return Err("the URL is too long");
    }
    let url = Url::parse(text).map_err(|_| "not a URL")?;
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        _ => return Err("only https is allowed"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong in a URL");
    }
    // `url` has read numbers in every spelling that browsers know (`0x7f.1`), so this is the address itself.
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(name)) => {
            let local = name == "localhost" || name.ends_with(".localhost");
            return if local && !private { Err("the address is not public") } else { Ok(url) };
        }
        None => return Err("the URL names no host"),
    };
    if private || is_public(address) { Ok(url) } else { Err("the address is not public") }
}

/// Whether an address is somewhere in the open Internet (IANA special-purpose registries, RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // this network, private, loopback
        (0 | 10 | 127, ..) => true,
        // shared with the provider (RFC 6598)
        (100, 64..=127, _) => true,
        // link-local, cloud metadata among it
        (169, 254, _) => true,
        (172, 16..=31, _) | (192, 168, _) => true,
        // protocol assignments, documentation, 6to4 relays, benchmarking
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        // multicast, reserved, broadcast
        (224..=255, ..) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, ..] = address.segments();
    // Only global unicast; and in it nothing that wraps an IPv4 address or is set aside.
    let global = a & 0xe000 == 0x2000;
    let special = match (a, b, c) {
        // Teredo, ORCHID, benchmarking, and the rest of 2001::/23
        (0x2001, 0..=0x01ff, _) => true,
        // documentation
        (0x2001, 0x0db8, _) => true,
        (0x3fff, 0..=0x0fff, _) => true,
        // 6to4
        (0x2002, ..) => true,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_open_internet_are_public() {
        for public in ["1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for inner in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
    }

    #[test]
    fn urls_are_https_and_public_unless_the_operator_says_otherwise() {
        for fine in
            ["https://hooks.example.org/a?b=c", "https://1.1.1.1:8443/", "https://example.org"]
        {
            assert!(target(fine, false).is_ok(), "{fine}");
        }
        for odd in [
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://",
            "nonsense",
            "",
            "https://user:pw@example.org/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://localhost/",
            "https://x.localhost/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert!(target(odd, false).is_err(), "{odd}");
        }
        for private in ["http://127.0.0.1:9000/hook", "http://localhost:1/", "https://10.0.0.1/"] {
            assert!(target(private, true).is_ok(), "{private}");
        }
        for never in ["file:///etc/passwd", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/"] {
            assert!(target(never, true).is_err(), "{never}");
        }
        assert!(target(&format!("https://example.org/{}", "x".repeat(2100)), false).is_err());
    }
}
