//! Writes that go on while a fleet is in trouble: keys made and revoked, people who log in and out. What was acknowledged
//! must hold: whoever was let in stays in, and whoever was ended is refused by every node.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::bench::{Credential, Fleet, GUARDED};
use crate::support::{
    client::Client,
    gateway::Gateway,
    operate, postgres,
    tmws::{GOOD_PASSWORD, Tokens, fresh_address, try_login},
    wait::PATIENCE,
};

const PAUSE: Duration = Duration::from_millis(60);
/// Between two questions whether an end is known.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// What writes; a node by its addresses, since the fleet is somebody else's.
struct Place {
    public: String,
    operator: Client,
}

/// Somebody who was ended, and how the nodes took it.
#[derive(Debug)]
pub struct Ended {
    pub credential: Credential,
    pub acknowledged: Instant,
    /// By node: when the last request was sent that it still let in; `None`: none was, after the acknowledgement.
    pub let_in: Vec<Option<Instant>>,
}

/// What became of the writes.
#[derive(Debug, Default)]
pub struct Told {
    /// Acknowledged and not ended since.
    pub kept: Vec<Credential>,
    pub ended: Vec<Ended>,
    /// Ids of keys made, and of keys revoked.
    pub made: Vec<String>,
    pub revoked: Vec<String>,
    /// How many were undetermined.
    pub undetermined: usize,
}

pub struct Writes {
    done: Arc<AtomicBool>,
    running: JoinHandle<Told>,
}

struct Key {
    id: String,
    text: String,
}

impl Writes {
    pub fn start(fleet: &Fleet) -> Self {
        let place = |node: &Gateway| Place { public: node.url(), operator: node.operator() };
        let places = fleet.nodes.iter().map(place).collect();
        let done = Arc::new(AtomicBool::new(false));
        let running = tokio::spawn(write(places, Arc::clone(&done)));
        Self { done, running }
    }

    pub async fn end(self) -> Told {
        self.done.store(true, Ordering::SeqCst);
        self.running.await.expect("the writer ends")
    }
}

