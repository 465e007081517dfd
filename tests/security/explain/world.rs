//! What stays the same through all generated configurations: listeners, mounts and their secrets, and what callers show.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    bench::{self, SECRET, signed},
    support::{
        archon,
        client::Client,
        conf::{Conf, Table, quoted},
        gateway::{Gateway, Places},
        hh, operate, ports,
        signer::{self, Signer, jwks},
        tls::{Authority, Pair},
        tmws::fresh_address,
    },
};

/// The realm of the two tmws mounts.
const REALM: &str = "main";
const CORP: &str = "https://corp.example";
const OTHER: &str = "https://other.example";
const SHARED: &str = "a-secret-that-both-have-agreed-on-0123456789";

/// Proxies that forward what they are sent, and such as forward what they are told.
const FRONTS: [(&str, &str); 6] = [
    ("nginx", "nginx"),
    ("caddy", "caddy"),
    ("envoy", "envoy"),
    ("told-nginx", "nginx"),
    ("told-caddy", "caddy"),
    ("told-envoy", "envoy"),
];

/// Addresses, keys and files.
pub struct World {
    pub upstream: SocketAddr,
    pub inside: SocketAddr,
    pub secure: SocketAddr,
    /// Name, style and address of each listener for questions.
    pub fronts: [(&'static str, &'static str, SocketAddr); 6],
    pub authority: Authority,
    /// Certificates of clients: one that is mapped, one that is not.
    pub certificates: [Pair; 2],
    server: Pair,
    corp: Signer,
}

/// What a request may carry as proof: those that are good somewhere, and others.
pub struct Proofs {
    pub tokens: [Vec<String>; 2],
    /// Of the archon mount: logins, and agents of theirs.
    pub agents: [Vec<String>; 2],
    pub keys: [Vec<String>; 2],
    pub sessions: [Vec<String>; 2],
}

impl World {
    pub fn new(upstream: SocketAddr) -> Self {
        let authority = Authority::new();
        World {
            upstream,
            inside: ports::free_address(),
            secure: ports::free_address(),
            fronts: FRONTS.map(|(name, style)| (name, style, ports::free_address())),
            certificates: [
                authority.client("robot", "spiffe://test/robot"),
                authority.client("stranger", "spiffe://test/stranger"),
            ],
            server: authority.server(&["a.example"]),
            authority,
            corp: Signer::curve("c", "ES256"),
        }
    }

