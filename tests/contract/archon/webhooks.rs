//! Webhooks against a real receiver: signed, in order, repeated, and nothing lost over `kill -9`.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::shared;
use crate::support::{
    archon::{PASSWORD, add, assert_error, caller, configuration, data, login, user},
    client::Client,
    gateway::{Gateway, Places},
    ports,
    upstream::{Answer, Recorded, Upstream},
    wait::until,
};

const SECRET: &str = "a secret of the receiver";

fn wish(url: &str, events: &[&str]) -> Value {
    json!({
        "url": url, "events": events, "secret": SECRET, "description": "of a test",
        "retryPolicy": { "maxAttempts": 2, "backoffStrategy": "fixed", "initialDelay": 1, "maxDelay": 1 },
    })
}

/// The events a receiver was told of, in order, repetitions left out.
fn told(receiver: &Upstream) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    for request in receiver.seen() {
        let event: Value = serde_json::from_slice(&request.body).expect("JSON");
        if events.iter().all(|known| known["id"] != event["id"]) {
            events.push(event);
        }
    }
    events
}

async fn told_of(receiver: &Upstream, count: usize) -> Vec<Value> {
    until("the receiver is told", || async {
        let events = told(receiver);
        (events.len() >= count).then_some(events)
    })
    .await
}

fn header(request: &Recorded, name: &str) -> String {
    request.field(name).unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test]
async fn a_subscription_is_made_shown_changed_and_removed() {
    let gateway = &shared().gateway;
    let admin = user(gateway, "admin").await.1;
    let receiver = Upstream::start();
    let made = data(&admin.post("/webhooks", wish(&receiver.url(), &["user.*"])).await.expect(201));
    assert_eq!((&made["secret"], &made["active"]), (&json!(SECRET), &json!(true)));
    assert_eq!(made["retry_policy"]["backoff_strategy"], "fixed");
    assert_eq!(made["retryPolicy"]["maxAttempts"], 2);
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let shown = data(&admin.get(&path).await);
    assert!(shown.get("secret").is_none(), "shown once");
    let list = data(&admin.get("/webhooks").await);
    assert!(list.as_array().unwrap().iter().any(|one| one["id"] == made["id"]));
    let change = json!({ "active": false, "events": ["agent.*"], "headers": { "X-Own": "1" } });
    let changed = data(&admin.put(&path, change).await);
    assert_eq!((&changed["active"], &changed["events"]), (&json!(false), &json!(["agent.*"])));
    assert_eq!(changed["header_names"], json!(["X-Own"]));
    assert_error(&admin.post(&format!("{path}/test"), Value::Null).await, 400, "VALIDATION_ERROR");
    data(&admin.delete(&path).await);
    for reply in [
        admin.get(&path).await,
        admin.delete(&path).await,
        admin.put(&path, json!({})).await,
        admin.post(&format!("{path}/test"), Value::Null).await,
        admin.get(&format!("{path}/deliveries")).await,
        admin.post(&format!("{path}/deliveries/x/redeliver"), Value::Null).await,
    ] {
        assert_error(&reply, 404, "WEBHOOK_NOT_FOUND");
    }
    for odd in [
        json!({}),
        json!({ "url": receiver.url(), "events": [] }),
        json!({ "url": receiver.url(), "events": ["user.nonsense"] }),
        json!({ "url": "file:///etc/passwd", "events": ["*"] }),
        json!({ "url": receiver.url(), "events": ["*"], "secret": "short" }),
        json!({ "url": receiver.url(), "events": ["*"], "headers": { "Host": "x" } }),
        json!({ "url": receiver.url(), "events": ["*"], "retry_policy": { "max_attempts": 0 } }),
        json!({ "url": receiver.url(), "events": ["*"], "retry_policy": { "backoff_strategy": "x" } }),
    ] {
        assert_error(&admin.post("/webhooks", odd).await, 400, "VALIDATION_ERROR");
    }
}

#[tokio::test]
async fn a_login_is_told_signed_with_what_handlers_read() {
    let gateway = &shared().gateway;
    let admin = user(gateway, "admin").await.1;
    let receiver = Upstream::start();
    let mut body = wish(&receiver.url(), &["user.login", "user.logout", "agent.authenticated"]);
    body["filters"] = json!({ "user_roles": ["deployment_automation"] });
    body["headers"] = json!({ "Authorization": "Bearer of-the-receiver" });
    data(&admin.post("/webhooks", body).await.expect(201));
    let (_, other, _) = user(gateway, "user").await;
    data(&other.post("/auth/logout", Value::Null).await);
    let email = crate::support::archon::person(gateway, &["deployment_automation"]);
    let client = caller(gateway);
    let login = json!({
        "email": email, "password": PASSWORD, "deviceInfo": { "location": "Paris" },
    });
    let own = data(&client.post("/auth/login", login).await);
    let client = client.bearer(own["access_token"].as_str().unwrap());
    let asked =
        json!({ "agent_type": "deployment_automation", "capabilities_requested": ["file:read"] });
    data(&client.post("/auth/agents/authenticate", asked).await);
    data(&client.post("/auth/logout", Value::Null).await);
    let events = told_of(&receiver, 3).await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user.login", "agent.authenticated", "user.logout"], "in order, filtered");
    let (first, agent, last) = (&events[0], &events[1], &events[2]);
    for name in ["id", "type", "version", "timestamp", "environment", "source", "data", "context"] {
        assert!(!first[name].is_null(), "{name}: {first}");
    }
    assert!(first["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(
        (&first["data"]["email"], &first["data"]["location"]),
        (&json!(email), &json!("Paris"))
    );
    assert_eq!(first["data"]["user_id"], own["user"]["id"]);
    assert!(first["data"]["ip_address"].as_str().unwrap().starts_with("127."));
    assert!(first["context"]["request_id"].as_str().unwrap().starts_with("req_"));
    assert_eq!(agent["data"]["capabilities_granted"], json!(["file:read"]));
    assert!(last["data"]["session_duration"].is_u64());
    for request in receiver.seen() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let sum = hmac::sign(&key, &request.body);
        let hex: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header(&request, "x-archon-signature"), format!("sha256={hex}"));
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(header(&request, "x-archon-event-type"), event["type"]);
        assert_eq!(header(&request, "x-archon-event-id"), event["id"]);
        assert!(header(&request, "x-archon-timestamp").ends_with('Z'));
        assert_eq!(header(&request, "x-archon-version"), "2.0.0");
        assert_eq!(header(&request, "authorization"), "Bearer of-the-receiver");
    }
}

