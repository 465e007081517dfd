//! API keys as credentials: what they open, and when they stop.

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    gateway::Gateway,
    operate,
    tmws::{assert_error, caller, login, make_key, shared, user},
};

const TASKS: &str = "/api/v1/tasks";

fn with(gateway: &Gateway, made: &Value) -> Client {
    caller(gateway).key(made["api_key"].as_str().unwrap())
}

#[tokio::test]
async fn the_demos_own_key_reads_and_writes() {
    let key = shared().facts["api_keys"]["tmws"].as_str().unwrap();
    let client = caller(shared()).key(key);
    client.get(TASKS).await.expect(200);
    client.post(TASKS, json!({"title": "by key"})).await.expect(201);
    client.post("/api/v1/memory/search", json!({"query": "x"})).await.expect(200);
}

#[tokio::test]
async fn a_read_key_gets_403_on_post() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "reader", "scopes": ["READ"]})).await.json();
    let client = with(shared(), &made);
    client.get(TASKS).await.expect(200);
    let reply = client.post(TASKS, json!({"title": "no"})).await;
    assert_error(&reply, 403, "Permission required: create");
    // Searching only reads.
    client.post("/api/v1/memory/search", json!({"query": "x"})).await.expect(200);
}

#[tokio::test]
async fn rubbish_keys_are_401_without_a_challenge() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "sample"})).await.json();
    let text = made["api_key"].as_str().unwrap();
    let (id, secret) = text.split_once('.').unwrap();
    let mut flipped = text.to_owned();
    let last = flipped.pop().unwrap();
    flipped.push(if last == 'A' { 'B' } else { 'A' });
    for key in [
        "",
        ".",
        "x",
        id,
        &format!("{id}."),
        &format!("{id}.{}", "A".repeat(secret.len())),
        &format!("tmws_key_unknown.{secret}"),
        &format!("other_key_{}.{secret}", id.trim_start_matches("tmws_key_")),
        &flipped,
        &format!("{text}x"),
        &text.to_uppercase(),
        &"k".repeat(300),
    ] {
        let reply = caller(shared()).key(key).get(TASKS).await;
        assert_error(&reply, 401, "Invalid API key");
        assert!(reply.header("www-authenticate").is_none(), "no challenge for keys");
    }
    caller(shared()).key(text).get(TASKS).await.expect(200);
}

#[tokio::test]
async fn a_bad_bearer_beside_a_good_key_is_401() {
    let key = shared().facts["api_keys"]["tmws"].as_str().unwrap();
    let reply = caller(shared()).bearer("bad").key(key).get(TASKS).await;
    assert_error(&reply, 401, "Could not validate credentials");
}

#[tokio::test]
async fn a_good_bearer_beside_a_bad_key_is_judged_by_the_bearer() {
    let (_, client, _) = user(shared()).await;
    client.key("tmws_key_bad.bad").get(TASKS).await.expect(200);
}

#[tokio::test]
async fn a_key_bound_to_other_addresses_is_403() {
    let (_, owner, _) = user(shared()).await;
    for allowed in [json!(["10.1.2.3"]), json!(["10.0.0.0/8", "::1"])] {
        let made = make_key(&owner, json!({"name": "bound", "allowed_ips": allowed})).await.json();
        let reply = with(shared(), &made).get(TASKS).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        // What the client claims about itself counts for nothing.
        for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"] {
            let value = if header == "Forwarded" { "for=10.1.2.3" } else { "10.1.2.3" };
            let reply = with(shared(), &made).with(header, value).get(TASKS).await;
            assert_eq!(reply.status, 403, "{header}");
        }
    }
}

#[tokio::test]
async fn a_key_bound_to_this_address_or_network_works() {
    let (_, owner, _) = user(shared()).await;
    for allowed in [json!(["127.0.0.0/8"]), json!(["10.0.0.1", "127.77.0.0/16"])] {
        let made = make_key(&owner, json!({"name": "bound", "allowed_ips": allowed})).await.json();
        with(shared(), &made).get(TASKS).await.expect(200);
    }
}

#[tokio::test]
async fn an_exact_address_is_exact() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "one", "allowed_ips": ["127.66.0.1"]})).await.json();
    let key = made["api_key"].as_str().unwrap();
    let from = |text: &str| Client::from(&shared().url(), text.parse().unwrap()).key(key);
    from("127.66.0.1").get(TASKS).await.expect(200);
    assert_eq!(from("127.66.0.2").get(TASKS).await.status, 403);
}

#[tokio::test]
async fn the_hourly_limit_of_a_key_answers_429_with_its_headers() {
    let (_, owner, _) = user(shared()).await;
    let made = make_key(&owner, json!({"name": "few", "rate_limit_per_hour": 3})).await.json();
    let client = with(shared(), &made);
    for left in [2, 1, 0] {
        let reply = client.get(TASKS).await.expect(200);
        assert_eq!(reply.all("x-ratelimit-limit"), ["3"]);
        assert_eq!(reply.all("x-ratelimit-remaining"), [left.to_string()]);
    }
    let reply = client.get(TASKS).await;
    assert_error(&reply, 429, "Rate limit exceeded");
    let retry: i64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_200).contains(&retry), "one of three an hour comes back in 20 minutes: {retry}");
    assert_eq!(reply.int("retry_after"), retry);
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
    let reset: i64 = reply.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ahead = reset - i64::try_from(now.as_secs()).unwrap();
    assert!((3_500..=3_601).contains(&ahead), "full again in an hour: {ahead}");

    // From another address it is the same key; the owner's token and another key are not.
    assert_eq!(with(shared(), &made).get(TASKS).await.status, 429);
    owner.get(TASKS).await.expect(200);
}

#[tokio::test]
async fn the_keys_of_a_disabled_owner_are_401_at_once() {
    let gateway = shared();
    let (person, owner, _) = user(gateway).await;
    let made = make_key(&owner, json!({"name": "orphan"})).await.json();
    let client = with(gateway, &made);
    client.get(TASKS).await.expect(200);
    operate::disable_in(gateway, "tmws", &person.name);
    assert_error(&client.get(TASKS).await, 401, "Invalid API key");
}

#[tokio::test]
async fn a_key_never_exceeds_its_owners_role() {
    let gateway = shared();
    let admin = crate::support::tmws::admin(gateway).await;
    let person = crate::support::tmws::person(&admin, &["USER"]).await;
    let owner = caller(gateway);
    let tokens = login(&owner, &person.name, &person.password).await;
    let owner = owner.bearer(&tokens.access);
    let made = make_key(&owner, json!({"name": "wide", "scopes": ["FULL"]})).await.json();
    let client = with(gateway, &made);
    client.delete(&format!("{TASKS}/none")).await; // may be 404 of the upstream, but not 403
    operate::set_roles(gateway, "tmws", &person.name, &["READONLY"]);
    let reply = client.post(TASKS, json!({"title": "no longer"})).await;
    assert_error(&reply, 403, "Permission required: create");
    client.get(TASKS).await.expect(200);
}
