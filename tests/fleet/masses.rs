//! Very many accounts, each with a key and a session, written straight into a store. Everything about the one with a number
//! follows from the number, so that each of a million credentials is known in clear, and works.

use std::{
    io::Write,
    ops::Range,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use portcullis::model::{
    Digest, Random, api_key,
    api_key::{IssuedKey, hex},
    opaque,
    random::RandomError,
    secret::ExposeSecret,
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// When the first of them came to be; those behind came a millisecond later each.
const BEGAN: i64 = 1_700_000_000_000;
/// No session of them ends before.
const FAR: i64 = 9_999_999_999_999;
/// Most values of one statement.
const VALUES: usize = 8_000;

/// Bytes that follow from a number.
struct Drawn {
    what: &'static str,
    number: usize,
    calls: AtomicU64,
}

impl Random for Drawn {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        for part in out.chunks_mut(32) {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            let block = Digest::of(format!("{} {} {call}", self.what, self.number).as_bytes());
            part.copy_from_slice(&block.as_bytes()[..part.len()]);
        }
        Ok(())
    }
}

fn drawn(what: &'static str, number: usize) -> Drawn {
    Drawn { what, number, calls: AtomicU64::new(0) }
}

/// The key with this number, at the mount `api`.
pub fn key(number: usize) -> String {
    issued(number).text.expose_secret().to_owned()
}

fn issued(number: usize) -> IssuedKey {
    api_key::issue(&"tmws_key_".into(), &drawn("key", number)).unwrap()
}

/// The session with this number, at the mount `hh`.
pub fn session(number: usize) -> String {
    opaque::issue(&drawn("session", number)).unwrap().0.expose_secret().to_owned()
}

/// The refresh token with this number, of a session at the mount `api`.
pub fn refresh_token(number: usize) -> String {
    let (secret, _) = opaque::issue(&drawn("refresh", number)).unwrap();
    format!("{}.{}", uuid("refresh", number), secret.expose_secret())
}

pub fn username(number: usize) -> String {
    format!("person-{number}")
}

fn uuid(what: &'static str, number: usize) -> String {
    let mut bytes = [0; 16];
    drawn(what, number).fill(&mut bytes).unwrap();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Handle of the session with this number.
pub fn session_id(number: usize) -> String {
    uuid("handle", number)
}

enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table, its columns, and the row with a number. `hash` is the password of all.
struct Table {
    name: &'static str,
    columns: &'static str,
    row: fn(usize, &str) -> Vec<Value>,
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn at(number: usize) -> Value {
    Value::Number(BEGAN + i64::try_from(number).unwrap())
}

fn bytes(digest: Digest) -> Value {
    Value::Bytes(digest.as_bytes().to_vec())
}

const ACCOUNTS: Table = Table {
    name: "account",
    columns: "id, realm, number, username, username_key, email, email_key, password_hash, status, roles, \
              email_verified, preferences, version, created_at, updated_at",
    row: |n, hash| {
        let (name, email) = (username(n), format!("{}@example.org", username(n)));
        let number = Value::Number(i64::try_from(n).unwrap() + 1_000_000_000);
        vec![
            text(uuid("account", n)),
            text("main"),
            number,
            text(name.clone()),
            text(name),
            text(email.clone()),
            text(email),
            text(hash),
            text("active"),
            text(r#"["USER"]"#),
            Value::Number(1),
            text("{}"),
            Value::Number(1),
            at(n),
            at(n),
        ]
    },
};
const KEYS: Table = Table {
    name: "api_key",
    columns: "id, mount, realm, owner_id, name, hint, digest, scopes, allowed_ips, created_at, usage_count",
    row: |n, _| {
        let key = issued(n);
        vec![
            text(key.id.as_str()),
            text("api"),
            text("main"),
            text(uuid("account", n)),
            text(format!("key {n}")),
            text(key.hint),
            bytes(key.digest),
            text(r#"["READ"]"#),
            text("[]"),
            at(n),
            Value::Number(0),
        ]
    },
};
const SESSIONS: Table = Table {
    name: "session",
    columns: "id, secret, realm, mount, account_id, created_at, last_seen_at, expires_at",
    row: |n, _| {
        let (_, digest) = opaque::issue(&drawn("session", n)).unwrap();
        let (id, owner) = (text(session_id(n)), text(uuid("account", n)));
        let far = Value::Number(FAR);
        vec![id, bytes(digest), text("main"), text("hh"), owner, at(n), at(n), far]
    },
};
const IDENTITIES: Table = Table {
    name: "foreign_identity",
    columns: "realm, provider, subject, account_id, generation, updated_at",
    row: |n, _| {
        let (subject, owner) = (text(n.to_string()), text(uuid("account", n)));
        vec![text("main"), text("hh.ru"), subject, owner, Value::Number(0), at(n)]
    },
};
/// What hangs on a login with a password, beside the sessions of the other contract.
const LOGINS: [Table; 3] = [
    Table {
        name: "session",
        columns: "id, realm, mount, account_id, created_at, last_seen_at, expires_at",
        row: |n, _| {
            let (id, owner) = (text(uuid("login", n)), text(uuid("account", n)));
            vec![id, text("main"), text("api"), owner, at(n), at(n), Value::Number(FAR)]
        },
    },
    Table {
        name: "refresh_family",
        columns: "id, session_id, reusable, generation, created_at, expires_at",
        row: |n, _| {
            let (id, session) = (text(uuid("family", n)), text(uuid("login", n)));
            vec![id, session, Value::Number(0), Value::Number(0), at(n), Value::Number(FAR)]
        },
    },
    Table {
        name: "refresh_token",
        columns: "id, family_id, generation, digest, issued_at, expires_at",
        row: |n, _| {
            let (id, family) = (text(uuid("refresh", n)), text(uuid("family", n)));
            let digest = bytes(Digest::of(refresh_token(n).as_bytes()));
            vec![id, family, Value::Number(0), digest, at(n), Value::Number(FAR)]
        },
    },
];

/// Adds those with these numbers to a database of the tests, whose role may do everything.
pub fn fill_database(url: &str, numbers: &Range<usize>, hash: &str) {
    for table in [ACCOUNTS, KEYS, SESSIONS, IDENTITIES] {
        // What they refer to is there, and nobody waits to hear of them.
        let copy = format!("COPY {} ({}) FROM STDIN", table.name, table.columns);
        let mut psql = Command::new("psql")
            .args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                "SET session_replication_role = replica",
            ])
            .args(["-c", &copy, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql runs");
        let mut into = std::io::BufWriter::new(psql.stdin.take().unwrap());
        for number in numbers.clone() {
            let row: Vec<String> =
                (table.row)(number, hash).into_iter().map(|value| value.copied()).collect();
            writeln!(into, "{}", row.join("\t")).unwrap();
        }
        drop(into);
        assert!(psql.wait().unwrap().success(), "{}", table.name);
    }
    crate::support::postgres::ask(url, "ANALYZE");
}

/// Adds those with these numbers to a store in a file that nobody has open, with logins at the mount `api` as well.
pub async fn fill_file(file: &Path, numbers: &Range<usize>, hash: &str) {
    let options = SqliteConnectOptions::new().filename(file);
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let mut whole = store.begin().await.unwrap();
    for table in [ACCOUNTS, KEYS, SESSIONS, IDENTITIES].into_iter().chain(LOGINS) {
        let width = table.columns.split(',').count();
        let row = format!("({})", vec!["?"; width].join(", "));
        let all: Vec<usize> = numbers.clone().collect();
        for part in all.chunks(VALUES / width) {
            let rows = vec![row.as_str(); part.len()].join(", ");
            let sql = format!("INSERT INTO {} ({}) VALUES {rows}", table.name, table.columns);
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for value in part.iter().flat_map(|number| (table.row)(*number, hash)) {
                query = match value {
                    Value::Number(number) => query.bind(number),
                    Value::Text(text) => query.bind(text),
                    Value::Bytes(bytes) => query.bind(bytes),
                };
            }
            query.execute(&mut *whole).await.unwrap();
        }
    }
    whole.commit().await.unwrap();
    store.close().await.unwrap();
}

/// The hash of somebody's password in a file that nobody has open.
pub async fn password_of(file: &Path, username: &str) -> String {
    let options = SqliteConnectOptions::new().filename(file);
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let hash = sqlx::query_scalar("SELECT password_hash FROM account WHERE username = ?")
        .bind(username)
        .fetch_one(&mut store)
        .await
        .unwrap();
    store.close().await.unwrap();
    hash
}

impl Value {
    /// In the text form of COPY. None of them needs an escape.
    fn copied(self) -> String {
        match self {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Bytes(bytes) => format!("\\\\x{}", hex(&bytes)),
        }
    }
}
