//! Who is there: each node says so every second, and remembers how many did.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
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

/// The highest count of late. A Redis that was emptied or replaced has to be told of every node again: until then it knows
/// of some only, and whoever divided by those would let in too many.
#[derive(Debug, Default)]
struct Most(Option<(u32, Instant)>);

impl Most {
    /// Takes in what is counted now. One that went is missed after the same silence as by Redis.
    fn of(&mut self, count: u32, now: Instant) -> u32 {
        let recent = self
            .0
            .filter(|(most, seen)| *most > count && now.saturating_duration_since(*seen) < SILENCE);
        let (most, seen) = recent.unwrap_or((count, now));
        self.0 = Some((most, seen));
        most
    }
}

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
            let (mut turns, mut most) = (own.client.turns(), Most::default());
            loop {
                if own.client.is_up() {
                    let said = own.client.run(&script, &[&key], &[&own.name, &silence]).await;
                    if let Ok(Value::Int(count)) = said {
                        let count = u32::try_from(count).unwrap_or(1);
                        let count = count.max(own.client.settings().nodes).max(1);
                        let known = most.of(count, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_nodes_are_believed_only_after_they_were_silent_as_long_as_redis_waits() {
        let (mut most, start) = (Most::default(), Instant::now());
        let mut at = |secs, count| most.of(count, start + Duration::from_secs(secs));
        assert_eq!([at(0, 2), at(1, 5), at(2, 5)], [2, 5, 5]);
        // Emptied.
        assert_eq!([at(3, 1), at(4, 4), at(5, 5)], [5, 5, 5]);
        // One went.
        assert_eq!([at(6, 4), at(14, 4), at(15, 4)], [5, 5, 4]);
        assert_eq!([at(16, 6), at(17, 4)], [6, 6]);
    }
}
