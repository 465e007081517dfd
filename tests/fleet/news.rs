//! What ends at one node is refused by all: whatever ended it, whoever heard of it, and however long a node was away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Credential, Fleet, GUARDED, Member, refused};
use crate::support::{
    client::Client, gateway, operate, postgres, tmws::GOOD_PASSWORD, wait::until,
};

const OTHER_PASSWORD: &str = "Another-Horse-7-Battery";

/// What an operator asks of a node.
async fn operator(fleet: &Fleet, number: usize, path: &str, body: Value) -> Value {
    let reply = fleet.nodes[number].operator().post(path, body).await;
    assert!(reply.status < 300, "{path}: {}", reply.text());
    reply.try_json().unwrap_or_default()
}

/// A key of somebody, and its id.
async fn key_of(fleet: &Fleet, number: usize, name: &str) -> (Credential, String) {
    let body = json!({"owner": name, "name": "of a test", "scopes": ["READ"]});
    let made = operator(fleet, number, "/v1/keys", body).await;
    let text = made["api_key"].as_str().unwrap().to_owned();
    (Credential::Key(text), made["key"]["id"].as_str().unwrap().to_owned())
}

/// The session of somebody who has one.
async fn session_of(fleet: &Fleet, number: usize, name: &str) -> String {
    let found = fleet.nodes[number].operator().get(&format!("/v1/sessions?user={name}")).await;
    found.expect(200).try_json().unwrap()["sessions"][0]["id"].as_str().unwrap().to_owned()
}

