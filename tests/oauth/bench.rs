//! One gateway with a standard issuer, an upstream behind it, and clients as an operator makes them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::Value;

use crate::support::{
    client::Client,
    conf::{self, Conf},
    gateway::{Gateway, Places},
    operate,
    tmws::{GOOD_PASSWORD, caller, fresh_address, login},
    upstream::Upstream,
    wire::Reply,
};

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

/// A client as it was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: String,
    pub secret: String,
}

/// The mount's issuer is the gateway's own address.
pub fn configuration(places: &Places, upstream: &Upstream, more: &str) -> Conf {
    let issuer = format!("http://{}", places.public);
    let server = format!("{{ issuer = \"{issuer}\"{more} }}");
    let resource = format!("{{ resource = \"{issuer}/api\", scopes = [\"READ\", \"WRITE\"] }}");
    Conf::new(places)
        .mount("authorization_server", &server)
        .mount("protected_resource", &resource)
        .upstream("main", &[upstream.address])
        .route(conf::tasks("main"))
        .route(
            conf::closed("reports", "/reports/**", "main")
                .with("authz", r#"{ scopes = { GET = "READ", "*" = "WRITE" } }"#),
        )
        .route(conf::closed("anybody", "/anybody/**", "main"))
}

impl Bench {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more settings of the issuer: `, algorithm = "RS256"`.
    pub fn with(more: &str) -> Self {
        Self::of(|places, upstream| configuration(places, upstream, more))
    }

    pub fn of(configuration: impl Fn(&Places, &Upstream) -> Conf) -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|places| configuration(places, &upstream).text());
        operate::add_admin(&gateway);
        Bench { gateway, upstream }
    }

    pub fn issuer(&self) -> String {
        self.gateway.url()
    }

    /// `portcullis client create`, with a secret.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> Made {
        let made = self.create(arguments);
        let text = |pointer: &str| made.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Made { id: text("/client/id"), secret: text("/client_secret") }
    }

    #[track_caller]
    pub fn create(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["client", "create", "robot"];
        all.extend_from_slice(arguments);
        self.gateway.cli_json(&all)
    }

    /// A service account as most are: READ and WRITE, the role of services.
    pub fn service(&self) -> Made {
        self.client(&[
            "--grant",
            "client_credentials",
            "--scope",
            "READ",
            "--scope",
            "WRITE",
            "--role",
            "SERVICE",
        ])
    }

    pub fn caller(&self) -> Client {
        caller(&self.gateway)
    }

    /// Posts a form from an address of its own, with HTTP Basic where a client is given.
    pub async fn post(&self, path: &str, client: Option<&Made>, fields: &[(&str, &str)]) -> Reply {
        let http = Client::from(&self.gateway.url(), fresh_address());
        self.send(http, path, client, fields).await
    }

    /// The same with a client of HTTP that the test keeps.
    pub async fn send(
        &self,
        http: Client,
        path: &str,
        client: Option<&Made>,
        fields: &[(&str, &str)],
    ) -> Reply {
        let http = match client {
            Some(Made { id, secret }) => {
                let basic = STANDARD.encode(format!("{id}:{secret}"));
                http.with("Authorization", &format!("Basic {basic}"))
            }
            None => http,
        };
        http.send(Method::POST, path, Some((FORM, form(fields)))).await
    }

    pub async fn token(&self, client: &Made, fields: &[(&str, &str)]) -> Reply {
        self.post("/oauth/token", Some(client), fields).await
    }

    /// A client's own token.
    pub async fn own_token(&self, client: &Made) -> String {
        let reply = self.token(client, &[("grant_type", "client_credentials")]).await;
        reply.expect(200).str("access_token")
    }

    pub async fn exchange(&self, client: &Made, subject: &str, more: &[(&str, &str)]) -> Reply {
        let mut fields = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        fields.extend_from_slice(more);
        self.token(client, &fields).await
    }

    pub async fn introspect(&self, client: &Made, token: &str) -> Value {
        self.post("/oauth/introspect", Some(client), &[("token", token)]).await.expect(200).json()
    }

    /// What a protected route says to a token.
    pub async fn ask(&self, token: &str, method: Method, path: &str) -> u16 {
        self.caller().bearer(token).call(method, path, None).await.status
    }

    /// The same for the route that takes anybody who is proven.
    pub async fn passes(&self, token: &str) -> bool {
        match self.ask(token, Method::GET, "/anybody/x").await {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// The access token of the administrator's login by the contract.
    pub async fn login(&self) -> String {
        login(&self.caller(), operate::ADMIN, GOOD_PASSWORD).await.access
    }
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields).finish().into_bytes()
}

/// The claims of a token, unproven.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

pub fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, at: usize) -> Value {
    let text = token.split('.').nth(at).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub fn seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.max(Duration::ZERO).as_secs()
}
