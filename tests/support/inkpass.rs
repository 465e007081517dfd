//! Callers that speak the inkpass contract, and a gateway that a whole suite shares.

use std::{path::Path, sync::OnceLock};

use serde_json::{Value, json};

use super::{
    client::Client,
    conf::OPERATOR_TOKEN,
    gateway::{Gateway, Places},
    tmws::{fresh_address, fresh_name},
    upstream::{Answer, Upstream},
    wait::until,
    wire::Reply,
};

/// A password of the manual's examples.
pub const PASSWORD: &str = "secure_password";
/// A service key of the operator's: any text.
pub const SERVICE_KEY: &str = "any-service-key:of/the.operator";

/// A gateway with one inkpass mount at the root, an upstream behind `/echo`, and a mail folder.
pub struct World {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

pub fn shared() -> &'static World {
    static SHARED: OnceLock<World> = OnceLock::new();
    SHARED.get_or_init(|| World::start(""))
}

impl World {
    /// `more`: lines of the mount.
    pub fn start(more: &str) -> Self {
        let upstream = Upstream::with(|_| Answer::ok());
        let gateway = Gateway::start(|places| configuration(places, &upstream.url(), more));
        World { gateway, upstream }
    }

    /// An anonymous caller from an address of its own, so that what is counted per address is its own.
    pub fn caller(&self) -> Client {
        Client::from(&self.gateway.url(), fresh_address())
    }

    /// The newest code in a mail to this address that is none of `seen`.
    pub async fn code(&self, email: &str, seen: &[String]) -> String {
        let folder = self.gateway.places.dir.join("mail");
        until("a mail with a code", || {
            let found = codes_in(&folder, email).into_iter().find(|code| !seen.contains(code));
            async move { found }
        })
        .await
    }

    /// Registers somebody with an organisation of its own.
    pub async fn owner(&self) -> Person {
        let email = fresh_email();
        let body = json!({"email": email, "password": PASSWORD, "organization_name": "Acme"});
        let made = self.caller().post("/api/v1/auth/register", body).await.expect(201);
        let id = made.str("user_id");
        self.person(id, email, made.str("organization_id")).await
    }

    /// Somebody in the owner's organisation who was granted nothing.
    pub async fn member(&self, owner: &Person) -> Person {
        let email = fresh_email();
        let body = json!({"email": email, "password": PASSWORD});
        let made = owner.client.post("/api/v1/users", body).await.expect(201);
        self.person(made.str("id"), email, owner.organization.clone()).await
    }

    async fn person(&self, id: String, email: String, organization: String) -> Person {
        let tokens = login(&self.caller(), &email).await.expect(200);
        let client = self.caller().bearer(&tokens.str("access_token"));
        let (access, refresh) = (tokens.str("access_token"), tokens.str("refresh_token"));
        Person { id, email, organization, access, refresh, client }
    }
}

/// An account with a client that has its token.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub organization: String,
    pub access: String,
    pub refresh: String,
    pub client: Client,
}

impl Person {
    /// Whether this person may, by `auth/check`.
    pub async fn may(&self, resource: &str, action: &str, context: Value) -> bool {
        let path = format!("/api/v1/auth/check?resource={resource}&action={action}");
        let reply = self.client.post(&path, context).await.expect(200);
        reply.json()["has_permission"].as_bool().expect("a truth value")
    }

    /// Makes a permission; its id.
    pub async fn permission(&self, resource: &str, action: &str, conditions: Value) -> String {
        let body = json!({"resource": resource, "action": action, "conditions": conditions});
        self.client.post("/api/v1/permissions", body).await.expect(201).str("id")
    }

    /// Makes a permission and grants it to a member.
    pub async fn grant(&self, to: &Person, resource: &str, action: &str) -> String {
        let id = self.permission(resource, action, json!({})).await;
        let body = json!({"user_id": to.id});
        self.client.post(&format!("/api/v1/permissions/{id}/assign"), body).await.expect(200);
        id
    }

    /// Makes a group; its id.
    pub async fn group(&self, name: &str) -> String {
        self.client.post("/api/v1/groups", json!({"name": name})).await.expect(201).str("id")
    }

