//! Tokens of agents and of the standard issuer: everything under them ends with them, with the client, and with what they
//! were made from.

use std::time::Instant;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    bench::{Bench, bearer, said},
    far::Far,
};
use crate::support::{
    archon,
    client::Client,
    gateway::{Gateway, Places},
    operate,
    tmws::fresh_address,
};

/// A client of the standard issuer.
struct Robot {
    id: String,
    http: Client,
}

impl Robot {
    fn new(gateway: &Gateway) -> Self {
        let grants = ["--grant", "client_credentials", "--grant", "token_exchange"];
        let more = ["--scope", "READ", "--role", "SERVICE"];
        let all = [&["client", "create", "robot"][..], &grants, &more].concat();
        let made = gateway.cli_json(&all);
        let id = made["client"]["id"].as_str().unwrap().to_owned();
        let secret = made["client_secret"].as_str().unwrap();
        let basic = STANDARD.encode(format!("{id}:{secret}"));
        let http = Client::from(&gateway.url(), fresh_address());
        Robot { id, http: http.with("Authorization", &format!("Basic {basic}")) }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish().into_bytes();
        let body = Some(("application/x-www-form-urlencoded", body));
        self.http.send(reqwest::Method::POST, path, body).await.expect(200).json()
    }

    async fn token(&self, fields: &[(&str, &str)]) -> String {
        self.post("/oauth/token", fields).await["access_token"].as_str().unwrap().to_owned()
    }

    async fn own(&self) -> String {
        self.token(&[("grant_type", "client_credentials")]).await
    }

    /// A token made from another one.
    async fn narrower(&self, subject: &str) -> String {
        self.token(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ])
        .await
    }
}

// requirement: 10
#[tokio::test]
async fn everything_of_a_client_ends_when_it_is_disabled() {
    let bench = Bench::start().await;
    let (robot, other) = (Robot::new(&bench.gateway), Robot::new(&bench.gateway));
    let (own, spared) = (bearer(&robot.own().await), bearer(&other.own().await));
    let end = async || {
        let path = format!("/v1/clients/{}/disable", robot.id);
        operate::call(&bench.gateway, "POST", &path, Value::Null).expect(200);
        Instant::now()
    };
    bench.hold(&own, &spared, 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_token_ends_when_its_client_revokes_it() {
    let bench = Bench::start().await;
    let robot = Robot::new(&bench.gateway);
    let (own, spared) = (robot.own().await, robot.own().await);
    let end = async || {
        robot.post("/oauth/revoke", &[("token", &own)]).await;
        Instant::now()
    };
    bench.hold(&bearer(&own), &bearer(&spared), 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_under_a_token_ends_with_the_one_it_was_made_from() {
    let bench = Bench::start().await;
    let robot = Robot::new(&bench.gateway);
    let (subject, other) = (robot.own().await, robot.own().await);
    let (own, spared) = (robot.narrower(&subject).await, robot.narrower(&other).await);
    let end = async || {
        bench.gateway.cli_ok(&["token", "revoke", said(&subject)["jti"].as_str().unwrap()]);
        Instant::now()
    };
    bench.hold(&bearer(&own), &bearer(&spared), 1008, end).await;
}

fn with_agents(places: &Places, far: &Far) -> String {
    let route = |name: &str, path: &str, upstream: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\nmount = \"archon\"\nmatch = {{ path = \"{path}\" }}\n\
             upstream = \"{upstream}\"\nauthn = [\"jwt\", \"agent\"]\nlimits = []\n\
             authz = {{ roles = [\"user\"], capabilities = {{ \"*\" = \"file:read\" }} }}\n{more}\n"
        )
    };
    let more = [
        format!("[[upstream]]\nname = \"far\"\nbackends = [\"http://{}\"]\n", far.http1),
        format!(
            "[[upstream]]\nname = \"calls\"\nprotocol = \"h2\"\nbackends = [\"http://{}\"]\n",
            far.calls
        ),
        route("sockets", "/sockets/**", "far", "streaming = true"),
        route("plain", "/plain/**", "far", "body_limit = \"1GiB\""),
        route("calls", "/calls.Service/**", "calls", ""),
    ];
    let text = archon::configuration(places, &format!("http://{}", far.http1), &more.concat());
    let at = |listener| format!("{{ listener = \"{listener}\", prefixes = [\"/\"] }}");
    text.replace("name = \"public\"\n", "name = \"public\"\nhttp2 = true\n").replace(
        "at = [{ prefixes = [\"/\", \"/v2\", \"/api/v2\"] }]",
        &format!("at = [{}, {}]", at("public"), at("secure")),
    )
}

/// A person, and the tokens of as many agents that act for it in its session.
async fn agents<const N: usize>(bench: &Bench) -> (Client, [String; N]) {
    let (_, client, _) = archon::user(&bench.gateway, "user").await;
    let mut tokens = Vec::new();
    for _ in 0..N {
        let asked =
            json!({ "agentType": "code_implementer", "capabilitiesRequested": ["file:read"] });
        let agent = archon::data(&client.post("/auth/agents/authenticate", asked).await);
        tokens.push(agent["agent_token"].as_str().unwrap().to_owned());
    }
    (client, tokens.try_into().unwrap())
}

// requirement: 10
#[tokio::test]
async fn everything_of_an_agent_ends_with_the_session_it_acts_in() {
    let bench = Bench::of(with_agents).await;
    let ((client, [token]), (_, [spared])) = (agents(&bench).await, agents(&bench).await);
    let end = async || {
        archon::data(&client.post("/auth/logout", Value::Null).await);
        Instant::now()
    };
    bench.hold(&bearer(&token), &bearer(&spared), 1008, end).await;
}

// requirement: 10
#[tokio::test]
async fn everything_of_an_agent_ends_with_its_token_and_nothing_of_its_neighbour() {
    let bench = Bench::of(with_agents).await;
    let (client, [token, spared]) = agents(&bench).await;
    let id = said(&token)["jti"].as_str().unwrap().to_owned();
    let listed =
        || bench.gateway.cli_json(&["token", "list"])["tokens"].as_array().unwrap().clone();
    assert_eq!(listed().len(), 2);
    let own = listed().into_iter().find(|shown| shown["id"] == json!(id)).unwrap();
    assert_eq!(
        (&own["agent"], &own["client"], &own["session"]),
        (&json!("code_implementer"), &Value::Null, &said(&token)["sid"])
    );
    let end = async || {
        bench.gateway.cli_ok(&["token", "revoke", &id]);
        Instant::now()
    };
    bench.hold(&bearer(&token), &bearer(&spared), 1008, end).await;
    assert_eq!(listed().len(), 1);
    // The person's own login goes on, and what is gone cannot be revoked again.
    archon::data(&client.get("/users/me").await);
    let path = format!("/v1/tokens/{id}/revoke");
    operate::call(&bench.gateway, "POST", &path, Value::Null).expect(404);
    let events = operate::call(&bench.gateway, "GET", "/v1/audit?limit=20", Value::Null).json();
    let told = events["events"].as_array().unwrap();
    let told = told.iter().find(|event| event["event_type"] == "TOKEN_REVOKED").unwrap();
    assert_eq!(told["details"], json!({ "by": "operator", "token": id }));
}
