//! A caller that speaks the archon contract, and gateways that serve it.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use super::{
    client::Client,
    conf::OPERATOR_TOKEN,
    gateway::{Gateway, Places},
    operate,
    tmws::{assert_common_headers, fresh_address, fresh_name},
    wire::Reply,
};

/// A password that meets the contract's rule.
pub const PASSWORD: &str = "Correct9Horse@";
/// A key of the configuration that stands for the account `keeper@example.org`.
pub const STATIC_KEY: &str = "a-key-the-operator-chose-0123456789";

/// Every limit the contract brings.
const LIMITS: [&str; 8] = [
    "archon-login",
    "archon-register",
    "archon-password-reset",
    "archon-public",
    "archon-user",
    "archon-agent",
    "archon-admin",
    "archon-health",
];

/// A configuration with one archon mount at its three prefixes, limits out of the way, mail into a folder, receivers of
/// webhooks on loopback.
pub fn configuration(places: &Places, upstream: &str, more: &str) -> String {
    let mut text =
        bare(places, upstream, "secure_cookies = false\nwebhooks = { allow_private = true }\n");
    for limit in LIMITS {
        let _ = writeln!(text, "[[limit]]\nname = \"{limit}\"\nwindows = [\"1000000/min\"]");
    }
    text + more
}

/// The same with the contract's own limits. `mount`: further keys of the mount.
pub fn bare(places: &Places, upstream: &str, mount: &str) -> String {
    let (token, key) = (places.dir.join("operator.token"), places.dir.join("static.key"));
    std::fs::write(&token, OPERATOR_TOKEN).expect("write the token");
    std::fs::write(&key, STATIC_KEY).expect("write the key");
    format!(
        "version = 1\n[data]\ndir = {:?}\n[server]\ngrace_period = \"3s\"\n[hashing]\nqueue = 1000\n\
         [internal]\naddress = \"{}\"\ntoken = \"file:{}\"\n\
         [mail]\nfrom = \"gate@example.org\"\nfolder = {:?}\n\
         [[listener]]\nname = \"public\"\naddress = \"{}\"\n\
         [[upstream]]\nname = \"app\"\nbackends = [\"{upstream}\"]\n\
         [[realm]]\nname = \"main\"\n\
         [[mount]]\nname = \"archon\"\ndialect = \"archon\"\n\
         at = [{{ prefixes = [\"/\", \"/v2\", \"/api/v2\"] }}]\n\
         cors = {{ origins = [\"https://app.example.org\"] }}\n\
         static_key = [{{ name = \"keeper\", secret = \"file:{}\", user = \"keeper@example.org\", scopes = [\"AGENTS\"] }}]\n\
         {mount}\
         [[route]]\nname = \"files\"\nmount = \"archon\"\nmatch = {{ path = \"/files/**\" }}\nupstream = \"app\"\n\
         authn = [\"jwt\", \"agent\"]\n\
         authz = {{ roles = [\"admin\"], capabilities = {{ GET = \"file:read\", \"*\" = \"file:write\" }} }}\n\
         limits = []\n",
        places.data.display().to_string(),
        places.operator,
        token.display(),
        mail_folder(places).display().to_string(),
        places.public,
        key.display(),
    )
}

/// Where letters go.
pub fn mail_folder(places: &Places) -> std::path::PathBuf {
    places.dir.join("mail")
}

/// The code in the newest letter to an address that has one; letters come a moment later.
pub fn code_for(folder: &Path, email: &str) -> Option<String> {
    let mut letters: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().collect();
    letters.sort_by_key(|entry| entry.metadata().and_then(|meta| meta.modified()).ok());
    letters.iter().rev().find_map(|entry| {
        let text = std::fs::read_to_string(entry.path()).ok()?.replace("=\r\n", "");
        let text = text.contains(&format!("To: {email}")).then_some(text)?;
        let long = |word: &&str| {
            word.len() == 43
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        text.split_whitespace().find(long).map(str::to_owned)
    })
}

/// An anonymous caller from an address of its own.
pub fn caller(gateway: &Gateway) -> Client {
    Client::from(&gateway.url(), fresh_address())
}

/// Makes an account through the operator; gives its address.
pub fn person(gateway: &Gateway, roles: &[&str]) -> String {
    let email = format!("{}@example.org", fresh_name());
    add(gateway, &email, roles);
    email
}

/// Makes an account with this address.
pub fn add(gateway: &Gateway, email: &str, roles: &[&str]) -> Value {
    let body = json!({
        "realm": "main", "email": email, "password": PASSWORD, "full_name": "Ada Lovelace",
        "roles": roles,
    });
    operate::call(gateway, "POST", "/v1/users", body).expect(201).json()["user"].clone()
}

/// The `data` of a success.
#[track_caller]
pub fn data(reply: &Reply) -> Value {
    assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text());
    assert_envelope(reply);
    let body = reply.json();
    assert_eq!(body["success"], true, "{body}");
    assert!(body["error"].is_null(), "{body}");
    body["data"].clone()
}

/// Logs in and gives the reply's data.
pub async fn login(client: &Client, email: &str) -> Value {
    data(&try_login(client, email, PASSWORD).await)
}

pub async fn try_login(client: &Client, email: &str, password: &str) -> Reply {
    client.post("/auth/login", json!({ "email": email, "password": password })).await
}

/// A fresh account of a role and a client with its token.
pub async fn user(gateway: &Gateway, role: &str) -> (String, Client, Value) {
    let email = person(gateway, &[role]);
    let client = caller(gateway);
    let data = login(&client, &email).await;
    let client = client.bearer(data["access_token"].as_str().expect("a token"));
    (email, client, data)
}

/// A refusal with this status and code.
#[track_caller]
pub fn assert_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "body: {}", reply.text());
    assert_error_shape(reply);
    assert_eq!(reply.json()["error"]["code"], code, "{}", reply.text());
}

/// The one error shape of the contract.
#[track_caller]
pub fn assert_error_shape(reply: &Reply) {
    assert_envelope(reply);
    let body = reply.json();
    assert_eq!(body["success"], false, "{body}");
    assert!(body["data"].is_null(), "{body}");
    let error = &body["error"];
    for name in ["code", "message", "trace_id", "traceId"] {
        assert!(error[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {body}");
    }
    assert!(error["trace_id"].as_str().is_some_and(|id| id.starts_with("trace_")), "{body}");
    assert!(error.get("details").is_none_or(Value::is_object), "{body}");
    assert!(body.get("access_token").is_none() && body.get("detail").is_none(), "{body}");
    assert_common_headers(reply);
}

#[track_caller]
fn assert_envelope(reply: &Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "Content-Type {kind:?}: {}", reply.text());
    let body = reply.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(4), "{body}");
    let meta = &body["meta"];
    assert_eq!(meta["version"], "2.0.0", "{body}");
    assert!(meta["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");
    assert_eq!(meta["request_id"].as_str(), reply.header("x-request-id"), "{body}");
}