    /// Makes a key; the whole reply.
    pub async fn key(&self, scopes: &[&str]) -> Value {
        let body = json!({"name": "ci", "scopes": scopes});
        self.client.post("/api/v1/api-keys", body).await.expect(201).json()
    }
}

pub fn fresh_email() -> String {
    format!("{}@Example.org", fresh_name())
}

pub async fn login(client: &Client, email: &str) -> Reply {
    client.post("/api/v1/auth/login", json!({"email": email, "password": PASSWORD})).await
}

/// The one error shape of the contract, with a sentence.
#[track_caller]
pub fn assert_error(reply: &Reply, status: u16, detail: &str) {
    assert_eq!(reply.status, status, "body: {}", reply.text());
    assert_error_shape(reply);
    assert_eq!(reply.str("detail"), detail);
}

/// 422: a list of fields, each with its place.
#[track_caller]
pub fn assert_invalid(reply: &Reply, place: &[&str]) {
    assert_eq!(reply.status, 422, "body: {}", reply.text());
    assert_error_shape(reply);
    let body = reply.json();
    let rows = body["detail"].as_array().unwrap_or_else(|| panic!("a list: {body}"));
    let found = rows.iter().find(|row| row["loc"] == json!(place));
    let row = found.unwrap_or_else(|| panic!("{place:?} in {body}"));
    assert!(row["msg"].is_string() && row["type"].is_string() && row.get("input").is_some());
}

/// The shape, whatever it says.
#[track_caller]
pub fn assert_error_shape(reply: &Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "Content-Type {kind:?}: {}", reply.text());
    let body = reply.json();
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["detail"], "{body}");
    let text = body["detail"].as_str().is_some_and(|text| !text.is_empty());
    assert!(text || body["detail"].is_array(), "{body}");
    assert_eq!(reply.all("x-request-id").len(), 1);
    assert_eq!(reply.all("x-content-type-options"), ["nosniff"]);
}

fn configuration(places: &Places, upstream: &str, more: &str) -> String {
    let file = |name: &str, text: &str| {
        let path = places.dir.join(name);
        std::fs::write(&path, text).expect("write a file");
        path.display().to_string()
    };
    let (token, key) = (file("operator.token", OPERATOR_TOKEN), file("service.key", SERVICE_KEY));
    format!(
        "version = 1\n[data]\ndir = {:?}\n[server]\ngrace_period = \"3s\"\n[hashing]\nqueue = 1000\n\
         [internal]\naddress = \"{}\"\ntoken = \"file:{token}\"\n\
         [mail]\nfrom = \"Gate <gate@example.org>\"\nfolder = {:?}\n\
         [[listener]]\nname = \"public\"\naddress = \"{}\"\n\
         [[realm]]\nname = \"people\"\n\
         [[mount]]\nname = \"inkpass\"\ndialect = \"inkpass\"\n{more}\n\
         [[mount.static_key]]\nname = \"service\"\nsecret = \"file:{key}\"\nservice = \"reports\"\n\
         scopes = [\"reports:*\"]\n\
         [[upstream]]\nname = \"app\"\nbackends = [\"{upstream}\"]\n\
         [[route]]\nname = \"echo\"\nmount = \"inkpass\"\nmatch = {{ path = \"/echo/**\" }}\n\
         upstream = \"app\"\nauthn = [\"jwt\", \"api_key\"]\nauthz = \"authenticated\"\n",
        places.data.display().to_string(),
        places.operator,
        places.dir.join("mail").display().to_string(),
        places.public,
    )
}

/// Codes of six digits in the letters to an address, newest first.
fn codes_in(folder: &Path, email: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.path().extension().is_some()) {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if !text.to_lowercase().contains(&email.to_lowercase()) {
            continue;
        }
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
        let when = entry.metadata().and_then(|facts| facts.modified()).expect("a time");
        found.extend(text.lines().map(str::trim).find(is_code).map(|code| (when, code.to_owned())));
    }
    found.sort();
    found.into_iter().rev().map(|(_, code)| code).collect()
}
