//! Making connections: to the one server, to the primary that sentinels name, or into a cluster.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates, TlsMode, Value,
    aio::{MultiplexedConnection, PubSub},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

use super::settings::{Address, Login, Settings, Tls, Topology};
use crate::model::secret::ExposeSecret;

/// What one attempt may take, the greeting included.
pub(super) const DIAL: Duration = Duration::from_millis(300);
/// Calls that may wait for their turn to be written.
const QUEUE: usize = 4096;

/// A connection that many use at once.
#[derive(Clone)]
pub(super) enum Link {
    Plain(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Plain(link) => command.query_async(link).await,
            Self::Cluster(link) => command.query_async(link).await,
        }
    }
}

/// Where commands may have to go. Several where several say where: one of them may not have heard of a failover.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    At(&'a Address),
    /// The primary, as this sentinel knows it.
    NamedBy(&'a Address, &'a str),
    Cluster(&'a [Address]),
}

/// All of them, in the order in which they are to be tried.
pub(super) fn places(settings: &Settings) -> Vec<Place<'_>> {
    match &settings.topology {
        Topology::Single(address) => vec![Place::At(address)],
        Topology::Sentinels { sentinels, master } => {
            sentinels.iter().map(|sentinel| Place::NamedBy(sentinel, master)).collect()
        }
        Topology::Cluster(nodes) => vec![Place::Cluster(nodes)],
    }
}

/// Connects where commands are to go.
pub(super) async fn connect(settings: &Settings, place: Place<'_>) -> Result<Link, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(DIAL))
        .set_response_timeout(Some(DIAL))
        .set_pipeline_buffer_size(QUEUE);
    match place {
        Place::At(address) => plain(settings, address, &config).await,
        Place::NamedBy(sentinel, master) => {
            let primary =
                primary(settings, std::slice::from_ref(sentinel), master, &config).await?;
            plain(settings, &primary, &config).await
        }
        Place::Cluster(nodes) => cluster(settings, nodes).await.map(Link::Cluster),
    }
}

/// Connects for news. In a cluster any node will do: news go to all of them.
pub(super) async fn listen(settings: &Settings) -> Result<PubSub, RedisError> {
    let addresses = match &settings.topology {
        Topology::Single(address) => vec![address.clone()],
        Topology::Sentinels { sentinels, master } => {
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(DIAL));
            vec![primary(settings, sentinels, master, &config).await?]
        }
        Topology::Cluster(nodes) => nodes.clone(),
    };
    let mut failed = nobody();
    for address in &addresses {
        let found = match client(settings, address, settings.login.as_ref(), settings.database) {
            Ok(client) => within(client.get_async_pubsub()).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(link) => return Ok(link),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn plain(
    settings: &Settings,
    address: &Address,
    config: &AsyncConnectionConfig,
) -> Result<Link, RedisError> {
    let client = client(settings, address, settings.login.as_ref(), settings.database)?;
    let link = within(client.get_multiplexed_async_connection_with_config(config)).await?;
    Ok(Link::Plain(link))
}

/// Asks the sentinels, one after the other, who is the primary. One that no longer is refuses writes, and is found out by
/// the first of them.
async fn primary(
    settings: &Settings,
    sentinels: &[Address],
    master: &str,
    config: &AsyncConnectionConfig,
) -> Result<Address, RedisError> {
    let mut failed = nobody();
    for sentinel in sentinels {
        let asked = async {
            let client = client(settings, sentinel, settings.sentinel_login.as_ref(), 0)?;
            let mut link = client.get_multiplexed_async_connection_with_config(config).await?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("get-master-addr-by-name").arg(master);
            command.query_async::<Option<(String, u16)>>(&mut link).await
        };
        match within(asked).await {
            Ok(Some((host, port))) => return Ok(Address { host, port }),
            Ok(None) => {
                let what = "the sentinels know no master of this name";
                failed = (redis::ErrorKind::InvalidClientConfig, what).into();
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn cluster(settings: &Settings, nodes: &[Address]) -> Result<ClusterConnection, RedisError> {
    let first = nodes.iter().map(|node| address(node, settings.tls.as_ref()));
    // A call has milliseconds: whoever tries again does so with the next request.
    let mut builder = ClusterClientBuilder::new(first)
        .connection_timeout(DIAL)
        .response_timeout(DIAL)
        .retries(2)
        .use_protocol(ProtocolVersion::RESP2)
        .tcp_settings(at_once());
    if let Some(tls) = &settings.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(tls));
    }
    if let Some(login) = &settings.login {
        builder = builder.password(login.password.expose_secret());
        if let Some(name) = &login.username {
            builder = builder.username(name);
        }
    }
    let client = builder.build()?;
    within(client.get_async_connection()).await
}

/// `login` of the data at `database`; sentinels have logins of their own, and no databases.
fn client(
    settings: &Settings,
    to: &Address,
    login: Option<&Login>,
    database: u32,
) -> Result<Client, RedisError> {
    let mut greeting =
        RedisConnectionInfo::default().set_skip_set_lib_name().set_db(i64::from(database));
    if let Some(login) = login {
        greeting = greeting.set_password(login.password.expose_secret());
        if let Some(name) = &login.username {
            greeting = greeting.set_username(name);
        }
    }
    let info = address(to, settings.tls.as_ref()).into_connection_info()?;
    let info = info.set_redis_settings(greeting).set_tcp_settings(at_once());
    match &settings.tls {
        Some(tls) => Client::build_with_tls(info, certificates(tls)),
        None => Client::open(info),
    }
}

fn address(to: &Address, tls: Option<&Tls>) -> ConnectionAddr {
    let (host, port) = (to.host.clone(), to.port);
    match tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    }
}

/// A call does not wait in the kernel for the answer of the one before.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn certificates(tls: &Tls) -> TlsCertificates {
    let root_cert = tls.authorities.as_ref().map(|pem| pem.as_bytes().to_vec());
    TlsCertificates { client_tls: None, root_cert }
}

async fn within<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(DIAL, work).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

pub(super) fn nobody() -> RedisError {
    (redis::ErrorKind::InvalidClientConfig, "no address to ask").into()
}
