//! A place for a store, and records with sensible values.

use std::{path::PathBuf, time::Duration};

use portcullis::{
    model::{AccountId, Digest, MountName, RealmName, ScopeSet, SessionId, Timestamp},
    store::{
        AccountRecord, AuditRecord, EndedSession, FamilyRecord, KeyRecord, NewSession, Options,
        Postgres, RefreshRecord, RevokedToken, Rotate, SessionRecord, Store,
    },
};
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use super::ON_POSTGRES;
use crate::postgres;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A folder that is removed at the end and the store in it, or a database.
pub(crate) struct Place {
    #[allow(dead_code, reason = "a database has no use for it")]
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
    database: Option<String>,
}

impl Place {
    /// Where the machine has no PostgreSQL, a file after all, and a word about it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data").join("store.db");
        let database = (ON_POSTGRES && postgres::is_there()).then(postgres::shared_database);
        Self { dir, path, database }
    }

    /// Opens with a generous bound, because the machine that runs the tests may be busy.
    pub(crate) async fn open(&self) -> Store {
        let options = Options { call_timeout: Duration::from_secs(20), ..Options::default() };
        match &self.database {
            Some(url) => Store::connect(&at(url, "one"), options).await.unwrap(),
            None => Store::open(&self.path, options).await.unwrap(),
        }
    }

    /// A connection behind the store's back.
    pub(crate) async fn raw(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        match &self.database {
            Some(url) => AnyConnection::connect(url).await.unwrap(),
            None => {
                let url = format!("sqlite:{}?mode=rw", self.path.display());
                let mut raw = AnyConnection::connect(&url).await.unwrap();
                sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut raw).await.unwrap();
                raw
            }
        }
    }

    /// Runs one statement behind the store's back.
    pub(crate) async fn tamper(&self, sql: &'static str) -> u64 {
        let mut raw = self.raw().await;
        let rows = sqlx::query(sql).execute(&mut raw).await.unwrap().rows_affected();
        raw.close().await.unwrap();
        rows
    }
}

/// A database as a node sees it.
pub(crate) fn at(url: &str, node: &str) -> Postgres {
    Postgres {
        url: url.parse().unwrap(),
        password: None,
        node: node.to_owned(),
        hold: Duration::from_secs(5),
    }
}

/// A place and a store open in it.
pub(crate) async fn fresh() -> (Place, Store) {
    let place = Place::new();
    let store = place.open().await;
    (place, store)
}

pub(crate) fn realm() -> RealmName {
    "main".into()
}

pub(crate) fn mount() -> MountName {
    "api".into()
}

pub(crate) fn event(name: &'static str) -> AuditRecord {
    AuditRecord { realm: Some(realm()), ..AuditRecord::new(name, NOW) }
}

/// An account whose id and username are `name`.
pub(crate) fn account(name: &str) -> AccountRecord {
    AccountRecord {
        username: Some(name.to_owned()),
        email: Some(format!("{name}@example.com")),
        password_hash: Some("$argon2id$old".into()),
        roles: vec!["USER".into()],
        ..AccountRecord::new(name.into(), realm(), NOW)
    }
}

pub(crate) async fn with_account(name: &str) -> (Place, Store, AccountRecord) {
    let (place, store) = fresh().await;
    let account = account(name);
    store.insert_account(&account, &[event("ACCOUNT_CREATED")]).await.unwrap();
    (place, store, account)
}

pub(crate) fn session(id: &str, account: &AccountId) -> SessionRecord {
    SessionRecord {
        id: SessionId::from(id),
        secret: None,
        realm: realm(),
        mount: mount(),
        account: account.clone(),
        name: None,
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW + HOUR * 24,
        ended_at: None,
        ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("curl/8".into()),
        device: Some(serde_json::json!({ "deviceId": "d1" })),
    }
}

pub(crate) fn token(family: &str, generation: i64) -> RefreshRecord {
    RefreshRecord {
        id: format!("{family}-{generation}"),
        family: family.to_owned(),
        generation,
        digest: Digest::of(format!("{family}/{generation}").as_bytes()),
        issued_at: NOW,
        expires_at: NOW + HOUR * 12,
        spent_at: None,
    }
}

/// A session `id` with a rotating family of the same name.
pub(crate) fn login(id: &str, account: &AccountRecord) -> NewSession {
    let family = FamilyRecord {
        id: id.to_owned(),
        session: id.into(),
        reusable: false,
        generation: 0,
        created_at: NOW,
        expires_at: NOW + HOUR * 24,
        ended_at: None,
    };
    NewSession {
        session: session(id, &account.id),
        family: Some((family, token(id, 0))),
        account_version: account.version,
        clear_failures: Vec::new(),
        factor: None,
    }
}

/// Trades generation `generation` of `family`, an hour after login.
pub(crate) fn rotation(family: &str, generation: i64) -> Rotate {
    Rotate {
        token: format!("{family}-{generation}"),
        family: family.to_owned(),
        generation,
        successor: token(family, generation + 1),
        expires_at: NOW + HOUR * 24,
        now: NOW + HOUR,
    }
}

pub(crate) fn key(id: &str, owner: &AccountId) -> KeyRecord {
    KeyRecord {
        id: id.into(),
        mount: mount(),
        realm: realm(),
        owner: owner.clone(),
        name: "ci".into(),
        description: Some("build".into()),
        hint: "abcdefgh".into(),
        digest: Digest::of(id.as_bytes()),
        scopes: ScopeSet::new(["READ", "WRITE"]),
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
        rate_limit_per_hour: Some(100),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
        last_used_at: None,
        usage_count: 0,
    }
}

/// Event names of the whole log, oldest first.
pub(crate) async fn events(store: &Store) -> Vec<String> {
    let mut tail = store.audit_tail(10_000).await.unwrap();
    tail.sort_by_key(|entry| entry.seq);
    tail.into_iter().map(|entry| entry.record.event.into_owned()).collect()
}

/// Every revocation that still matters at `now`.
pub(crate) async fn revocations(store: &Store, now: Timestamp) -> Vec<RevokedToken> {
    let mut all = Vec::new();
    store.live_revocations(now, |token| all.push(token)).await.unwrap();
    all
}

/// Sessions ended at or after `since`.
pub(crate) async fn ended_since(store: &Store, since: Timestamp) -> Vec<EndedSession> {
    let mut all = Vec::new();
    store.sessions_ended_since(since, |session| all.push(session)).await.unwrap();
    all
}
