//! PostgreSQL: where a database is, and how each connection to it is set up.
//!
//! The fleet writes as one process would: each transaction takes the same advisory lock before anything else, so writes of
//! all nodes go one after another, in the order of their commits. The lock is the transaction's: it is gone with it, and
//! the server ends a transaction whose node says nothing for [`Postgres::hold`].

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, any::AnyConnectOptions, migrate::Migrator,
    postgres::PgConnectOptions,
};
use url::Url;

use super::{Connection, Pool, StoreError, Transaction, open};
use crate::model::{Digest, SecretString, secret::ExposeSecret};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("src/store/schema/postgres");

/// The lock that every writing transaction of the fleet takes. "portcull" in ASCII.
pub(super) const FLEET: i64 = 0x706f_7274_6375_6c6c;
/// No statement of a call works longer than this for nobody.
const STATEMENT: Duration = Duration::from_secs(60);
/// How long a connection that a caller gave up on may take to become usable; then it is replaced.
const RECOVERY: Duration = Duration::from_secs(1);
/// How long a node waits at the start for its name: a process before it that was killed holds it for a moment.
const NAME_PATIENCE: Duration = Duration::from_secs(3);
const NAME_PAUSE: Duration = Duration::from_millis(100);
/// What PostgreSQL keeps of an application's name.
const APPLICATION_NAME: usize = 63;

/// A database on a PostgreSQL server.
#[derive(Clone)]
pub struct Postgres {
    /// `postgres://USER@HOST:PORT/DATABASE`, with the driver's parameters behind `?`; never a password.
    pub url: Url,
    /// The password.
    pub password: Option<SecretString>,
    /// This node's name, which no other node has.
    pub node: String,
    /// How long a transaction of a node that says nothing may keep the others from writing.
    pub hold: Duration,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("at", &self.place()).field("node", &self.node).finish()
    }
}

impl Postgres {
    /// Server and database, for messages: no user, no parameters.
    pub fn place(&self) -> String {
        let socket = self.url.query_pairs().find(|(key, _)| key == "host").map(|(_, host)| host);
        let host = socket.as_deref().or(self.url.host_str()).unwrap_or("localhost").to_owned();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("postgres://{host}{port}{}", self.url.path())
    }

    /// Whether nothing between us and it can be listened to by others: a socket, or this machine's own address.
    pub fn is_local(&self) -> bool {
        if let Some((_, host)) = self.url.query_pairs().find(|(key, _)| key == "host") {
            return host.starts_with('/') || is_loopback(&host);
        }
        self.url.host_str().is_none_or(|host| host.is_empty() || is_loopback(host))
    }

    /// The settings of the connections as the driver wants them, password included: never shown.
    fn address(&self, application: &str) -> Result<AnyConnectOptions, StoreError> {
        sqlx::any::install_default_drivers();
        let url = self.whole(application);
        Ok(AnyConnectOptions::from_url(&url)?.disable_statement_logging())
    }

    /// The address with everything that the connections need to know, password included.
    fn whole(&self, application: &str) -> Url {
        let mut url = self.url.clone();
        let encrypted = url.query_pairs().any(|(key, _)| key == "sslmode");
        let (application, local) = (shortened(application), self.is_local());
        let mut parameters = url.query_pairs_mut();
        parameters.append_pair("application_name", &application);
        if !encrypted {
            parameters.append_pair("sslmode", if local { "prefer" } else { "verify-full" });
        }
        if let Some(password) = &self.password {
            parameters.append_pair("password", password.expose_secret());
        }
        drop(parameters);
        url
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The one that writes, and that holds the node's name.
    Writing,
    /// One beside it. A wall: whatever strays here cannot write.
    Reading,
    /// Migrations and copies, which may take their time.
    Tending,
}

/// One process on a database: what its connections have in common.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    at: Postgres,
    /// Tells the sessions of this process from those of another with the same name.
    application: String,
    call_timeout: Duration,
}

