//! What the store has of the uses of sessions, told from node to node in Redis, so that a session which several of them see
//! is written by one.

use async_trait::async_trait;

use crate::{
    fleet::{Client, Script, Value},
    identity::Marks,
    model::{Digest, SessionId, Timestamp},
};

/// What is older tells nobody anything: see the step of `identity/touches.rs`.
const KEPT_MILLIS: i64 = 60_000;

const KNOWN: &str = "
local out = {}
for at = 1, #ARGV do out[at] = redis.call('ZSCORE', KEYS[1], ARGV[at]) or '' end
return out
";
const TELL: &str = "
for at = 3, #ARGV, 2 do
  local known = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if not known or tonumber(known) < tonumber(ARGV[at + 1]) then
    redis.call('ZADD', KEYS[1], ARGV[at + 1], ARGV[at])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// The marks in Redis. While it is lost nothing is known, and every node writes for itself.
pub(super) struct SharedMarks {
    redis: Client,
    known: Script,
    tell: Script,
    key: String,
}

impl SharedMarks {
    pub(super) fn new(redis: Client) -> Self {
        let key = redis.named("touches");
        Self { redis, known: Script::new(KNOWN), tell: Script::new(TELL), key }
    }
}

#[async_trait]
impl Marks for SharedMarks {
    async fn known(&self, ids: &[&SessionId]) -> Vec<Option<Timestamp>> {
        let names: Vec<_> = ids.iter().map(|id| name(id)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        match self.redis.run(&self.known, &[&self.key], &names).await {
            Ok(Value::Array(found)) => found.iter().map(moment).collect(),
            _ => Vec::new(),
        }
    }

    async fn tell(&self, stored: &[(SessionId, Timestamp)], now: Timestamp) {
        let mut arguments = vec![(now.millis() - KEPT_MILLIS).to_string(), KEPT_MILLIS.to_string()];
        for (id, at) in stored {
            arguments.extend([name(id), at.millis().to_string()]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        // Who does not hear it writes it once more.
        let _ = self.redis.run(&self.tell, &[&self.key], &arguments).await;
    }
}

/// Ids are no secrets, and are nobody's business there.
fn name(id: &SessionId) -> String {
    let digest = Digest::of(id.as_str().as_bytes());
    digest.as_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn moment(value: &Value) -> Option<Timestamp> {
    let text = match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        _ => return None,
    };
    text.parse().ok().map(Timestamp)
}
