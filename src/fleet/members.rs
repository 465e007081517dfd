//! Who is there: each node says so every second, and remembers how many did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{Client, Script, Value};
use crate::{model::Random, telemetry::Metrics};

/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// A node that was silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// By Redis' own clock, so that no node's matters. Answers how many are there.
const SOURCE: &str = "
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
";

/// The nodes of the fleet.
#[derive(Clone)]
pub struct Members {
    client: Client,
    metrics: Metrics,
    name: Arc<str>,
    known: Arc<AtomicU32>,
}

impl Members {
    /// This process among them, under a name that it draws.
    pub fn new(client: Client, metrics: Metrics, random: &dyn Random) -> Self {
        let mut drawn = [0; 8];
        // Without the generator nothing else of the process works either; a name of zeros is still a name.
        let _ = random.fill(&mut drawn);
        let name: String = drawn.iter().map(|byte| format!("{byte:02x}")).collect();
        let known = Arc::new(AtomicU32::new(client.settings().nodes.max(1)));
        metrics.fleet_nodes(known.load(Relaxed));
        Self { client, metrics, name: name.into(), known }
    }

    /// The name of this process.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many nodes there are, as far as was known when Redis was last asked; at least what the configuration says.
    pub fn known(&self) -> u32 {
        self.known.load(Relaxed)
    }

    /// Says every second that this node is there, on the runtime it is called on.
    pub fn start(&self) {
        let own = self.clone();
        tokio::spawn(async move {
            let script = Script::new(SOURCE);
            let (key, silence) = (own.client.named("nodes"), SILENCE.as_millis().to_string());
            let mut turns = own.client.turns();
            loop {
                if own.client.is_up() {
                    let said = own.client.run(&script, &[&key], &[&own.name, &silence]).await;
                    if let Ok(Value::Int(count)) = said {
                        let count = u32::try_from(count).unwrap_or(1);
                        let known = count.max(own.client.settings().nodes).max(1);
                        own.known.store(known, Relaxed);
                        own.metrics.fleet_nodes(known);
                    }
                }
                // A Redis that was just found is told at once.
                let _ = tokio::time::timeout(BEAT, turns.changed()).await;
            }
        });
    }
}
