//! Whose turn it is to do what several nodes would do at once: a key in Redis that goes by itself. Only advice, for whoever
//! cannot ask does it himself.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    fleet::{Client, Script, Value},
    issuer::Turns,
    model::Digest,
};

const TAKE: &str = "return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1])";

/// The turns in Redis.
pub(super) struct SharedTurns {
    redis: Client,
    take: Script,
}

impl SharedTurns {
    pub(super) fn new(redis: Client) -> Self {
        Self { redis, take: Script::new(TAKE) }
    }
}

#[async_trait]
impl Turns for SharedTurns {
    async fn takes(&self, what: &str, span: Duration) -> bool {
        let digest = Digest::of(what.as_bytes());
        let name: String =
            digest.as_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let key = self.redis.named(&format!("turn:{name}"));
        let taken = self.redis.run(&self.take, &[&key], &[&span.as_millis().to_string()]).await;
        taken != Ok(Value::Nil)
    }
}
