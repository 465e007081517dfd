//! What the walks must know of each contract beside its own data: how its refusals look, and how to get credentials.

use std::pin::Pin;

use portcullis::dialects::{self, Registered};
use serde_json::json;

use crate::{
    bearer::bench as bearer,
    support::{
        archon,
        client::Client,
        gateway::{Gateway, Places},
        hh, inkpass, operate,
        tmws::{self, GOOD_PASSWORD, fresh_address, fresh_name},
        wire::Reply,
    },
};

/// One contract of the product.
pub struct Contract {
    /// Its name.
    pub name: &'static str,
    /// Credentials that a protected route of its mounts can take, as the configuration writes them.
    pub authn: &'static str,
    /// More lines of its `[[mount]]`, where it has settings without a default.
    pub settings: &'static str,
    /// Files beside the configuration that those lines refer to, with what stands in them.
    pub files: &'static [(&'static str, &'static str)],
    /// The same where they depend on the places of the test and on the mount's name.
    pub more: fn(&Places, &str) -> String,
    /// Asserts the shape of a refusal, whatever it says.
    pub assert_error: fn(&Reply),
    /// One credential of every kind, good at this mount of its.
    pub credentials: for<'g> fn(&'g Gateway, &'g str) -> Made<'g>,
}

pub type Made<'g> = Pin<Box<dyn Future<Output = Vec<Credential>> + Send + 'g>>;

/// A credential as it is sent.
#[derive(Clone, Debug)]
pub struct Credential {
    pub what: &'static str,
    pub header: &'static str,
    pub value: String,
}

impl Credential {
    pub fn bearer(what: &'static str, token: &str) -> Self {
        Credential { what, header: "Authorization", value: format!("Bearer {token}") }
    }

    pub fn key(what: &'static str, key: &str) -> Self {
        Credential { what, header: "X-API-Key", value: key.to_owned() }
    }

    /// A caller with it and with an address of its own.
    pub fn client(&self, gateway: &Gateway) -> Client {
        Client::from(&gateway.url(), fresh_address()).with(self.header, &self.value)
    }
}

/// One entry for each contract in `dialects::ALL`.
pub const CONTRACTS: &[Contract] = &[
    Contract {
        name: "tmws",
        authn: r#"["jwt", "api_key"]"#,
        settings: "",
        files: &[],
        more: |_, _| String::new(),
        assert_error: tmws::assert_error_shape,
        credentials: |gateway, mount| Box::pin(of_tmws(gateway, mount)),
    },
    Contract {
        name: "bearer",
        authn: r#"["jwt"]"#,
        settings: "",
        files: &[],
        more: |_, _| String::new(),
        assert_error: bearer::assert_error_shape,
        credentials: |gateway, mount| Box::pin(of_bearer(gateway, mount)),
    },
    Contract {
        name: "inkpass",
        authn: r#"["jwt", "api_key"]"#,
        settings: "",
        files: &[],
        more: |_, _| String::new(),
        assert_error: inkpass::assert_error_shape,
        credentials: |gateway, mount| Box::pin(of_inkpass(gateway, mount)),
    },
    Contract {
        name: "archon",
        authn: r#"["jwt", "agent"]"#,
        settings: "",
        files: &[],
        more: |_, _| String::new(),
        assert_error: archon::assert_error_shape,
        credentials: |gateway, mount| Box::pin(of_archon(gateway, mount)),
    },
    Contract {
        name: "hh",
        authn: r#"["session"]"#,
        settings: "",
        files: &[],
        more: hh::mount_lines,
        assert_error: hh::assert_error_shape,
        credentials: |gateway, mount| Box::pin(of_hh(gateway, mount)),
    },
];

/// The product's side of a contract.
pub fn registered(contract: &Contract) -> &'static Registered {
    dialects::find(contract.name).expect("it is registered")
}

#[test]
fn no_contract_is_left_out() {
    let known: Vec<_> = CONTRACTS.iter().map(|contract| contract.name).collect();
    let all: Vec<_> = dialects::ALL.iter().map(|contract| contract.dialect.name()).collect();
    assert_eq!(known, all);
}

async fn of_tmws(gateway: &Gateway, mount: &str) -> Vec<Credential> {
    let name = fresh_name();
    let account = json!({
        "realm": "tmws", "username": name, "email": format!("{name}@example.org"),
        "password": GOOD_PASSWORD, "roles": ["SUPER_ADMIN"],
    });
    operate::call(gateway, "POST", "/v1/users", account).expect(201);
    let client = Client::from(&format!("{}/{mount}", gateway.url()), fresh_address());
    let tokens = tmws::login(&client, &name, GOOD_PASSWORD).await;
    let key = operate::add_key(gateway, &name, &["FULL"], json!({ "mount": mount }));
    vec![Credential::bearer("access token", &tokens.access), Credential::key("API key", &key)]
}

async fn of_archon(gateway: &Gateway, mount: &str) -> Vec<Credential> {
    let email = format!("{}@example.org", fresh_name());
    let account = json!({
        "realm": "archon", "email": email, "password": archon::PASSWORD, "roles": ["admin"],
    });
    operate::call(gateway, "POST", "/v1/users", account).expect(201);
    let client = Client::from(&format!("{}/{mount}", gateway.url()), fresh_address());
    let own = archon::login(&client, &email).await;
    let access = own["access_token"].as_str().expect("a token");
    let asked =
        json!({ "agent_type": "code_implementer", "capabilities_requested": ["file:read"] });
    let agent = client.bearer(access).post("/auth/agents/authenticate", asked).await;
    let agent = archon::data(&agent)["agent_token"].as_str().expect("a token").to_owned();
    vec![Credential::bearer("access token", access), Credential::bearer("agent token", &agent)]
}

async fn of_hh(gateway: &Gateway, mount: &str) -> Vec<Credential> {
    let session = hh::session_at(&format!("{}/{mount}", gateway.url())).await;
    let value = format!("hh_session_id={session}");
    vec![Credential { what: "session", header: "Cookie", value }]
}

async fn of_bearer(gateway: &Gateway, mount: &str) -> Vec<Credential> {
    let email = format!("{}@example.org", fresh_name());
    let account = json!({
        "realm": "bearer", "email": email, "password": GOOD_PASSWORD, "roles": ["superuser"],
    });
    operate::call(gateway, "POST", "/v1/users", account).expect(201);
    let client = Client::from(&format!("{}/{mount}", gateway.url()), fresh_address());
    let token = bearer::token(&client, &email, GOOD_PASSWORD).await;
    vec![Credential::bearer("access token", &token)]
}

async fn of_inkpass(gateway: &Gateway, mount: &str) -> Vec<Credential> {
    let client = Client::from(&format!("{}/{mount}", gateway.url()), fresh_address());
    let email = inkpass::fresh_email();
    let body = json!({"email": email, "password": inkpass::PASSWORD});
    client.post("/api/v1/auth/register", body).await.expect(201);
    let tokens = inkpass::login(&client, &email).await.expect(200);
    let (access, refresh) = (tokens.str("access_token"), tokens.str("refresh_token"));
    let owner = client.bearer(&access);
    let made = owner.post("/api/v1/api-keys", json!({"name": "k", "scopes": ["*"]})).await;
    let key = made.expect(201).str("key");
    // Not a credential of this mount either, though its own keys signed it.
    let reply = client.bearer(&refresh).get("/echo").await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    vec![Credential::bearer("access token", &access), Credential::key("API key", &key)]
}
