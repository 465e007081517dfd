//! A caller that speaks the tmws contract, and the demo that a whole suite shares.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

use serde_json::{Value, json};

use super::{client::Client, gateway::Gateway, wire::Reply};

/// A password that meets the contract's rule.
pub const GOOD_PASSWORD: &str = "Correct-Horse-9-Battery";

/// The general limit, out of the way: it has tests of its own.
pub const NO_GENERAL_LIMIT: [&str; 2] = ["--set", r#"limit.tmws-general.windows=["1000000/min"]"#];

static NEXT: AtomicU16 = AtomicU16::new(0);

fn number() -> u16 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A loopback address nobody else calls from, so that what is counted per address is the caller's own.
pub fn fresh_address() -> IpAddr {
    let [high, low] = number().wrapping_add(1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 77, high, low))
}

/// A login name nobody has.
pub fn fresh_name() -> String {
    format!("someone-{}-{}", std::process::id(), number())
}

/// The demo of this test program: default settings but for the general limit.
pub fn shared() -> &'static Gateway {
    static SHARED: OnceLock<Gateway> = OnceLock::new();
    SHARED.get_or_init(|| Gateway::demo(&NO_GENERAL_LIMIT))
}

/// An anonymous caller from an address of its own.
pub fn caller(gateway: &Gateway) -> Client {
    Client::from(&gateway.url(), fresh_address())
}

/// Access and refresh token of one session.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    #[track_caller]
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "body: {}", reply.text());
        Tokens { access: reply.str("access_token"), refresh: reply.str("refresh_token") }
    }
}

pub async fn try_login(client: &Client, username: &str, password: &str) -> Reply {
    let body = json!({"username": username, "password": password});
    client.post("/api/v1/auth/login", body).await
}

pub async fn login(client: &Client, username: &str, password: &str) -> Tokens {
    Tokens::of(&try_login(client, username, password).await)
}

pub async fn refresh(client: &Client, token: &str) -> Reply {
    client.post("/api/v1/auth/refresh", json!({"refresh_token": token})).await
}

/// Name and password of the demo's first account with this role.
pub fn account(gateway: &Gateway, role: &str) -> (String, String) {
    let accounts = gateway.facts.pointer("/accounts/tmws").and_then(Value::as_array);
    let accounts = accounts.expect("the demo names its accounts");
    let has = |account: &&Value| {
        account["roles"].as_array().is_some_and(|roles| roles.iter().any(|r| r == role))
    };
    let account = accounts.iter().find(has).unwrap_or_else(|| panic!("no {role} in the demo"));
    let text = |field: &str| account[field].as_str().expect("a text").to_owned();
    (text("username"), text("password"))
}

/// A client with the administrator's token; one login per gateway and test.
pub async fn admin(gateway: &Gateway) -> Client {
    let client = caller(gateway);
    let (name, password) = account(gateway, "SUPER_ADMIN");
    let tokens = login(&client, &name, &password).await;
    client.bearer(&tokens.access)
}

/// An account made for one test.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub name: String,
    pub email: String,
    pub password: String,
}

/// Makes an account through the contract.
pub async fn person(admin: &Client, roles: &[&str]) -> Person {
    let name = fresh_name();
    let email = format!("{name}@example.org");
    let body = json!({
        "username": name, "email": email, "password": GOOD_PASSWORD, "roles": roles,
    });
    let made = admin.post("/api/v1/users", body).await.expect(201);
    Person { id: made.str("id"), name, email, password: GOOD_PASSWORD.to_owned() }
}

/// A fresh USER and a client with its token.
pub async fn user(gateway: &Gateway) -> (Person, Client, Tokens) {
    with_role(gateway, "USER").await
}

/// A fresh account of one role and a client with its token.
pub async fn with_role(gateway: &Gateway, role: &str) -> (Person, Client, Tokens) {
    let person = person(&admin(gateway).await, &[role]).await;
    let client = caller(gateway);
    let tokens = login(&client, &person.name, &person.password).await;
    let client = client.bearer(&tokens.access);
    (person, client, tokens)
}

/// Makes a key and returns the whole reply.
pub async fn make_key(owner: &Client, body: Value) -> Reply {
    owner.post("/api/v1/auth/api-keys", body).await.expect(201)
}

/// The one error shape of the contract.
#[track_caller]
pub fn assert_error(reply: &Reply, status: u16, text: &str) {
    assert_eq!(reply.status, status, "body: {}", reply.text());
    assert_error_shape(reply);
    assert_eq!(reply.str("error"), text);
}

/// The shape without the text.
#[track_caller]
pub fn assert_error_shape(reply: &Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "Content-Type {kind:?}: {}", reply.text());
    let body = reply.json();
    assert!(body.is_object(), "an object: {body}");
    assert_eq!(body["error"], body["detail"], "detail repeats error: {body}");
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "a text: {body}");
    assert_eq!(body["status_code"].as_i64(), Some(i64::from(reply.status)), "{body}");
    let id = body["request_id"].as_str().unwrap_or_default();
    assert!(id.starts_with("req_"), "request_id: {body}");
    assert_eq!(reply.header("x-request-id"), Some(id), "header and body name one request");
    assert!(body.get("access_token").is_none(), "trap 1: {body}");
    assert_common_headers(reply);
}

/// Response headers that every reply carries once.
#[track_caller]
pub fn assert_common_headers(reply: &Reply) {
    assert_eq!(reply.all("x-content-type-options"), ["nosniff"]);
    assert_eq!(reply.all("x-frame-options"), ["DENY"]);
    assert_eq!(reply.all("referrer-policy").len(), 1);
    assert_eq!(reply.all("x-request-id").len(), 1);
}