async fn ended_by_logout(fleet: &Fleet, at: usize, who: &Member) {
    Client::at(&fleet.nodes[at].url())
        .bearer(&who.tokens.access)
        .post("/api/v1/auth/logout", json!({"refresh_token": who.tokens.refresh}))
        .await
        .expect(200);
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_ends_all_nodes_refuse() {
    let Some(fleet) = Fleet::start(3) else { return };
    // Opened at one node, known at another, ended at a third.
    let who = fleet.person(0).await;
    fleet.taken_everywhere(&who.token()).await;
    ended_by_logout(&fleet, 1, &who).await;
    fleet.refused_everywhere(1, &who.token()).await;

    let who = fleet.person(1).await;
    fleet.taken_everywhere(&who.token()).await;
    let session = session_of(&fleet, 2, &who.name).await;
    operator(&fleet, 2, &format!("/v1/sessions/{session}/end"), Value::Null).await;
    fleet.refused_everywhere(2, &who.token()).await;

    let who = fleet.person(2).await;
    let (key, id) = key_of(&fleet, 0, &who.name).await;
    let (other, _) = key_of(&fleet, 0, &who.name).await;
    fleet.taken_everywhere(&key).await;
    fleet.taken_everywhere(&other).await;
    operator(&fleet, 0, &format!("/v1/keys/{id}/revoke"), Value::Null).await;
    fleet.refused_everywhere(0, &key).await;
    fleet.taken_everywhere(&other).await;
    fleet.taken_everywhere(&who.token()).await;

    // Everything of an account.
    operator(&fleet, 1, &format!("/v1/users/{}/disable", who.name), Value::Null).await;
    fleet.refused_everywhere(1, &who.token()).await;
    fleet.refused_everywhere(1, &other).await;

    let who = fleet.person(0).await;
    let body = json!({"current_password": GOOD_PASSWORD, "new_password": OTHER_PASSWORD});
    fleet.taken_everywhere(&who.token()).await;
    let changing = Client::at(&fleet.nodes[1].url()).bearer(&who.tokens.access);
    let changed = changing.put("/api/v1/users/me/password", body).await;
    assert!(changed.status < 300, "{}", changed.text());
    fleet.refused_everywhere(1, &who.token()).await;

    let who = fleet.person(0).await;
    fleet.taken_everywhere(&who.token()).await;
    let roles = json!({"roles": ["READONLY"]});
    operator(&fleet, 2, &format!("/v1/users/{}/roles", who.name), roles).await;
    fleet.refused_everywhere(2, &who.token()).await;
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_while_a_node_was_away_is_refused_from_its_first_request() {
    let Some(mut fleet) = Fleet::start(2) else { return };
    let (token, by_session) = (fleet.person(0).await, fleet.person(1).await);
    let (key, id) = key_of(&fleet, 0, &token.name).await;
    let all = [token.token(), by_session.token(), key];
    for credential in &all {
        fleet.taken_everywhere(credential).await;
    }
    fleet.nodes[1].kill();
    ended_by_logout(&fleet, 0, &token).await;
    let session = session_of(&fleet, 0, &by_session.name).await;
    operator(&fleet, 0, &format!("/v1/sessions/{session}/end"), Value::Null).await;
    operator(&fleet, 0, &format!("/v1/keys/{id}/revoke"), Value::Null).await;
    fleet.restart(1);
    for credential in &all {
        let client = credential.client(&fleet, 1);
        assert_eq!(client.get(GUARDED).await.status, 401, "{credential:?}");
    }
}

// requirement: 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_stopped_refuses_what_ended_meanwhile() {
    let Some(fleet) = Fleet::start(2) else { return };
    let who = fleet.person(0).await;
    let (key, id) = key_of(&fleet, 0, &who.name).await;
    for round in 0..3 {
        let gone = fleet.person(0).await;
        fleet.taken_everywhere(&gone.token()).await;
        fleet.taken_everywhere(&key).await;
        fleet.nodes[1].signal("STOP");
        let stopped = Instant::now();
        ended_by_logout(&fleet, 0, &gone).await;
        if round == 2 {
            operator(&fleet, 0, &format!("/v1/keys/{id}/revoke"), Value::Null).await;
        }
        // Longer than a node may be silent without noticing.
        while stopped.elapsed() < Duration::from_millis(1500) {
            fleet.person(0).await;
        }
        // It waits in the node's socket, and is the first thing the node sees.
        let client = gone.token().client(&fleet, 1);
        let asked = tokio::spawn(async move { client.get(GUARDED).await.status });
        let client = key.client(&fleet, 1);
        let with_key = tokio::spawn(async move { client.get(GUARDED).await.status });
        fleet.nodes[1].signal("CONT");
        assert_eq!(asked.await.unwrap(), 401);
        assert_eq!(with_key.await.unwrap(), if round == 2 { 401 } else { 200 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_by_hand_is_told_as_well_and_many_at_once() {
    let Some(fleet) = Fleet::start(2) else { return };
    let (one, other) = (fleet.person(0).await, fleet.person(1).await);
    let (key, id) = key_of(&fleet, 0, &one.name).await;
    for credential in [one.token(), other.token(), key.clone()] {
        fleet.taken_everywhere(&credential).await;
    }
    let session = session_of(&fleet, 0, &one.name).await;
    let many = "INSERT INTO revoked_token SELECT 'many-' || n, 9999999999999 \
                FROM generate_series(1, 500) n";
    postgres::ask(
        &fleet.database,
        &format!("{many}; UPDATE session SET ended_at = 1 WHERE id = '{session}'"),
    );
    for number in 0..2 {
        refused(&one.token().client(&fleet, number), Instant::now()).await;
    }
    postgres::ask(&fleet.database, &format!("DELETE FROM api_key WHERE id = '{id}'"));
    for number in 0..2 {
        refused(&key.client(&fleet, number), Instant::now()).await;
    }
    fleet.taken_everywhere(&other.token()).await;
    // All of them arrived, by their numbers.
    let metrics = fleet.nodes[1].operator().get("/metrics").await.text();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("portcullis_changes_sequence{of=\"applied\"}") >= 502.0);
    assert!(value("portcullis_revocations_tracked") >= 501.0);
    assert!(value("portcullis_changes_lag_seconds") < 30.0);
    assert_eq!(value("portcullis_changes_read_anew_total"), 0.0);
}

/// Ends somebody's session so that nobody is told: the change is in the store, its announcement is lost.
fn end_silently(fleet: &Fleet, session: &str) {
    postgres::ask(
        &fleet.database,
        &format!(
            "BEGIN; SET LOCAL session_replication_role = replica; \
             UPDATE session SET ended_at = 1 WHERE id = '{session}'; \
             UPDATE change_head SET seq = seq + 1; \
             INSERT INTO change (seq, at, kind, subject) \
             SELECT seq, 0, 'session', '{session}' FROM change_head; COMMIT"
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_announcement_is_lost_is_found_by_asking() {
    let Some(fleet) = Fleet::start(2) else { return };
    let lost = fleet.person(0).await;
    fleet.taken_everywhere(&lost.token()).await;
    end_silently(&fleet, &session_of(&fleet, 0, &lost.name).await);
    for number in 0..2 {
        refused(&lost.token().client(&fleet, number), Instant::now()).await;
    }
    // And a node whose connection for listening was cut has another one soon.
    postgres::ask(
        &fleet.database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'",
    );
    let who = fleet.person(1).await;
    fleet.taken_everywhere(&who.token()).await;
    ended_by_logout(&fleet, 1, &who).await;
    fleet.refused_everywhere(1, &who.token()).await;
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    until("both nodes listen again", || async {
        (postgres::ask(&fleet.database, listening) == "2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_missed_what_is_not_kept_any_more_reads_everything_anew() {
    let Some(fleet) = Fleet::start(2) else { return };
    let who = fleet.person(0).await;
    fleet.taken_everywhere(&who.token()).await;
    gateway::signal(fleet.nodes[1].pid, "STOP");
    // What is announced reaches nobody.
    postgres::ask(
        &fleet.database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'",
    );
    ended_by_logout(&fleet, 0, &who).await;
    postgres::ask(&fleet.database, "DELETE FROM change");
    gateway::signal(fleet.nodes[1].pid, "CONT");
    refused(&who.token().client(&fleet, 1), Instant::now()).await;
    let read_anew = "portcullis_changes_read_anew_total 1";
    until("it says that it read everything", || async {
        let metrics = fleet.nodes[1].operator().get("/metrics").await.text();
        metrics.lines().any(|line| line == read_anew).then_some(())
    })
    .await;
    assert!(fleet.nodes[1].output().contains("changes_read_anew"));
    // It goes on as before.
    let next = fleet.person(1).await;
    fleet.taken_everywhere(&next.token()).await;
    ended_by_logout(&fleet, 0, &next).await;
    fleet.refused_everywhere(0, &next.token()).await;
    operate::disable(&fleet.nodes[0], &next.name);
}