impl Door {
    pub(super) fn new(at: Postgres, call_timeout: Duration) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        let run = run.get(..8).unwrap_or_default();
        let application = shortened(&format!("portcullis {run} {}", at.node));
        Self(Arc::new(Inner { at, application, call_timeout }))
    }

    /// The settings of a connection that only listens.
    pub(super) fn listening(&self) -> Result<PgConnectOptions, StoreError> {
        let url = self.0.at.whole(&self.0.application);
        Ok(PgConnectOptions::from_url(&url)?.disable_statement_logging())
    }

    pub(super) fn node(&self) -> &str {
        &self.0.at.node
    }

    /// A connection outside of the pools.
    pub(super) async fn connect(&self, what_for: Use) -> Result<Connection, StoreError> {
        let mut connection = self.0.at.address(&self.0.application)?.connect().await?;
        self.set_up(&mut connection, what_for).await?;
        Ok(connection)
    }

    /// The pool of one writer, or of some readers.
    pub(super) async fn pool(
        &self,
        size: u32,
        what_for: Use,
        options: &open::Options,
    ) -> Result<Pool, StoreError> {
        let door = self.clone();
        let pool = open::pool_options(size, options)
            // A pool that keeps a number of connections makes them anew by itself, with pauses that grow as long as the
            // server is away, and the place of the only writer taken until then. So whoever calls makes what it needs.
            .min_connections(0)
            // Sessions end without a word: the server restarts, somebody terminates them.
            .test_before_acquire(true)
            .after_connect(move |connection, _| {
                let door = door.clone();
                Box::pin(async move {
                    door.set_up(connection, what_for).await?;
                    match what_for {
                        Use::Writing => door.take_name(connection).await,
                        Use::Reading | Use::Tending => Ok(()),
                    }
                })
            })
            // A caller that gave up leaves its answer to be read; where none comes, the place is needed for another.
            .after_release(|connection, _| {
                Box::pin(async move {
                    Ok(matches!(
                        tokio::time::timeout(RECOVERY, connection.ping()).await,
                        Ok(Ok(()))
                    ))
                })
            })
            .connect_lazy_with(self.0.at.address(&self.0.application)?);
        // What is wrong is told now and not at the first call.
        drop(pool.acquire().await?);
        Ok(pool)
    }

    async fn set_up(&self, connection: &mut Connection, what_for: Use) -> Result<(), sqlx::Error> {
        let (call, hold) = (self.0.call_timeout.as_millis(), self.0.at.hold.as_millis());
        let own = match what_for {
            Use::Writing => format!(
                "SET lock_timeout = {call}; SET statement_timeout = {}; \
                 SET idle_in_transaction_session_timeout = {hold};",
                STATEMENT.as_millis()
            ),
            Use::Reading => format!(
                "SET default_transaction_read_only = on; SET statement_timeout = {}; \
                 SET idle_in_transaction_session_timeout = {};",
                STATEMENT.as_millis(),
                STATEMENT.as_millis()
            ),
            Use::Tending => String::new(),
        };
        // Each statement must see what was committed while it waited for the lock. What is acknowledged is on disk, whatever
        // the role or the database would have by itself. Every statement looks for few rows: a table that was small when it was
        // planned is not to be read from end to end when it has grown. Nothing in it comes from outside.
        let text = format!(
            "SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on; \
             SET client_min_messages = warning; SET random_page_cost = 1.1; {own}"
        );
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
        if what_for == Use::Reading {
            return Ok(());
        }
        let copy: bool =
            sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut *connection).await?;
        if copy {
            tracing::warn!(event = "store_read_only", store = %self.0.at.place());
            return Err(sqlx::Error::Io(std::io::ErrorKind::ReadOnlyFilesystem.into()));
        }
        Ok(())
    }

    /// Takes this node's name for as long as the connection lives.
    async fn take_name(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        if self.try_name(connection).await? {
            return Ok(());
        }
        // Maybe it is held by a session of our own that the server has not missed yet, as after a network that went away.
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = $1 AND pid <> pg_backend_pid() AND pid IN \
             (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)",
        )
        .bind(&self.0.application)
        .execute(&mut *connection)
        .await?;
        if self.try_name(connection).await? {
            return Ok(());
        }
        tracing::warn!(event = "node_name_taken", node = self.node());
        Err(sqlx::Error::Io(std::io::ErrorKind::AddrInUse.into()))
    }

    async fn try_name(&self, connection: &mut Connection) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(name_lock(self.node()))
            .fetch_one(connection)
            .await
    }

    /// [`StoreError::NodeTaken`] if another process has this node's name and keeps it.
    pub(super) async fn check_name(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let started = Instant::now();
        while !self.try_name(connection).await? {
            if started.elapsed() > NAME_PATIENCE {
                return Err(StoreError::NodeTaken);
            }
            tokio::time::sleep(NAME_PAUSE).await;
        }
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(name_lock(self.node()))
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Starts a write: from here to its end no other node writes.
pub(super) async fn begin(writer: &Pool) -> Result<Transaction, StoreError> {
    // Two statements: a transaction whose first statement fails must be known to the driver, or it would stay open.
    let mut tx = writer.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(FLEET).execute(&mut *tx).await?;
    Ok(tx)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// As PostgreSQL shortens it, which shows other characters than those of ASCII as question marks.
fn shortened(application: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    application.chars().map(plain).take(APPLICATION_NAME).collect()
}

fn name_lock(node: &str) -> i64 {
    let digest = Digest::of(format!("portcullis node {node}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(digest.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
    i64::from_be_bytes(first)
}
