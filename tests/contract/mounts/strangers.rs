//! Who has an account is told to nobody: a wrong password and an unknown name, a forgotten password with and without an
//! account, look the same and take the same time in every contract that has them.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::bench::Bench;
use crate::support::{
    client::Client,
    operate,
    tmws::{fresh_address, fresh_name},
    wire::Reply,
};

/// A contract, the path asked, and what is sent about a name or an address.
struct Asked {
    contract: &'static str,
    path: &'static str,
    kind: &'static str,
    body: fn(&str, &str) -> String,
}

/// Good enough for the rules of every contract.
const PASSWORD: &str = "Sturdy4711Horse!";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const LOGINS: [Asked; 4] = [
    Asked {
        contract: "tmws",
        path: "/api/v1/auth/login",
        kind: JSON,
        body: |name, _| json!({ "username": name, "password": "Wrong-horse-1234!" }).to_string(),
    },
    Asked {
        contract: "bearer",
        path: "/auth/jwt/login",
        kind: FORM,
        body: |_, email| format!("username={email}&password=Wrong-horse-1234"),
    },
    Asked {
        contract: "archon",
        path: "/auth/login",
        kind: JSON,
        body: |_, email| json!({ "email": email, "password": "Wrong-horse-1234!" }).to_string(),
    },
    Asked {
        contract: "inkpass",
        path: "/api/v1/auth/login",
        kind: JSON,
        body: |_, email| json!({ "email": email, "password": "Wrong-horse-1234!" }).to_string(),
    },
];

const FORGOTTEN: [Asked; 2] = [
    Asked {
        contract: "bearer",
        path: "/auth/forgot-password",
        kind: JSON,
        body: |_, email| json!({ "email": email }).to_string(),
    },
    Asked {
        contract: "inkpass",
        path: "/api/v1/auth/forgot-password",
        kind: JSON,
        body: |_, email| json!({ "email": email }).to_string(),
    },
];

/// Asks about a name, from an address of its own.
async fn ask(bench: &Bench, asked: &Asked, name: &str) -> (Reply, Duration) {
    let email = format!("{name}@example.org");
    let client = Client::from(&bench.gateway.url(), fresh_address());
    let (path, body) = (format!("/{}{}", asked.contract, asked.path), (asked.body)(name, &email));
    let began = Instant::now();
    let reply = client.send(Method::POST, &path, Some((asked.kind, body.into_bytes()))).await;
    (reply, began.elapsed())
}

fn add(bench: &Bench, contract: &str) -> String {
    let name = fresh_name();
    let account = json!({
        "realm": contract, "username": name, "email": format!("{name}@example.org"),
        "password": PASSWORD,
    });
    operate::call(&bench.gateway, "POST", "/v1/users", account).expect(201);
    name
}

/// A reply without what differs in any two: ids, times, and the name itself.
fn told(reply: &Reply, name: &str) -> String {
    let text = reply.text().replace(name, "");
    let kept = |letter: &char| !letter.is_ascii_hexdigit() && *letter != '-';
    format!("{} {}", reply.status, text.chars().filter(kept).collect::<String>())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Asks about known and unknown names in turn; how many times as long the slower ones take.
async fn ratio(bench: &Bench, asked: &Asked, status: u16, rounds: usize) -> f64 {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (there, nowhere) = (add(bench, asked.contract), fresh_name());
        let (one, took) = ask(bench, asked, &there).await;
        known.push(took);
        let (other, took) = ask(bench, asked, &nowhere).await;
        unknown.push(took);
        assert_eq!(one.status, status, "{}: {}", asked.path, one.text());
        assert_eq!(told(&one, &there), told(&other, &nowhere), "{} {}", asked.contract, asked.path);
    }
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    println!("{} {}: known {known:?}, unknown {unknown:?}", asked.contract, asked.path);
    known.max(unknown).as_secs_f64() / known.min(unknown).as_secs_f64()
}

#[tokio::test]
async fn a_login_does_not_tell_who_has_an_account() {
    let bench = Bench::start("1000000/s");
    for asked in &LOGINS {
        let ratio = ratio(&bench, asked, 401 - u16::from(asked.contract == "bearer"), 7).await;
        // Without a hash for names nobody has, it would be ten and more.
        assert!(ratio < 2.0, "{}: {ratio}", asked.contract);
    }
}

#[tokio::test]
async fn a_forgotten_password_does_not_tell_who_has_an_account() {
    let bench = Bench::start("1000000/s");
    for asked in &FORGOTTEN {
        let status = if asked.contract == "bearer" { 202 } else { 200 };
        let ratio = ratio(&bench, asked, status, 9).await;
        assert!(ratio < 3.0, "{}: {ratio}", asked.contract);
    }
}
