//! Every way in which something ends at one node, each with the credential that ends by it.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::bench::{Credential, Fleet};
use crate::support::{
    client::Client,
    operate,
    tmws::{GOOD_PASSWORD, fresh_address},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    KeyRevoked,
    Logout,
    SessionEnded,
    AccountDisabled,
    PasswordChanged,
    RolesChanged,
    TokenRevoked,
}

impl End {
    pub const ALL: [End; 7] = [
        End::KeyRevoked,
        End::Logout,
        End::AccountDisabled,
        End::PasswordChanged,
        End::TokenRevoked,
        End::RolesChanged,
        End::SessionEnded,
    ];
}

/// One call that ends something, ready to be made.
pub struct Ready {
    pub credential: Credential,
    by: Client,
    method: Method,
    path: String,
    body: (&'static str, Vec<u8>),
}

impl Ready {
    /// Returns when it was acknowledged.
    pub async fn make(self) -> std::time::Instant {
        let (kind, body) = &self.body;
        let reply = self.by.send(self.method, &self.path, Some((*kind, body.clone()))).await;
        let acknowledged = std::time::Instant::now();
        assert!(reply.status < 300, "{}: {} {}", self.path, reply.status, reply.text());
        acknowledged
    }
}

/// A client of the standard issuer, known at every node.
pub struct Robot(String);

impl Robot {
    pub fn new(fleet: &Fleet) -> Self {
        let arguments = ["--grant", "client_credentials", "--scope", "READ", "--role", "SERVICE"];
        let all = [&["client", "create", "robot"][..], &arguments].concat();
        let made = fleet.nodes[0].cli_json(&all);
        let (id, secret) = (made["client"]["id"].as_str(), made["client_secret"].as_str());
        let basic = STANDARD.encode(format!("{}:{}", id.unwrap(), secret.unwrap()));
        Self(format!("Basic {basic}"))
    }

    fn at(&self, fleet: &Fleet, number: usize) -> Client {
        Client::from(&fleet.nodes[number].url(), fresh_address()).with("Authorization", &self.0)
    }
}

/// Makes a credential at one node, and the call that will end it there.
pub async fn prepare(fleet: &Fleet, robot: &Robot, end: End, at: usize) -> Ready {
    let operator = fleet.nodes[at].operator();
    let json = |body: Value| ("application/json", body.to_string().into_bytes());
    let by_operator = |credential: Credential, path: String, body: Value| Ready {
        credential,
        by: fleet.nodes[at].operator(),
        method: Method::POST,
        path,
        body: json(body),
    };
    match end {
        End::KeyRevoked => {
            let body = json!({"owner": operate::ADMIN, "name": "of a test", "scopes": ["READ"]});
            let made = operator.post("/v1/keys", body).await.expect(201).try_json().unwrap();
            let id = made["key"]["id"].as_str().unwrap();
            let key = Credential::Key(made["api_key"].as_str().unwrap().to_owned());
            by_operator(key, format!("/v1/keys/{id}/revoke"), Value::Null)
        }
        End::TokenRevoked => {
            let by = robot.at(fleet, at);
            let asked = Some((FORM, b"grant_type=client_credentials".to_vec()));
            let made = by.send(Method::POST, "/oauth/token", asked).await.expect(200);
            let token = made.str("access_token");
            let body = (FORM, format!("token={token}").into_bytes());
            let path = "/oauth/revoke".to_owned();
            Ready { credential: Credential::Token(token), by, method: Method::POST, path, body }
        }
        End::Logout => {
            let who = fleet.person(at).await;
            let body = json(json!({"refresh_token": who.tokens.refresh}));
            let path = "/api/v1/auth/logout".to_owned();
            let credential = who.token();
            Ready { credential, by: who.client, method: Method::POST, path, body }
        }
        End::PasswordChanged => {
            let who = fleet.person(at).await;
            let new = "Another-Horse-7-Battery";
            let body = json(json!({"current_password": GOOD_PASSWORD, "new_password": new}));
            let path = "/api/v1/users/me/password".to_owned();
            let credential = who.token();
            Ready { credential, by: who.client, method: Method::PUT, path, body }
        }
        End::AccountDisabled => {
            let who = fleet.person(at).await;
            by_operator(who.token(), format!("/v1/users/{}/disable", who.name), Value::Null)
        }
        End::RolesChanged => {
            let who = fleet.person(at).await;
            let path = format!("/v1/users/{}/roles", who.name);
            by_operator(who.token(), path, json!({"roles": ["READONLY"]}))
        }
        End::SessionEnded => {
            let who = fleet.person(at).await;
            let found = operator.get(&format!("/v1/sessions?user={}", who.name)).await;
            let id = found.try_json().unwrap()["sessions"][0]["id"].as_str().unwrap().to_owned();
            by_operator(who.token(), format!("/v1/sessions/{id}/end"), Value::Null)
        }
    }
}
