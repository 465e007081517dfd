//! One bearer mount with an upstream that adds, as the guide's server does, and a mail server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    client::Client,
    gateway::{Gateway, Places},
    operate,
    smtp::Smtp,
    tmws::{fresh_address, fresh_name},
    upstream::{Answer, Upstream},
    wire::Reply,
};

pub const PASSWORD: &str = "Admin123";

pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
    pub mail: Smtp,
}

/// `POST /api/sum`, and `/api/bad` which answers 401 of its own.
fn adder() -> Upstream {
    Upstream::with(|request| {
        if request.target().ends_with("/bad") {
            return Answer::json(401, r#"{"detail":"of the upstream"}"#);
        }
        let sent: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let sum = sent["a"].as_i64().unwrap_or(0) + sent["b"].as_i64().unwrap_or(0);
        Answer::json(200, &json!({ "result": sum }).to_string())
    })
}

pub fn configuration(places: &Places, upstream: &Upstream, mail: &Smtp, more: &str) -> String {
    let limits: String = ["general", "register", "mail", "codes"]
        .map(|name| format!("[[limit]]\nname = \"bearer-{name}\"\nwindows = [\"1000000/s\"]\n"))
        .concat();
    format!(
        "{}{limits}[mail]\nfrom = \"Gateway <no-reply@example.org>\"\n\
         smtp = {{ host = \"{}\", port = {}, security = \"plain\" }}\n\
         {more}\n\
         [[mount]]\nname = \"users\"\ndialect = \"bearer\"\n\
         [[route]]\nname = \"sum\"\nmount = \"users\"\nmatch = {{ path = \"/api/**\" }}\n\
         authn = [\"jwt\"]\nupstream = \"app\"\n",
        crate::mounts::head(places, upstream),
        mail.address.ip(),
        mail.address.port(),
    )
}

impl Bench {
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// `more`: further tables of the file, before the mount.
    pub async fn with(more: &str) -> Self {
        let (upstream, mail) = (adder(), Smtp::start().await);
        let gateway = Gateway::start(|places| configuration(places, &upstream, &mail, more));
        Bench { gateway, upstream, mail }
    }

    pub fn caller(&self) -> Client {
        Client::from(&self.gateway.url(), fresh_address())
    }

    /// Registers somebody; returns the address.
    pub async fn someone(&self) -> String {
        let email = format!("{}@example.com", fresh_name());
        let body = json!({ "email": email, "password": PASSWORD });
        self.caller().post("/auth/register", body).await.expect(201);
        email
    }

    /// Somebody with a token.
    pub async fn logged_in(&self) -> (String, Client) {
        let email = self.someone().await;
        let token = token(&self.caller(), &email, PASSWORD).await;
        (email, self.caller().bearer(&token))
    }

    /// Makes a superuser; returns the address.
    pub fn supervisor(&self) -> String {
        let email = format!("{}@example.com", fresh_name());
        let body = json!({ "email": email, "password": PASSWORD, "roles": ["superuser"] });
        operate::call(&self.gateway, "POST", "/v1/users", body).expect(201);
        email
    }

    /// A superuser with a token.
    pub async fn superuser(&self) -> Client {
        let email = self.supervisor();
        let token = token(&self.caller(), &email, PASSWORD).await;
        self.caller().bearer(&token)
    }
}

/// A form as clients send it.
pub async fn form(client: &Client, path: &str, text: &str) -> Reply {
    let body = Some(("application/x-www-form-urlencoded", text.as_bytes().to_vec()));
    client.send(Method::POST, path, body).await
}

pub async fn login(client: &Client, email: &str, password: &str) -> Reply {
    let text = format!("username={}&password={password}", email.replace('@', "%40"));
    form(client, "/auth/jwt/login", &text).await
}

pub async fn token(client: &Client, email: &str, password: &str) -> String {
    login(client, email, password).await.expect(200).str("access_token")
}

/// A refusal with this `detail`.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, detail: Value) {
    assert_eq!((reply.status, reply.json()), (status, json!({ "detail": detail })));
    assert_error_shape(reply);
}

#[track_caller]
pub fn assert_error_shape(reply: &Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "{kind:?}: {}", reply.text());
    let body = reply.json();
    let detail = &body["detail"];
    assert!(detail.is_string() || detail.is_object() || detail.is_array(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    if reply.status == 429 {
        let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(after >= 1);
    }
}

/// The claims of a token, read as clients do: without verifying.
pub fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