#[tokio::test]
async fn deliveries_are_listed_and_repeated() {
    let gateway = &shared().gateway;
    let admin = user(gateway, "admin").await.1;
    let receiver = Upstream::with(|_| Answer::json(410, "{}"));
    let made =
        data(&admin.post("/webhooks", wish(&receiver.url(), &["system.test"])).await.expect(201));
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let test = data(&admin.post(&format!("{path}/test"), Value::Null).await);
    assert_eq!((&test["status"], &test["event_type"]), (&json!("pending"), &json!("system.test")));
    let listed = |status: &'static str| {
        let (admin, path) = (admin.clone(), path.clone());
        async move {
            until("the delivery", || async {
                let reply = admin.get(&format!("{path}/deliveries?limit=1")).await;
                let list = data(&reply);
                (list[0]["status"] == status).then(|| (list[0].clone(), reply.json()))
            })
            .await
        }
    };
    let (failed, reply) = listed("failed").await;
    assert_eq!(failed["next_retry"], Value::Null, "a receiver that refuses is not asked again");
    assert_eq!(failed["attempts"][0]["status_code"], 410);
    assert!(failed["attempts"][0]["response_time_ms"].is_u64());
    assert_eq!(
        (&failed["webhook_id"], &failed["deliveryId"]),
        (&made["id"], &failed["delivery_id"])
    );
    assert_eq!(reply["meta"]["pagination"]["total"], 1);
    receiver.answer(|_| Answer::ok());
    let again = format!("{path}/deliveries/{}/redeliver", failed["delivery_id"].as_str().unwrap());
    let repeated = data(&admin.post(&again, Value::Null).await);
    assert_eq!(repeated["event_id"], failed["event_id"], "the same event");
    assert_ne!(repeated["delivery_id"], failed["delivery_id"]);
    listed("delivered").await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let gateway = &shared().gateway;
    let admin = user(gateway, "admin").await.1;
    let inner = Upstream::start();
    let to = inner.url();
    let receiver = Upstream::with(move |_| Answer::new(307, &[("Location", &to)], ""));
    let made =
        data(&admin.post("/webhooks", wish(&receiver.url(), &["system.test"])).await.expect(201));
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    data(&admin.post(&format!("{path}/test"), Value::Null).await);
    until("the delivery failed", || async {
        let list = data(&admin.get(&format!("{path}/deliveries")).await);
        (list[0]["status"] == "failed").then_some(())
    })
    .await;
    inner.saw_nothing();
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_in_order_also_over_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let places = Places {
        public: ports::free_address(),
        operator: ports::free_address(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let text = configuration(&places, &upstream.url(), "");
    let mut gateway = Gateway::start_in(&places, &text);
    add(&gateway, "root@example.org", &["admin"]);
    // Nobody is there.
    let away = ports::free_address();
    let admin = as_admin(&gateway).await;
    let body = wish(&format!("http://{away}/hook"), &["user.registered"]);
    data(&admin.post("/webhooks", body).await.expect(201));
    let mut names: Vec<String> = Vec::new();
    for life in 0..3 {
        for number in 0..4 {
            let email = format!("n{life}-{number}@example.org");
            register(&gateway, &email).await;
            names.push(email);
        }
        gateway.kill();
        gateway = Gateway::start_in(&places, &text);
    }
    let receiver = Upstream::at(away, true, |_| Answer::ok());
    let events = told_of(&receiver, names.len()).await;
    let told: Vec<_> =
        events.iter().map(|event| event["data"]["email"].as_str().unwrap()).collect();
    assert_eq!(told, names, "every one, in order");
}

async fn as_admin(gateway: &Gateway) -> Client {
    let client = caller(gateway);
    let own = login(&client, "root@example.org").await;
    client.bearer(own["access_token"].as_str().unwrap())
}

async fn register(gateway: &Gateway, email: &str) {
    let body =
        json!({ "email": email, "password": PASSWORD, "name": "New", "terms_accepted": true });
    caller(gateway).post("/auth/register", body).await.expect(201);
}
