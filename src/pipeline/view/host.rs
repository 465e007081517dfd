//! The one host of a request (RFC 9112 section 3.2, RFC 9113 section 8.3.1).

use std::{borrow::Cow, net::Ipv6Addr};

use http::Uri;

use super::Field;
use crate::pipeline::deny::Malformed;

/// Longest DNS name.
const MAX_HOST: usize = 253;

/// Reads the host from the target's authority and from `Host`; where both stand they must agree.
pub(super) fn read<'a>(uri: &'a Uri, field: Field<'a>) -> Result<Cow<'a, str>, Malformed> {
    let field = match field {
        Field::Repeated => return Err(Malformed::Host),
        Field::Once(value) => Some(value.to_str().map_err(|_| Malformed::Host)?),
        Field::Absent => None,
    };
    let field = field.map(Named::parse).transpose()?;
    let target = uri.authority().map(|own| Named::parse(own.as_str())).transpose()?;
    let default = match uri.scheme_str() {
        Some("https") => 443,
        None | Some("http") => 80,
        // Some other reader of such a target might ask somebody else.
        Some(_) => return Err(Malformed::Target),
    };
    match (target, field) {
        (Some(target), Some(field)) => {
            let same_port = target.port.unwrap_or(default) == field.port.unwrap_or(default);
            if target.host != field.host || !same_port {
                return Err(Malformed::Host);
            }
            Ok(field.host)
        }
        (Some(one), None) | (None, Some(one)) => Ok(one.host),
        (None, None) => Err(Malformed::Host),
    }
}

/// A host in lower case without a trailing dot, and its port, if it says one. `None`: it is none.
pub(in crate::pipeline) fn authority(text: &str) -> Option<(Cow<'_, str>, Option<u16>)> {
    Named::parse(text).ok().map(|named| (named.host, named.port))
}

struct Named<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Named<'a> {
    fn parse(text: &'a str) -> Result<Self, Malformed> {
        if let Some(inner) = text.strip_prefix('[') {
            let (address, rest) = inner.split_once(']').ok_or(Malformed::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| Malformed::Host)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if rest.is_empty() => None,
                None => return Err(Malformed::Host),
            };
            return Ok(Self { host: Cow::Owned(format!("[{address}]")), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        // One look at each byte: neither the first nor the last may be a dot, nor two in a row.
        let (mut before, mut upper, mut odd) = (b'.', false, host.len() > MAX_HOST);
        for byte in host.bytes() {
            odd |= !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
            odd |= byte == b'.' && before == b'.';
            upper |= byte.is_ascii_uppercase();
            before = byte;
        }
        if odd || before == b'.' {
            return Err(Malformed::Host);
        }
        let host = if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
        Ok(Self { host, port })
    }
}

fn parse_port(text: &str) -> Result<u16, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Host);
    }
    text.parse().map_err(|_| Malformed::Host)
}
