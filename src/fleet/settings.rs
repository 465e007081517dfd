//! Where Redis is, and what is asked of it.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use crate::model::SecretString;

/// How nodes reach Redis. Its `Debug` shows no secret: [`SecretString`] has none to show.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub topology: Topology,
    /// `None`: in the clear.
    pub tls: Option<Tls>,
    /// As whom; `None`: as nobody.
    pub login: Option<Login>,
    /// As whom at the sentinels.
    pub sentinel_login: Option<Login>,
    /// Number of the database; a cluster has only 0.
    pub database: u32,
    /// What every key and every channel begins with.
    pub prefix: Arc<str>,
    /// What one call may take.
    pub timeout: Duration,
    /// How many nodes there are at least; counts while nobody could be counted.
    pub nodes: u32,
}

impl Settings {
    /// A server on another host that is spoken to in the clear.
    pub fn exposed(&self) -> Option<&Address> {
        let addresses = match &self.topology {
            Topology::Single(address) => std::slice::from_ref(address),
            Topology::Sentinels { sentinels: several, .. } | Topology::Cluster(several) => several,
        };
        addresses.iter().find(|address| self.tls.is_none() && !address.is_here())
    }
}

/// The ways in which Redis is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single(Address),
    /// A primary that sentinels watch.
    Sentinels {
        /// The sentinels.
        sentinels: Vec<Address>,
        /// What they call it.
        master: String,
    },
    /// A cluster, by some of its nodes.
    Cluster(Vec<Address>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or number.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A user of Redis' access control lists.
#[derive(Clone, Debug)]
pub struct Login {
    /// `None`: the default user.
    pub username: Option<String>,
    /// Its password.
    pub password: SecretString,
}

/// Over TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Who vouches for Redis, in PEM; `None`: whom the system trusts.
    pub authorities: Option<Arc<str>>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Whether it is this machine's own.
    fn is_here(&self) -> bool {
        let number = self.host.parse::<IpAddr>();
        self.host == "localhost" || number.is_ok_and(|number| number.is_loopback())
    }

    /// Reads `host`, `host:port` or `[v6]:port`.
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let own = rest.strip_prefix(':').map(str::parse);
                (host, if rest.is_empty() { port } else { own?.ok()? })
            }
            None => match text.split_once(':') {
                Some((host, own)) => (host, own.parse().ok()?),
                None => (text, port),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let good = !host.is_empty() && host.chars().all(plain) && port > 0;
        good.then(|| Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_or_without_a_port() {
        let read = |text: &str| Address::parse(text, 6379).map(|address| address.to_string());
        assert_eq!(read("redis.internal").as_deref(), Some("redis.internal:6379"));
        assert_eq!(read("10.0.0.1:7000").as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(read("[::1]:7000").as_deref(), Some("[::1]:7000"));
        assert_eq!(read("[::1]").as_deref(), Some("[::1]:6379"));
        for odd in ["", ":1", "a:b", "a:0", "a b", "user@host", "[::1", "[::1]x", "a/b"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
