//! `kill -9` while writing: what was acknowledged is there, and the next start needs no help.
//!
//! The child is this very test program, started again with one ignored test.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use portcullis::store::{RevokedToken, Rotation, Store};

use super::support::*;

const FOLDER: &str = "PORTCULLIS_TEST_CRASH_DIR";
/// Rounds; `PORTCULLIS_TEST_CRASH_ROUNDS=200` for the full run.
const ROUNDS: &str = "PORTCULLIS_TEST_CRASH_ROUNDS";

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let place = Place::new();
    let rounds: usize = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..rounds {
        let known = acknowledged.len();
        let mut child = start(&place);
        let out = BufReader::new(child.stdout.take().unwrap());
        // A different moment each round; the pipe may hold some more lines, which count as well.
        let mut wanted = 3 + (round * 7) % 23;
        for line in out.lines() {
            let Some(ack) = line.unwrap().strip_prefix("ack ").map(str::to_owned) else { continue };
            acknowledged.push(ack);
            wanted = wanted.saturating_sub(1);
            if wanted == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        check(&place, &acknowledged[known..]).await;
    }
    check(&place, &acknowledged).await;
    assert!(acknowledged.len() >= rounds * 3);
}

fn start(place: &Place) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::crash::child_that_writes_until_it_is_killed", "--exact", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, place.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn check(place: &Place, acknowledged: &[String]) {
    let store = place.open().await;
    for id in acknowledged {
        assert!(store.account(&id.as_str().into()).await.unwrap().is_some(), "account {id}");
        let state = store.refresh_lookup(&format!("{id}-1")).await.unwrap();
        assert_eq!(state.expect("the successor").family.generation, 1, "rotation {id}");
        let key = store.key(&mount(), &format!("key-{id}").into()).await.unwrap().unwrap();
        assert!(key.key.revoked_at.is_some(), "revocation of key {id}");
    }
    let revoked: HashSet<_> =
        revocations(&store, NOW).await.into_iter().map(|token| token.id).collect();
    for id in acknowledged {
        assert!(revoked.contains(id.as_str()), "revocation {id}");
    }
    assert_eq!(store.audit_verify().await.unwrap().fault, None);
    store.close().await;
}

#[tokio::test]
#[ignore = "the other half of the test above"]
async fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = PathBuf::from(folder).join("data").join("store.db");
    let options = portcullis::store::Options {
        call_timeout: std::time::Duration::from_secs(20),
        ..Default::default()
    };
    let store = Store::open(&path, options).await.unwrap();
    for n in 0.. {
        let id = format!("{}-{n}", std::process::id());
        let account = account(&id);
        store.insert_account(&account, &[event("ACCOUNT_CREATED")]).await.unwrap();
        store.open_session(&login(&id, &account), &[event("LOGIN_SUCCESS")]).await.unwrap();
        let won = store.rotate(&rotation(&id, 0), &[event("TOKEN_REFRESH")]).await.unwrap();
        assert!(matches!(won, Rotation::Won));
        let revoked = RevokedToken { id: id.as_str().into(), expires_at: NOW + HOUR };
        store.revoke_token(&revoked, &[event("LOGOUT")]).await.unwrap();
        let key = key(&format!("key-{id}"), &account.id);
        store.insert_key(&key, &[event("API_KEY_CREATED")]).await.unwrap();
        store.revoke_key(&mount(), &key.id, NOW, &[event("API_KEY_REVOKED")]).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {id}").unwrap();
        out.flush().unwrap();
    }
}
