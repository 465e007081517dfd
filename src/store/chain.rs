//! The hash chain of the audit log: how a record is hashed, appended and checked.

use serde_json::Value;

use super::{AuditFault, AuditRecord, Connection, Row, StoreError, rows};
use crate::model::{Digest, api_key::hex};

/// Event that retention leaves behind; its details name what was removed.
pub(super) const CHECKPOINT: &str = "AUDIT_CHECKPOINT";
/// Hash before the first record.
pub(super) const GENESIS: [u8; 32] = [0; 32];
/// Separates these hashes from any others, and this layout from a later one.
const DOMAIN: &[u8] = b"portcullis audit 1";

/// Where a node's chain stands.
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) base_seq: i64,
    pub(super) base_hash: Vec<u8>,
}

/// A record as its columns hold it; the hash covers exactly these.
pub(super) struct Entry {
    pub(super) seq: i64,
    at: i64,
    event: String,
    realm: Option<String>,
    mount: Option<String>,
    account: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    details: String,
}

impl Entry {
    fn new(seq: i64, record: &AuditRecord) -> Result<Self, StoreError> {
        Ok(Self {
            seq,
            at: record.at.millis(),
            event: record.event.clone().into_owned(),
            realm: record.realm.as_ref().map(ToString::to_string),
            mount: record.mount.as_ref().map(ToString::to_string),
            account: record.account.as_ref().map(ToString::to_string),
            ip: record.ip.as_ref().map(ToString::to_string),
            user_agent: record.user_agent.clone(),
            request_id: record.request_id.clone(),
            details: rows::to_json(&record.details)?,
        })
    }

    /// Reads the hashed columns of a row.
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            seq: rows::get(row, "seq")?,
            at: rows::get(row, "at")?,
            event: rows::get(row, "event")?,
            realm: rows::get(row, "realm")?,
            mount: rows::get(row, "mount")?,
            account: rows::get(row, "account_id")?,
            ip: rows::get(row, "ip")?,
            user_agent: rows::get(row, "user_agent")?,
            request_id: rows::get(row, "request_id")?,
            details: rows::get(row, "details")?,
        })
    }

    /// SHA-256 over the fields, each behind its length, and the hash before. A missing field differs from an empty one.
    pub(super) fn hash(&self, node: &str, prev: &[u8]) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(256 + self.details.len());
        put(&mut bytes, Some(DOMAIN));
        put(&mut bytes, Some(prev));
        put(&mut bytes, Some(node.as_bytes()));
        put(&mut bytes, Some(&self.seq.to_be_bytes()));
        put(&mut bytes, Some(&self.at.to_be_bytes()));
        put(&mut bytes, Some(self.event.as_bytes()));
        for field in
            [&self.realm, &self.mount, &self.account, &self.ip, &self.user_agent, &self.request_id]
        {
            put(&mut bytes, field.as_ref().map(String::as_bytes));
        }
        put(&mut bytes, Some(self.details.as_bytes()));
        *Digest::of(&bytes).as_bytes()
    }

    /// Whether this is the event that retention left behind when it removed everything up to `head`'s base.
    pub(super) fn vouches_for(&self, head: &Head) -> bool {
        let details: Value = serde_json::from_str(&self.details).unwrap_or_default();
        self.event == CHECKPOINT
            && details.get("through").and_then(Value::as_i64) == Some(head.base_seq)
            && details.get("hash").and_then(Value::as_str) == Some(&hex(&head.base_hash))
    }
}

/// Walks a chain in order and stops at the first fault.
pub(super) struct Walk<'a> {
    node: &'a str,
    head: &'a Head,
    prev: Vec<u8>,
    next: i64,
    vouched: bool,
}

impl<'a> Walk<'a> {
    /// Starts behind the base.
    pub(super) fn new(node: &'a str, head: &'a Head) -> Self {
        Self {
            node,
            head,
            prev: head.base_hash.clone(),
            next: head.base_seq + 1,
            vouched: head.base_seq == 0 && head.base_hash == GENESIS,
        }
    }

    /// Checks the next record.
    pub(super) fn step(
        &mut self,
        entry: &Entry,
        prev: &[u8],
        hash: &[u8],
    ) -> Result<(), AuditFault> {
        if entry.seq > self.next {
            return Err(AuditFault::Gap { seq: place(self.next) });
        }
        let expected = entry.hash(self.node, &self.prev);
        if entry.seq != self.next || prev != self.prev || hash != expected {
            return Err(AuditFault::Edited { seq: place(entry.seq) });
        }
        self.vouched = self.vouched || entry.vouches_for(self.head);
        self.prev = expected.to_vec();
        self.next += 1;
        Ok(())
    }

    /// Place of the next record.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Checks the end against the head, and the beginning against retention's own record.
    pub(super) fn end(self) -> Result<(), AuditFault> {
        if self.next <= self.head.seq {
            return Err(AuditFault::Cut { seq: place(self.next) });
        }
        if self.next != self.head.seq + 1 || self.prev != self.head.hash {
            return Err(AuditFault::Edited { seq: place(self.next - 1) });
        }
        if !self.vouched {
            return Err(AuditFault::Gap { seq: place(self.head.base_seq) });
        }
        Ok(())
    }
}

/// Reads where a node's chain stands; a chain that was never written stands at its genesis.
pub(super) async fn head(connection: &mut Connection, node: &str) -> Result<Head, StoreError> {
    let row = sqlx::query("SELECT seq, hash, base_seq, base_hash FROM audit_head WHERE node = $1")
        .bind(node)
        .fetch_optional(connection)
        .await?;
    match row {
        None => {
            Ok(Head { seq: 0, hash: GENESIS.to_vec(), base_seq: 0, base_hash: GENESIS.to_vec() })
        }
        Some(row) => Ok(Head {
            seq: rows::get(&row, "seq")?,
            hash: rows::get(&row, "hash")?,
            base_seq: rows::get(&row, "base_seq")?,
            base_hash: rows::get(&row, "base_hash")?,
        }),
    }
}

/// Appends records and moves the head, inside the caller's transaction.
pub(super) async fn append(
    tx: &mut Connection,
    node: &str,
    records: &[AuditRecord],
) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut head = head(tx, node).await?;
    for record in records {
        let entry = Entry::new(head.seq + 1, record)?;
        let hash = entry.hash(node, &head.hash);
        insert(tx, node, &entry, &head.hash, &hash).await?;
        head.seq = entry.seq;
        head.hash = hash.to_vec();
    }
    sqlx::query(
        "INSERT INTO audit_head (node, seq, hash, base_seq, base_hash) VALUES ($1, $2, $3, 0, $4) \
         ON CONFLICT (node) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
    )
    .bind(node)
    .bind(head.seq)
    .bind(&head.hash)
    .bind(GENESIS.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(
    tx: &mut Connection,
    node: &str,
    entry: &Entry,
    prev: &[u8],
    hash: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (node, seq, at, event, realm, mount, account_id, ip, user_agent, \
         request_id, details, prev_hash, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(node)
    .bind(entry.seq)
    .bind(entry.at)
    .bind(&entry.event)
    .bind(&entry.realm)
    .bind(&entry.mount)
    .bind(&entry.account)
    .bind(&entry.ip)
    .bind(&entry.user_agent)
    .bind(&entry.request_id)
    .bind(&entry.details)
    .bind(prev)
    .bind(hash)
    .execute(tx)
    .await?;
    Ok(())
}

fn put(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

fn place(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
