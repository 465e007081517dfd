//! A store in a file copied into a database: all of it or nothing, and held against what was read.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{
    Connection, Row, StoreError, audit,
    lock::StoreLock,
    migrations,
    postgres::{Door, FLEET, Postgres, Use},
    rows, sqlite,
};
use crate::model::Digest;

/// Rows read at once.
const BATCH: i64 = 500;
/// Most values of one statement; the protocol allows 65,535.
const VALUES: usize = 30_000;

/// Every table, those before that others refer to.
const TABLES: [&str; 31] = [
    "meta",
    "organisation",
    "account",
    "membership",
    "team",
    "team_member",
    "permission",
    "permission_grant",
    "session",
    "refresh_family",
    "refresh_token",
    "revoked_token",
    "login_failure",
    "one_time_code",
    "api_key",
    "signing_key",
    "named_secret",
    "agent_token",
    "foreign_identity",
    "allow_entry",
    "outbox",
    "audit",
    "audit_head",
    "webhook",
    "webhook_delivery",
    "webhook_place",
    "oauth_client",
    "oauth_token",
    "oauth_session",
    "oauth_assertion",
    "oidc_session",
];

/// What was copied of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// A column of the target, and what is in it.
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Bytes,
}

enum Value {
    Number(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// Number and digest of rows, whatever their order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    digest: [u64; 4],
}

impl Postgres {
    /// Copies the store in the file `from`, which must be open nowhere, into this database, which must be empty. In one
    /// transaction, in which every table is read back and held against the file, and every chain of the audit log is
    /// checked. [`StoreError::Full`] if something is in the database.
    pub async fn fill_from(&self, from: &Path) -> Result<Vec<Copied>, StoreError> {
        if !from.try_exists()? {
            return Err(StoreError::NotFound);
        }
        let _lock = StoreLock::take(from).await?;
        let mut source = sqlite::connect(from, sqlite::Use::Writing).await?;
        sqlite::migrate(&mut source).await?;
        let mut target = Door::new(self.clone(), self.hold).connect(Use::Tending).await?;
        migrations::prepare(&mut target).await?;
        let mut into = target.begin().await?;
        // No node writes meanwhile.
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(FLEET).execute(&mut *into).await?;
        let mut out = source.begin().await?;
        check_tables(&mut out).await?;
        let mut copied = Vec::new();
        for table in TABLES {
            copied.push(copy(&mut out, &mut into, table).await?);
        }
        let chains: Vec<String> = sqlx::query_scalar("SELECT node FROM audit_head ORDER BY node")
            .fetch_all(&mut *into)
            .await?;
        for node in &chains {
            if audit::verify(&mut into, node).await?.fault.is_some() {
                return Err(StoreError::Corrupt);
            }
        }
        into.commit().await?;
        out.rollback().await?;
        // Without figures about its tables the server would plan as if they were empty.
        sqlx::raw_sql("ANALYZE").execute(&mut target).await?;
        target.close().await?;
        source.close().await?;
        Ok(copied)
    }
}

/// That no table of the file is left out.
async fn check_tables(source: &mut Connection) -> Result<(), StoreError> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name <> '_sqlx_migrations'",
    )
    .fetch_all(source)
    .await?;
    let known = tables.iter().all(|name| TABLES.contains(&name.as_str()));
    if known && tables.len() == TABLES.len() { Ok(()) } else { Err(StoreError::Schema) }
}

