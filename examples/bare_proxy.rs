//! The smallest proxy on the same pingora: no checks, no log, no metrics. What the gateway's cost is measured against.
//!
//! `bare_proxy --listen 127.0.0.1:PORT --upstream 127.0.0.1:PORT --threads N`

use std::{env, error::Error, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use pingora::{
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, false, String::new());
        // The gateway's deadlines, since timers cost something too.
        peer.options.connection_timeout = Some(Duration::from_secs(2));
        peer.options.read_timeout = Some(Duration::from_secs(30));
        peer.options.write_timeout = Some(Duration::from_secs(30));
        Ok(Box::new(peer))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr = argument("--listen")?.parse()?;
    let upstream = argument("--upstream")?.parse()?;
    let threads = argument("--threads")?.parse()?;
    let conf = ServerConf {
        threads,
        upstream_keepalive_pool_size: 128,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever();
}

fn argument(name: &str) -> Result<String, String> {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.nth(1).ok_or_else(|| format!("{name} is missing"))
}
