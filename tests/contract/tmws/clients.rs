//! Small replicas of the guide's client programs, run unchanged against the demo. Each script gets the base URL and the
//! demo's key, exits 0 when all went as its guide says, and says what went wrong otherwise.

use std::process::Command;

use serde::Deserialize;

use crate::support::{programs, tmws::shared};

#[track_caller]
fn play(mut program: Command, name: &str) {
    program.arg(programs::script("tmws", name));
    programs::play(arguments(&mut program));
}

/// What every script gets.
fn arguments(program: &mut Command) -> &mut Command {
    let gateway = shared();
    let key = gateway.facts["api_keys"]["tmws"].as_str().unwrap();
    program.args([&gateway.url(), "admin", "password", key])
}

#[test]
fn the_bash_client_works() {
    play(programs::command("bash"), "complete_client.sh");
}

#[test]
fn the_curl_workflow_works() {
    play(programs::command("bash"), "curl_workflow.sh");
}

#[test]
fn the_python_client_works() {
    play(programs::any_python(), "jwt_client.py");
}

#[test]
fn the_robust_python_client_works() {
    play(programs::any_python(), "robust_client.py");
}

#[test]
fn the_fetch_client_works() {
    play(programs::command("node"), "fetch_client.mjs");
}

#[test]
fn the_node_key_client_works() {
    play(programs::command("node"), "key_client.mjs");
}

#[test]
#[ignore = "needs the packages of scripts/programs.sh"]
fn the_node_key_client_works_with_node_fetch() {
    programs::package("node/node_modules/node-fetch");
    programs::play(arguments(&mut programs::node("tmws", "key_client.mjs")));
}

#[test]
fn the_go_client_works() {
    let mut go = programs::command("go");
    go.arg("run");
    play(go, "jwt_client.go");
}

// The Rust client: no look at the status, strict shapes.

#[derive(Deserialize)]
struct LoginAnswer {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct TaskAnswer {
    task: Task,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    title: String,
    description: String,
    priority: String,
    status: String,
}

#[tokio::test]
async fn the_rust_client_works() {
    let base = shared().url();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let login: LoginAnswer = client
        .post(format!("{base}/api/v1/auth/login"))
        .json(&serde_json::json!({"username": "admin", "password": "password"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(login.expires_in > 300 && login.refresh_token.contains('.'));
    let wanted = serde_json::json!({"title": "Rust", "description": "d", "priority": "high"});
    let made: TaskAnswer = client
        .post(format!("{base}/api/v1/tasks"))
        .bearer_auth(&login.access_token)
        .json(&wanted)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let task = made.task;
    assert_eq!((task.title.as_str(), task.description.as_str()), ("Rust", "d"));
    assert!(!task.id.is_empty() && task.priority == "high" && !task.status.is_empty());
}