async fn write(places: Vec<Place>, done: Arc<AtomicBool>) -> Told {
    let places = Arc::new(places);
    let (mut told, mut watching) = (Told::default(), JoinSet::new());
    let (mut keys, mut people): (Vec<Key>, Vec<Tokens>) = (Vec::new(), Vec::new());
    let mut round = 0;
    while !done.load(Ordering::SeqCst) {
        round += 1;
        let at = round % places.len();
        let place = &places[at];
        let ended = match round % 10 {
            0 => {
                let came = place.logs_in(&mut told).await;
                if let Some(tokens) = &came {
                    learn(&places, &Credential::Token(tokens.access.clone())).await;
                }
                people.extend(came);
                None
            }
            5 if !people.is_empty() => place.logs_out(people.remove(0), &mut told).await,
            3 | 6 | 9 if !keys.is_empty() => place.revokes(keys.remove(0), &mut told).await,
            _ => {
                let made = place.makes(&mut told).await;
                if let Some(key) = &made {
                    learn(&places, &Credential::Key(key.text.clone())).await;
                }
                keys.extend(made);
                None
            }
        };
        if let Some(credential) = ended {
            watching.spawn(watch(Arc::clone(&places), at, credential, Instant::now()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    told.kept.extend(keys.into_iter().map(|key| Credential::Key(key.text)));
    told.kept.extend(people.into_iter().map(|tokens| Credential::Token(tokens.access)));
    told.ended = watching.join_all().await;
    told
}

/// Every node that can learns of it: who was never known is easily refused.
async fn learn(places: &[Place], credential: &Credential) {
    for place in places {
        let status = credential.at(&place.public).get(GUARDED).await.status;
        assert!(matches!(status, 200 | 503), "acknowledged, and not known: {status}");
    }
}

impl Place {
    async fn makes(&self, told: &mut Told) -> Option<Key> {
        let body = json!({"owner": operate::ADMIN, "name": "in the storm", "scopes": ["READ"]});
        let made = self.operates("/v1/keys", body, 201, told).await?;
        let text = made["api_key"].as_str().unwrap().to_owned();
        let id = made["key"]["id"].as_str().unwrap().to_owned();
        told.made.push(id.clone());
        Some(Key { id, text })
    }

    async fn revokes(&self, key: Key, told: &mut Told) -> Option<Credential> {
        let Key { id, text } = key;
        self.operates(&format!("/v1/keys/{id}/revoke"), Value::Null, 200, told).await?;
        told.revoked.push(id);
        Some(Credential::Key(text))
    }

    async fn logs_in(&self, told: &mut Told) -> Option<Tokens> {
        let client = Client::from(&self.public, fresh_address());
        let reply = try_login(&client, operate::ADMIN, GOOD_PASSWORD).await;
        done(reply.status, 200, told).then(|| Tokens::of(&reply))
    }

    async fn logs_out(&self, tokens: Tokens, told: &mut Told) -> Option<Credential> {
        let client = Client::from(&self.public, fresh_address()).bearer(&tokens.access);
        let body = json!({"refresh_token": tokens.refresh});
        let reply = client.post("/api/v1/auth/logout", body).await;
        done(reply.status, 200, told).then_some(Credential::Token(tokens.access))
    }

    async fn operates(
        &self,
        path: &str,
        body: Value,
        wanted: u16,
        told: &mut Told,
    ) -> Option<Value> {
        let reply = self.operator.post(path, body).await;
        done(reply.status, wanted, told).then(|| reply.try_json().unwrap_or_default())
    }
}

/// Whether it was acknowledged; else it must be undetermined.
fn done(status: u16, wanted: u16, told: &mut Told) -> bool {
    assert!(status == wanted || status == 503, "{status}");
    told.undetermined += usize::from(status == 503);
    status == wanted
}

/// Asks every node until it refuses; the one that acknowledged must at once.
async fn watch(
    places: Arc<Vec<Place>>,
    at: usize,
    credential: Credential,
    acknowledged: Instant,
) -> Ended {
    let let_in = Mutex::new(vec![None; places.len()]);
    let asking = places.iter().enumerate().map(|(number, place)| {
        let (client, let_in, credential) = (credential.at(&place.public), &let_in, &credential);
        async move {
            loop {
                let sent = Instant::now();
                match client.get(GUARDED).await.status {
                    401 => return,
                    200 => let_in.lock().unwrap()[number] = Some(sent),
                    // It knows that something changed, and cannot ask what.
                    503 => {}
                    other => panic!("{other}"),
                }
                assert!(number != at || let_in.lock().unwrap()[at].is_none(), "{credential:?}");
                assert!(acknowledged.elapsed() < PATIENCE, "never refused at {number}");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    });
    futures_util::future::join_all(asking).await;
    let let_in = let_in.into_inner().unwrap();
    Ended { credential, acknowledged, let_in }
}

impl Told {
    /// Everything that was acknowledged is so: at every node, in the audit log, in its chains.
    pub async fn holds(&self, fleet: &Fleet) {
        for (turn, credential) in self.kept.iter().enumerate() {
            let number = turn % fleet.nodes.len();
            let reply = credential.client(fleet, number).get(GUARDED).await;
            assert_eq!(reply.status, 200, "acknowledged, and lost: {credential:?} at {number}");
        }
        for Ended { credential, .. } in &self.ended {
            for number in 0..fleet.nodes.len() {
                let reply = credential.client(fleet, number).get(GUARDED).await;
                assert_eq!(reply.status, 401, "ended, and taken: {credential:?} at {number}");
            }
        }
        for (event, ids) in [("API_KEY_CREATED", &self.made), ("API_KEY_REVOKED", &self.revoked)] {
            let sql = format!("SELECT details FROM audit WHERE event = '{event}'");
            let log = tokio::task::block_in_place(|| postgres::ask(&fleet.database, &sql));
            for id in ids {
                let lines = log.lines().filter(|line| line.contains(id.as_str())).count();
                assert_eq!(lines, 1, "{event} {id}");
            }
        }
        let verdict = fleet.nodes[0].cli_ok(&["audit", "verify"]);
        assert!(!verdict.contains("missing"), "{verdict}");
    }
}
