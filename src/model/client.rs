//! What is known about the peer of a request before anything is proven.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Facts about the client side of one request. Identity believes them only from the private socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFacts {
    /// Client address after trusted proxies were taken off; IPv4-mapped IPv6 is folded to IPv4.
    pub address: IpAddr,
    /// `req_…`, made by the edge or kept from a trusted peer.
    pub request_id: String,
    /// The client's `User-Agent`, cut at 256 bytes, without control characters.
    pub user_agent: Option<String>,
}