async fn copy(
    source: &mut Connection,
    target: &mut Connection,
    table: &'static str,
) -> Result<Copied, StoreError> {
    let columns = columns(target, table).await?;
    let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    if read_back(target, table, &names, &columns).await?.rows > 0 {
        return Err(StoreError::Full);
    }
    let (mut read, mut last) = (Sum::default(), i64::MIN);
    let select = format!(
        "SELECT rowid AS place, {names} FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT $2"
    );
    loop {
        let page = sqlx::query(AssertSqlSafe(select.as_str()))
            .bind(last)
            .bind(BATCH)
            .fetch_all(&mut *source)
            .await?;
        let Some(end) = page.last() else { break };
        last = rows::get(end, "place")?;
        let page: Vec<Vec<Value>> =
            page.iter().map(|row| values(row, &columns)).collect::<Result<_, _>>()?;
        page.iter().for_each(|row| read.add(row));
        let at_once = (VALUES / columns.len().max(1)).max(1);
        for part in page.chunks(at_once) {
            insert(target, table, &names, columns.len(), part).await?;
        }
    }
    let written = read_back(target, table, &names, &columns).await?;
    if written != read {
        tracing::error!(event = "copy_differs", table, read = read.rows, written = written.rows);
        return Err(StoreError::Corrupt);
    }
    Ok(Copied { table, rows: read.rows })
}

async fn columns(target: &mut Connection, table: &str) -> Result<Vec<Column>, StoreError> {
    let found = sqlx::query(
        "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind \
         FROM information_schema.columns WHERE table_schema = current_schema() \
         AND table_name = $1 ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(target)
    .await?;
    found
        .iter()
        .map(|row| {
            let kind = match rows::get::<String>(row, "kind")?.as_str() {
                "bigint" => Kind::Number,
                "text" => Kind::Text,
                "bytea" => Kind::Bytes,
                _ => return Err(StoreError::Schema),
            };
            Ok(Column { name: rows::get(row, "name")?, kind })
        })
        .collect()
}

async fn insert(
    target: &mut Connection,
    table: &str,
    names: &str,
    width: usize,
    page: &[Vec<Value>],
) -> Result<(), StoreError> {
    let row = |first: usize| {
        let marks: Vec<String> = (first..first + width).map(|n| format!("${n}")).collect();
        format!("({})", marks.join(", "))
    };
    let all: Vec<String> = (0..page.len()).map(|index| row(index * width + 1)).collect();
    let text = format!("INSERT INTO {table} ({names}) VALUES {}", all.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
    for value in page.iter().flatten() {
        query = match value {
            Value::Number(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.clone()),
        };
    }
    query.execute(target).await?;
    Ok(())
}

/// What a table of the target holds, read in parts.
async fn read_back(
    target: &mut Connection,
    table: &str,
    names: &str,
    columns: &[Column],
) -> Result<Sum, StoreError> {
    let declare = format!("DECLARE whole CURSOR FOR SELECT {names} FROM {table}");
    sqlx::raw_sql(AssertSqlSafe(declare)).execute(&mut *target).await?;
    let mut sum = Sum::default();
    loop {
        let page = sqlx::query("FETCH 500 FROM whole").persistent(false);
        let page = page.fetch_all(&mut *target).await?;
        for row in &page {
            sum.add(&values(row, columns)?);
        }
        if page.is_empty() {
            sqlx::raw_sql("CLOSE whole").execute(&mut *target).await?;
            return Ok(sum);
        }
    }
}

fn values(row: &Row, columns: &[Column]) -> Result<Vec<Value>, StoreError> {
    columns
        .iter()
        .map(|column| {
            let name = column.name.as_str();
            Ok(match column.kind {
                Kind::Number => Value::Number(row.try_get(name)?),
                Kind::Text => Value::Text(row.try_get(name)?),
                Kind::Bytes => Value::Bytes(row.try_get(name)?),
            })
        })
        .collect()
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut bytes = Vec::with_capacity(256);
        for value in row {
            let (kind, part) = match value {
                Value::Number(Some(number)) => (1, number.to_be_bytes().to_vec()),
                Value::Text(Some(text)) => (2, text.clone().into_bytes()),
                Value::Bytes(Some(part)) => (3, part.clone()),
                Value::Number(None) | Value::Text(None) | Value::Bytes(None) => (0, Vec::new()),
            };
            bytes.push(kind);
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(&part);
        }
        let digest = Digest::of(&bytes);
        for (sum, part) in self.digest.iter_mut().zip(digest.as_bytes().as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
        self.rows += 1;
    }
}
