//! Subscriptions from the event to the receiver, with a receiver that does as it is told.

use std::{collections::VecDeque, sync::Mutex};

use serde_json::json;

use super::*;
use crate::{
    identity::{
        Actor, Identity, IdentityError, WebhookSettings,
        test_kit::{Kit, api, from, realm},
    },
    model::Timestamp,
};

/// Words events as plainly as can be.
#[derive(Debug)]
struct Plain;

impl Herald for Plain {
    fn known(&self) -> &'static [&'static str] {
        &["user.login", "user.registered", "session.created", "system.test"]
    }

    fn told(&self, occurrence: &Occurrence<'_>) -> Vec<(&'static str, Value)> {
        let data = json!({ "name": occurrence.account.and_then(|found| found.username.clone()) });
        match occurrence.event {
            "LOGIN_SUCCESS" => vec![("user.login", data.clone()), ("session.created", data)],
            "ACCOUNT_CREATED" => vec![("user.registered", data)],
            _ => Vec::new(),
        }
    }

    fn test(&self) -> (&'static str, Value) {
        ("system.test", json!({}))
    }

    fn body(&self, event: &Event<'_>) -> Value {
        json!({ "id": event.id, "type": event.kind, "data": event.data })
    }

    fn headers(&self, stamp: &Stamp<'_>, signature: &str) -> Vec<(&'static str, String)> {
        vec![("x-id", stamp.event_id.to_owned()), ("x-signature", signature.to_owned())]
    }
}

/// Body and header fields of a letter.
type Seen = (Value, Vec<(String, String)>);

/// Answers what it is told to, and 200 after that.
#[derive(Debug, Default)]
struct Receiver {
    answers: Mutex<VecDeque<Result<u16, CarryFault>>>,
    seen: Mutex<Vec<Seen>>,
}

impl Receiver {
    fn answering(answers: &[Result<u16, CarryFault>]) -> Self {
        Self { answers: Mutex::new(answers.iter().copied().collect()), ..Self::default() }
    }

    /// Who was told, of what, in order.
    fn told(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let told = |(body, _): &Seen| {
            format!("{} {}", body["type"].as_str().unwrap(), body["data"]["name"])
        };
        seen.iter().map(told).collect()
    }
}

#[async_trait]
impl Carrier for Receiver {
    async fn post(&self, letter: &Letter) -> Result<u16, CarryFault> {
        let body = serde_json::from_slice(&letter.body).unwrap();
        self.seen.lock().unwrap().push((body, letter.headers.clone()));
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(200))
    }
}

async fn kit() -> Kit {
    Kit::open(|settings| {
        for mount in &mut settings.mounts {
            mount.webhooks = Some(WebhookSettings {
                environment: "test".into(),
                allow_private: false,
                timeout: Duration::from_secs(30),
                keep_trying: Duration::from_secs(3600),
                most: 2,
                herald: &Plain,
            });
        }
    })
    .await
}

fn wish(events: &[&str]) -> WebhookWish {
    WebhookWish {
        url: Some("https://hooks.example.org/in".into()),
        events: Some(events.iter().map(|name| (*name).to_owned()).collect()),
        secret: Some("a secret of the receiver".into()),
        ..WebhookWish::default()
    }
}

async fn subscribe(kit: &Kit, events: &[&str]) -> String {
    let made = kit.identity.create_webhook(&api(), wish(events), &from("192.0.2.1")).await;
    made.unwrap().webhook.id
}

/// Reads the log and tries whatever is due, until nothing is.
async fn settle(identity: &Identity, receiver: &Receiver) {
    while identity.spread_webhooks().await.unwrap() {}
    loop {
        let due = identity.inner.store.due_deliveries(identity.now(), 10).await.unwrap();
        if due.is_empty() {
            return;
        }
        for delivery in due {
            identity.carry(receiver, delivery).await.unwrap();
        }
    }
}

async fn statuses(kit: &Kit, id: &str) -> Vec<String> {
    let (page, _) = kit.identity.webhook_deliveries(&api(), id, 100, 0).await.unwrap();
    page.into_iter().rev().map(|delivery| delivery.status).collect()
}