    /// Without routes and limits.
    pub fn configuration(&self, places: &Places) -> Conf {
        let file = |name: &str, text: &str| {
            let path = places.dir.join(name);
            std::fs::write(&path, text).expect("write");
            quoted(&format!("file:{}", path.display()))
        };
        file("corp.json", &jwks(&[&self.corp]).to_string());
        let (cert, key) = self.server.write(&places.dir, "server");
        let clients = self.authority.write(&places.dir, "clients.pem");
        let tls = format!(
            "{{ certificates = [{{ cert = {cert:?}, key = {key:?} }}], client_ca = {clients:?} }}"
        );
        let listener = |name: &str, at: SocketAddr| {
            Table::new("listener", name).with("address", quoted(&at.to_string()))
        };
        let at = |listener: &str, more: &str| format!("{{ listener = \"{listener}\", {more} }}");
        let issuer = |name: &str, iss: &str| {
            Table::new("issuer", name)
                .with("issuer", quoted(iss))
                .with("audiences", r#"["api"]"#)
                .with("base_roles", r#"["USER"]"#)
        };
        let mut conf = Conf::new(places)
            .section("[trust]\nproxies = [\"127.0.0.0/8\"]")
            .section("[mail]\nfrom = \"gate@example.org\"\nfolder = \"mail\"")
            .table(listener("inside", self.inside))
            .table(listener("secure", self.secure).with("tls", tls))
            .mount("realm", &quoted(REALM))
            .mount("secret", &file("signing.secret", SECRET))
            .mount("issuers", r#"["corp", "other"]"#)
            .mount("cors", r#"{ origins = ["https://app.example"] }"#)
            .mount("client_cert", r#"[{ name = "robot", match = ["CN:robot"], roles = ["ADMIN"], scopes = ["READ"] }]"#)
            .mount(
                "at",
                &format!(
                    "[{}, {}, {}]",
                    at("public", r#"prefixes = ["/"]"#),
                    at("secure", r#"prefixes = ["/"]"#),
                    at("inside", r#"prefixes = ["/in"]"#),
                ),
            )
            .table(issuer("corp", CORP).with("jwks_file", quoted("corp.json")))
            .table(issuer("other", OTHER).with("secret", file("other.secret", SHARED)))
            .table(
                Table::new("mount", "two")
                    .with("dialect", quoted("tmws"))
                    .with("realm", quoted(REALM))
                    .with("secret", file("two.secret", &format!("other-{SECRET}")))
                    .with("issuer", quoted("another-issuer"))
                    .with("at", format!("[{}]", at("public", r#"hosts = ["two.example"], prefixes = ["/"]"#))),
            )
            .table(Table::new("realm", "agents"))
            .table(
                Table::new("mount", "arch")
                    .with("dialect", quoted("archon"))
                    .with("realm", quoted("agents"))
                    .with("at", format!("[{}]", at("public", r#"hosts = ["arch.example"], prefixes = ["/"]"#))),
            )
            .table(Table::new("realm", "people"));
        let mut people = Table::new("mount", "hh")
            .with("dialect", quoted("hh"))
            .with("realm", quoted("people"))
            .with("at", format!("[{}]", at("public", r#"prefixes = ["/hh"]"#)));
        for line in hh::mount_lines(places, "hh").lines() {
            let (key, value) = line.split_once(" = ").expect("a key");
            people = people.with(key, value);
        }
        conf = conf.table(people);
        for name in ["hh-general", "archon-login", "archon-agent", "archon-user"] {
            conf = conf.table(Table::new("limit", name).with("windows", r#"["1000000/s"]"#));
        }
        self.fronts.iter().fold(
            conf.upstream("main", &[self.upstream]),
            |conf, (name, style, at)| {
                let forwards = if name == style { "as_sent" } else { "as_told" };
                conf.table(
                    Table::new("forward_auth", name)
                        .with("forwards", quoted(forwards))
                        .with("address", quoted(&at.to_string()))
                        .with("style", quoted(style))
                        .with("peers", r#"["127.0.0.1"]"#)
                        .with("listener", quoted("public")),
                )
            },
        )
    }

    /// Makes accounts, and gives what they can show.
    pub async fn proofs(&self, gateway: &Gateway) -> Proofs {
        let admin = account(gateway, "an-admin", &["SUPER_ADMIN"]);
        let user = account(gateway, "a-user", &["USER"]);
        account(gateway, "gone", &["USER"]);
        let agents = agents(gateway).await;
        let base = format!("{}/hh", gateway.url());
        let (session, over) = (hh::session_at(&base).await, hh::session_at(&base).await);
        let ends = json!({ "session_id": over });
        Client::from(&base, fresh_address()).post("/auth/logout", ends).await;

        let make = |owner: &str, scopes: &[&str], mount: &str| {
            operate::add_key(gateway, owner, scopes, json!({ "mount": mount }))
        };
        let keys = vec![
            make("an-admin", &["FULL"], "api"),
            make("an-admin", &["READ"], "api"),
            make("a-user", &["READ"], "api"),
            make("an-admin", &["FULL"], "two"),
        ];
        let (gone, revoked) = (make("gone", &["READ"], "api"), make("an-admin", &["FULL"], "api"));
        operate::disable_in(gateway, REALM, "gone");
        gateway.cli_ok(&["key", "revoke", revoked.split('.').next().unwrap(), "--mount", "api"]);
        let cut = keys[0][..keys[0].len() - 1].to_owned();
        let (good, bad) = self.tokens(&admin, &user);
        let cookie = |id: &str| format!("Cookie: hh_session_id={id}\r\n");
        Proofs {
            tokens: [good, bad],
            agents,
            keys: [keys, vec![gone, revoked, cut, "wrong".to_owned()]],
            sessions: [vec![cookie(&session)], vec![cookie(&over), cookie("none"), cookie("")]],
        }
    }

    /// Of the mount's own login and of both issuers outside.
    fn tokens(&self, admin: &str, user: &str) -> (Vec<String>, Vec<String>) {
        let own = |claims: &Value| signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string());
        let with = |mut claims: Value, key: &str, value: Value| {
            claims[key] = value;
            claims
        };
        let good = |subject: &str, roles: &[&str]| bench::claims(subject, roles);
        let shared = Signer::secret("any", SHARED);
        let corp = |aud: &str| signer::claims(CORP, aud, "ada");
        let mut yes: Vec<String> =
            [good(admin, &["SUPER_ADMIN"]), good(user, &["USER"]), good(user, &["READONLY"])]
                .iter()
                .map(own)
                .collect();
        yes.push(self.corp.sign(&corp("api")));
        yes.push(self.corp.sign(&with(corp("api"), "scope", json!("READ"))));
        yes.push(shared.sign(&signer::claims(OTHER, "api", "eve")));
        let mut no: Vec<String> = [
            good(user, &[]),
            with(good(user, &["USER"]), "exp", json!(bench::now() - 60)),
            with(good(user, &["USER"]), "iss", json!("another-issuer")),
            with(good(user, &["USER"]), "aud", json!("another")),
            with(good(user, &["USER"]), "exp", Value::Null),
        ]
        .iter()
        .map(own)
        .collect();
        no.push(self.corp.sign(&corp("another")));
        no.push(self.corp.sign(&with(corp("api"), "exp", json!(bench::now() - 90))));
        no.push(shared.sign(&corp("api")));
        no.push(Signer::curve("c", "ES256").sign(&corp("api")));
        no.push(Signer::curve("unknown", "ES256").sign(&corp("api")));
        no.push(self.corp.sign(&signer::claims("https://nobody.example", "api", "ada")));
        no.push(signed(r#"{"alg":"none"}"#, &good(admin, &["SUPER_ADMIN"]).to_string()));
        no.push(yes[0][..yes[0].len() - 2].to_owned());
        no.extend(["abc".to_owned(), "a.b.c".to_owned(), String::new()]);
        (yes, no)
    }
}

fn account(gateway: &Gateway, name: &str, roles: &[&str]) -> String {
    let body = json!({
        "realm": REALM, "username": name, "email": format!("{name}@example.org"),
        "password": "Correct-Horse-9-Battery", "roles": roles,
    });
    let made = operate::call(gateway, "POST", "/v1/users", body).expect(201).json();
    made["user"]["id"].as_str().expect("an id").to_owned()
}

/// Logins and agents of the archon mount: good ones, and those of a session that has ended.
async fn agents(gateway: &Gateway) -> [Vec<String>; 2] {
    let mut all = [Vec::new(), Vec::new()];
    for (number, role) in ["user", "admin"].into_iter().enumerate() {
        let email = format!("{role}@example.org");
        let body = json!({
            "realm": "agents", "email": email, "password": archon::PASSWORD,
            "full_name": "Ada Lovelace", "roles": [role],
        });
        operate::call(gateway, "POST", "/v1/users", body).expect(201);
        let client = Client::from(&gateway.url(), fresh_address()).with("Host", "arch.example");
        let login = archon::login(&client, &email).await;
        let token = login["access_token"].as_str().expect("a token").to_owned();
        let client = client.bearer(&token);
        let asked =
            json!({ "agentType": "code_implementer", "capabilitiesRequested": ["file:read"] });
        let agent = archon::data(&client.post("/auth/agents/authenticate", asked).await);
        let agent = agent["agent_token"].as_str().expect("a token").to_owned();
        if number == 1 {
            archon::data(&client.post("/auth/logout", Value::Null).await);
        }
        all[number].extend([token, agent]);
    }
    all
}

/// The certificate as a question about it is asked.
pub fn shown(pair: &Pair) -> String {
    STANDARD.encode(pair.leaf())
}
