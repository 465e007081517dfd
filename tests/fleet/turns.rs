//! Keys of an outside issuer over several nodes: one of them fetches, and the others take what it has brought.

use std::time::{Duration, Instant};

use super::bench::Fleet;
use crate::support::{
    client::Client,
    conf::{self, Table, quoted},
    provider::Provider,
    redis::{self, Redis},
    signer::{Signer, claims, jwks},
    wait::until,
};

const NODES: usize = 3;
const FLOOR: Duration = Duration::from_secs(2);

struct Rig {
    fleet: Fleet,
    provider: Provider,
}

impl Rig {
    fn start(redis: &Redis, signer: &Signer) -> Option<Self> {
        let provider = Provider::new(jwks(&[signer]));
        let table = Table::new("issuer", "corp")
            .with("issuer", quoted(&provider.issuer()))
            .with("audiences", r#"["api"]"#)
            .with("base_roles", r#"["USER"]"#)
            .with("discovery", "true")
            .with("refresh", r#""1h""#)
            .with("floor", r#""2s""#);
        let section = format!("[redis]\nurl = \"{}\"\ntimeout = \"500ms\"", redis.url());
        let fleet = Fleet::of(NODES, "", |conf| {
            conf.section(&section)
                .mount("issuers", r#"["corp"]"#)
                .table(table.clone())
                .route(conf::closed("closed", "/closed/**", "main"))
        })?;
        Some(Self { fleet, provider })
    }

    async fn asks(&self, node: usize, signer: &Signer) -> u16 {
        let token = signer.sign(&claims(&self.provider.issuer(), "api", "ada"));
        Client::at(&self.fleet.nodes[node].url()).bearer(&token).get("/closed/x").await.status
    }

    /// Every node is asked for a key that nobody has, all the time; gives how often the provider was asked per floor.
    async fn flood(&self, lasts: Duration) -> f64 {
        let stranger = Signer::ed25519("nobody");
        let (before, began) = (self.provider.fetches().len(), Instant::now());
        while began.elapsed() < lasts {
            for node in 0..NODES {
                let status =
                    tokio::time::timeout(Duration::from_millis(50), self.asks(node, &stranger));
                // One that waits for a fetch is given up.
                let status = status.await.unwrap_or(503);
                assert!([401, 503].contains(&status), "{status}");
            }
        }
        let fetches = self.provider.fetches().len() - before;
        fetches as f64 / (began.elapsed().as_secs_f64() / FLOOR.as_secs_f64())
    }

    async fn until_taken(&self, signer: &Signer) {
        for node in 0..NODES {
            until("a new key is known", || async {
                match self.asks(node, signer).await {
                    200 => Some(()),
                    503 => None,
                    other => panic!("{other}: nobody can tell that it is none"),
                }
            })
            .await;
        }
    }
}

// requirement: 8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_fetches_for_all_and_without_redis_each_does() {
    if !redis::is_there() {
        return;
    }
    let mut redis = Redis::start();
    let (first, second, third) =
        (Signer::ed25519("first"), Signer::ed25519("second"), Signer::ed25519("third"));
    let Some(rig) = Rig::start(&redis, &first) else { return };
    for node in 0..NODES {
        assert_eq!(rig.asks(node, &first).await, 200);
        until("redis is found", || async {
            (rig.fleet.figure(node, "portcullis_redis_up ").await == 1.0).then_some(())
        })
        .await;
    }
    let shared = rig.flood(4 * FLOOR).await;
    // The turn and the floor of whoever has it begin in moments of their own.
    assert!(shared <= 1.6, "{shared} fetches in a floor");
    let mut taken_over = 0.0;
    for node in 0..NODES {
        let name = "portcullis_issuer_fetches_total{issuer=\"corp\",result=\"taken_over\"}";
        taken_over += rig.fleet.figure(node, name).await;
    }
    assert!(taken_over >= 2.0, "{taken_over}");
    rig.provider.publish(jwks(&[&first, &second]));
    rig.until_taken(&second).await;

    // Somebody who never gives the turn back holds up nobody.
    let turns = redis.ask("KEYS portcullis:turn:*");
    for key in turns.lines().filter(|line| line.starts_with("portcullis:turn:")) {
        redis.ask(&format!("SET {key} 1"));
    }
    rig.provider.publish(jwks(&[&first, &second, &third]));
    rig.until_taken(&third).await;

    redis.kill();
    for node in 0..NODES {
        until("redis is lost", || async {
            (rig.fleet.figure(node, "portcullis_redis_up ").await == 0.0).then_some(())
        })
        .await;
    }
    let alone = rig.flood(3 * FLOOR).await;
    println!("{shared:.2} fetches in a floor by turns, {alone:.2} alone");
    assert!(alone > shared, "{alone}");
    for node in 0..NODES {
        assert_eq!(rig.asks(node, &third).await, 200);
    }
}