#[tokio::test]
async fn what_happens_after_the_subscription_is_told_in_order_and_signed() {
    let kit = kit().await;
    kit.user("early", &["USER"]).await;
    let id = subscribe(&kit, &["user.*"]).await;
    kit.user("ada", &["USER"]).await;
    kit.login("ada", crate::identity::test_kit::GOOD).await.unwrap();
    let receiver = Receiver::default();
    settle(&kit.identity, &receiver).await;
    assert_eq!(receiver.told(), ["user.registered \"ada\"", "user.login \"ada\""]);
    assert_eq!(statuses(&kit, &id).await, ["delivered", "delivered"]);
    let seen = receiver.seen.lock().unwrap();
    let (body, headers) = seen.first().unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a secret of the receiver");
    let text = body.to_string();
    let wanted = crate::model::api_key::hex(aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref());
    assert!(headers.contains(&("x-signature".into(), wanted)));
    assert!(headers.contains(&("x-id".into(), body["id"].as_str().unwrap().into())));
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_in_order_once_it_is_back() {
    let kit = kit().await;
    let id = subscribe(&kit, &["user.registered"]).await;
    for name in ["a1", "b2", "c3"] {
        kit.user(name, &["USER"]).await;
    }
    let down = Receiver::answering(&[Err(CarryFault::Unreachable); 7]);
    for _ in 0..7 {
        settle(&kit.identity, &down).await;
        kit.advance(61);
    }
    assert_eq!(down.told(), vec!["user.registered \"a1\""; 7], "the others wait for the first");
    settle(&kit.identity, &down).await;
    assert_eq!(
        down.told().split_off(7),
        ["user.registered \"a1\"", "user.registered \"b2\"", "user.registered \"c3\""]
    );
    assert_eq!(statuses(&kit, &id).await, ["delivered", "delivered", "delivered"]);
}

#[tokio::test]
async fn nothing_is_lost_or_told_twice_over_a_restart() {
    let kit = kit().await;
    subscribe(&kit, &["user.registered"]).await;
    kit.user("a1", &["USER"]).await;
    while kit.identity.spread_webhooks().await.unwrap() {}
    kit.user("b2", &["USER"]).await;
    let identity = kit.identity.clone();
    let (store, clock) = (identity.inner.store.clone(), kit.clock.clone());
    drop(identity);
    let kit = kit
        .reopen(|settings| {
            for mount in &mut settings.mounts {
                mount.webhooks = Some(WebhookSettings {
                    environment: "test".into(),
                    allow_private: false,
                    timeout: Duration::from_secs(30),
                    keep_trying: Duration::from_secs(3600),
                    most: 2,
                    herald: &Plain,
                });
            }
        })
        .await;
    drop((store, clock));
    let receiver = Receiver::default();
    settle(&kit.identity, &receiver).await;
    settle(&kit.identity, &receiver).await;
    assert_eq!(receiver.told(), ["user.registered \"a1\"", "user.registered \"b2\""]);
}

#[tokio::test]
async fn what_a_receiver_refuses_is_given_up_and_the_next_one_comes() {
    let kit = kit().await;
    let id = subscribe(&kit, &["user.registered"]).await;
    kit.user("a1", &["USER"]).await;
    kit.user("b2", &["USER"]).await;
    settle(&kit.identity, &Receiver::answering(&[Ok(410)])).await;
    assert_eq!(statuses(&kit, &id).await, ["failed", "delivered"]);
    let (page, total) = kit.identity.webhook_deliveries(&api(), &id, 1, 1).await.unwrap();
    assert_eq!((page.len(), total), (1, 2));
    let failed = page.first().unwrap();
    assert_eq!(
        (failed.next_retry, failed.attempts.first().unwrap().status_code),
        (None, Some(410))
    );
    let by = from("192.0.2.1");
    kit.identity.redeliver_webhook(&api(), &id, &failed.id, &by).await.unwrap();
    let receiver = Receiver::default();
    settle(&kit.identity, &receiver).await;
    assert_eq!(receiver.told(), ["user.registered \"a1\""]);
    assert_eq!(receiver.seen.lock().unwrap().first().unwrap().0["id"], failed.event_id);
}

#[tokio::test]
async fn an_event_that_nobody_takes_expires() {
    let kit = kit().await;
    let id = subscribe(&kit, &["user.registered"]).await;
    kit.user("a1", &["USER"]).await;
    let down = Receiver::answering(&[Ok(503); 400]);
    for _ in 0..80 {
        settle(&kit.identity, &down).await;
        kit.advance(61);
    }
    assert_eq!(statuses(&kit, &id).await, ["failed"]);
    let (page, _) = kit.identity.webhook_deliveries(&api(), &id, 1, 0).await.unwrap();
    let delivery = page.first().unwrap();
    assert_eq!(delivery.next_retry, None);
    assert_eq!(delivery.attempts.len(), 20, "only the newest tries are kept");
}

#[tokio::test]
async fn a_sleeping_subscription_is_told_nothing_not_even_later() {
    let kit = kit().await;
    let id = subscribe(&kit, &["*"]).await;
    let by = Actor::operator();
    let set = |active| WebhookWish { active: Some(active), ..WebhookWish::default() };
    kit.identity.update_webhook(&api(), &id, set(false), &by).await.unwrap();
    kit.user("asleep", &["USER"]).await;
    let test = kit.identity.test_webhook(&api(), &id, &by).await;
    assert!(matches!(test, Err(IdentityError::Invalid(_))));
    kit.identity.update_webhook(&api(), &id, set(true), &by).await.unwrap();
    kit.user("awake", &["USER"]).await;
    let test = kit.identity.test_webhook(&api(), &id, &by).await.unwrap();
    assert_eq!((&*test.status, &*test.event_type), ("pending", "system.test"));
    let receiver = Receiver::default();
    settle(&kit.identity, &receiver).await;
    assert_eq!(receiver.told(), ["system.test null", "user.registered \"awake\""]);
}

#[tokio::test]
async fn filters_and_mounts_keep_events_apart() {
    let kit = kit().await;
    let mut narrowed = wish(&["user.*"]);
    narrowed.filters = Some(Filters { user_roles: vec!["ADMIN".into()], ..Filters::default() });
    kit.identity.create_webhook(&api(), narrowed, &Actor::operator()).await.unwrap();
    kit.identity
        .create_webhook(&"other".into(), wish(&["user.login"]), &Actor::operator())
        .await
        .unwrap();
    kit.user("admin", &["ADMIN"]).await;
    kit.user("user", &["USER"]).await;
    // A login names its mount, so only that mount's subscriptions are told.
    kit.login("admin", crate::identity::test_kit::GOOD).await.unwrap();
    let receiver = Receiver::default();
    settle(&kit.identity, &receiver).await;
    assert_eq!(receiver.told(), ["user.registered \"admin\"", "user.login \"admin\""]);
}

#[tokio::test]
async fn a_subscription_is_its_mounts_own_and_shows_no_secret() {
    let kit = kit().await;
    let id = subscribe(&kit, &["user.login"]).await;
    let by = Actor::operator();
    let other = "other".into();
    for refused in [
        kit.identity.webhook(&other, &id).await.map(drop),
        kit.identity.delete_webhook(&other, &id, &by).await,
        kit.identity.webhook_deliveries(&other, &id, 1, 0).await.map(drop),
        kit.identity.update_webhook(&other, &id, WebhookWish::default(), &by).await.map(drop),
        kit.identity.redeliver_webhook(&api(), &id, "dlv_none", &by).await.map(drop),
        kit.identity.webhook(&api(), "wh_none").await.map(drop),
    ] {
        assert_eq!(refused, Err(IdentityError::NotFound));
    }
    let mut with_header = wish(&["*"]);
    with_header.secret = None;
    with_header.headers =
        Some(json!({ "Authorization": "Bearer deep" }).as_object().unwrap().clone());
    let made = kit.identity.create_webhook(&api(), with_header, &by).await.unwrap();
    assert_eq!(made.webhook.header_names, ["Authorization"]);
    use crate::model::secret::ExposeSecret;
    assert!(made.secret.expose_secret().starts_with("whsec_"));
    assert!(!format!("{:?}", made.webhook).contains("deep"));
    let third = kit.identity.create_webhook(&api(), wish(&["*"]), &by).await;
    assert_eq!(third.map(drop), Err(IdentityError::AlreadyExists { field: "webhooks" }));
    kit.identity.delete_webhook(&api(), &id, &by).await.unwrap();
    assert_eq!(kit.identity.webhooks(&api()).await.unwrap().len(), 1);
    let events = kit.events().await;
    for event in ["WEBHOOK_CREATED", "WEBHOOK_DELETED"] {
        assert!(events.iter().any(|name| name == event), "{event}");
    }
}

#[tokio::test]
async fn a_forbidden_address_is_given_up_at_once() {
    let kit = kit().await;
    let id = subscribe(&kit, &["user.registered"]).await;
    kit.user("a1", &["USER"]).await;
    settle(&kit.identity, &Receiver::answering(&[Err(CarryFault::Forbidden)])).await;
    let (page, _) = kit.identity.webhook_deliveries(&api(), &id, 1, 0).await.unwrap();
    let delivery = page.first().unwrap();
    assert_eq!((&*delivery.status, delivery.next_retry), ("failed", None::<Timestamp>));
    assert_eq!(delivery.attempts.first().unwrap().fault.as_deref(), Some("forbidden_address"));
    let mut inner = wish(&["*"]);
    inner.url = Some("http://169.254.169.254/".into());
    let refused = kit.identity.create_webhook(&api(), inner, &Actor::operator()).await;
    assert!(matches!(refused, Err(IdentityError::Invalid(_))));
    let _ = realm();
}
