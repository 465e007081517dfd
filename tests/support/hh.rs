//! A caller that speaks the hh contract, a provider that behaves like hh.ru, and a gateway between both.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    client::Client,
    conf::quoted,
    gateway::{Gateway, Places},
    tmws::{assert_common_headers, fresh_address},
    upstream::{Answer, Recorded, Step, Upstream},
    wire::Reply,
};

pub const ADMIN: &str = "admin";
pub const ADMIN_PASSWORD: &str = "the administrators own words";
pub const CLIENT_SECRET: &str = "client-secret-canary-of-the-tests";
/// hh.ru's fourteen days.
const LONG: u64 = 1_209_600;

/// What the provider does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Refuses every refresh.
    Refusing,
    /// Breaks every connection.
    Down,
    /// Answers every call with 500.
    Failing,
}

struct Issued {
    refresh: String,
    until: Instant,
}

/// What the stub knows.
pub struct Known {
    mood: Mutex<Mood>,
    /// Life of the tokens of the next login, by person.
    lives: Mutex<HashMap<String, u64>>,
    issued: Mutex<HashMap<String, Issued>>,
    /// First name and address of a person who has another than all the others.
    renamed: Mutex<HashMap<String, (String, String)>>,
    number: AtomicUsize,
}

/// A provider that keeps hh.ru's rules: a refresh only after the end, each refresh token once, nobody without a name.
pub struct Provider {
    pub upstream: Upstream,
    pub known: Arc<Known>,
}

impl Provider {
    pub fn start() -> Self {
        let known = Arc::new(Known {
            mood: Mutex::new(Mood::Well),
            lives: Mutex::default(),
            issued: Mutex::default(),
            renamed: Mutex::default(),
            number: AtomicUsize::new(0),
        });
        let own = Arc::clone(&known);
        Provider { upstream: Upstream::with(move |request| own.answer(request)), known }
    }

    pub fn mood(&self, mood: Mood) {
        *self.known.mood.lock().unwrap() = mood;
    }

    /// The next tokens of this person end after so many seconds.
    pub fn next_life(&self, person: &str, seconds: u64) {
        self.known.lives.lock().unwrap().insert(person.to_owned(), seconds);
    }

    /// From now on this person is called so, and has this address.
    pub fn rename(&self, person: &str, first_name: &str, email: &str) {
        let named = (first_name.to_owned(), email.to_owned());
        self.known.renamed.lock().unwrap().insert(person.to_owned(), named);
    }

    /// Refreshes asked for with a token of this person.
    pub fn refreshes(&self, person: &str) -> Vec<String> {
        let of = format!("refresh_token=refresh-{person}-");
        let seen = self.upstream.seen().into_iter();
        let bodies = seen.map(|request| String::from_utf8_lossy(&request.body).into_owned());
        bodies.filter(|body| body.contains(&of)).collect()
    }
}

impl Known {
    fn answer(&self, request: &Recorded) -> Answer {
        match *self.mood.lock().unwrap() {
            Mood::Down => return Answer::steps(vec![Step::Close]),
            Mood::Failing => return Answer::json(500, r#"{"error":"server_error"}"#),
            _ => {}
        }
        if request.field("user-agent").is_none_or(|agent| agent.is_empty()) {
            return Answer::json(400, r#"{"errors":[{"type":"bad_user_agent"}]}"#);
        }
        match request.target().as_str() {
            "/token" => self.token(&String::from_utf8_lossy(&request.body)),
            "/me" => self.me(&request.field("authorization").unwrap_or_default()),
            "/resumes/mine" => self.resumes(&request.field("authorization").unwrap_or_default()),
            _ => Answer::json(404, "{}"),
        }
    }

    fn token(&self, body: &str) -> Answer {
        let fields: HashMap<&str, &str> =
            body.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let refused = |why: &str| {
            Answer::json(
                400,
                &json!({"error": "invalid_grant", "error_description": why}).to_string(),
            )
        };
        match fields.get("grant_type").copied() {
            Some("authorization_code") => {
                if fields.get("client_secret") != Some(&CLIENT_SECRET) {
                    return Answer::json(400, r#"{"error":"invalid_client"}"#);
                }
                match fields.get("code").and_then(|code| code.strip_prefix("code-")) {
                    Some(person) => self.issue(person),
                    None => refused("code not found"),
                }
            }
            Some("refresh_token") => {
                if *self.mood.lock().unwrap() == Mood::Refusing {
                    return refused("bad token");
                }
                let presented = fields.get("refresh_token").copied().unwrap_or_default();
                let person = presented.split('-').nth(1).unwrap_or_default();
                let issued = self.issued.lock().unwrap();
                match issued.get(person) {
                    Some(own) if own.refresh != presented => {
                        return refused("token has already been refreshed");
                    }
                    Some(own) if Instant::now() < own.until => return refused("token not expired"),
                    Some(_) => {}
                    None => return refused("token not found"),
                }
                drop(issued);
                self.issue(person)
            }
            _ => Answer::json(400, r#"{"error":"unsupported_grant_type"}"#),
        }
    }

    fn issue(&self, person: &str) -> Answer {
        let life = self.lives.lock().unwrap().remove(person).unwrap_or(LONG);
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let refresh = format!("refresh-{person}-{number}");
        let until = Instant::now() + Duration::from_secs(life);
        self.issued
            .lock()
            .unwrap()
            .insert(person.to_owned(), Issued { refresh: refresh.clone(), until });
        let body = json!({
            "access_token": format!("access-{person}-{number}"), "token_type": "bearer",
            "refresh_token": refresh, "expires_in": life,
        });
        Answer::json(200, &body.to_string())
    }

    /// What only the newest token of a person opens, and only before its end.
    fn resumes(&self, authorization: &str) -> Answer {
        let token = authorization.strip_prefix("Bearer access-").unwrap_or_default();
        let person = token.split('-').next().unwrap_or_default();
        let issued = self.issued.lock().unwrap();
        let good = issued.get(person).is_some_and(|own| {
            own.refresh == format!("refresh-{token}") && Instant::now() < own.until
        });
        if good {
            return Answer::json(200, &json!({"by": person, "items": []}).to_string());
        }
        Answer::json(403, r#"{"errors":[{"type":"oauth","value":"token_expired"}]}"#)
    }

    fn me(&self, authorization: &str) -> Answer {
        let Some(token) = authorization.strip_prefix("Bearer access-") else {
            return Answer::json(
                403,
                r#"{"errors":[{"type":"oauth","value":"bad_authorization"}]}"#,
            );
        };
        let person = token.split('-').next().unwrap_or_default();
        let renamed = self.renamed.lock().unwrap().get(person).cloned();
        let (first_name, email) =
            renamed.unwrap_or_else(|| ("Иван".into(), format!("{person}@example.org")));
        let body = json!({
            "id": person, "email": email,
            "first_name": first_name, "last_name": "Петров", "middle_name": null,
        });
        Answer::json(200, &body.to_string())
    }
}

/// A gateway with one hh mount, and what stands around it.
pub struct House {
    pub gateway: Gateway,
    pub provider: Provider,
    pub backend: Upstream,
}

/// Lines of the `[[mount]]` table beside the usual ones, and whether the contract's own limit holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    pub provider: &'static str,
    pub login: &'static str,
    pub session: &'static str,
    /// Further tables.
    pub more: &'static str,
    pub limited: bool,
}

impl House {
    pub fn start(wish: Wish) -> Self {
        let (provider, backend) = (Provider::start(), Upstream::start());
        let (outside, behind) =
            (provider.upstream.address.to_string(), backend.address.to_string());
        let gateway = Gateway::start(|places| text(places, &outside, &behind, wish));
        House { gateway, provider, backend }
    }

    /// The house most tests share: every person is its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<House> = OnceLock::new();
        SHARED.get_or_init(|| House::start(Wish::default()))
    }

    /// A caller from an address of its own.
    pub fn caller(&self) -> Client {
        Client::from(&self.gateway.url(), fresh_address())
    }

    /// The administrator.
    pub fn admin(&self) -> Client {
        self.caller().with("Authorization", &basic(ADMIN, ADMIN_PASSWORD))
    }

    /// A person nobody else is, on the allow list.
    pub async fn person(&self) -> String {
        let person = stranger();
        let body = json!({"hh_user_id": person, "comment": "of a test"});
        self.admin().post("/admin/users/allow", body).await.expect(200);
        person
    }

    /// The whole way of a browser; gives what the callback answered.
    pub async fn browse(&self, person: &str) -> Reply {
        let client = self.caller();
        let started = client.get("/auth/login").await.expect(302);
        let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
        client.with("Cookie", &cookie_of(&started)).get(&target).await
    }

    /// An exchange code for a person on the list.
    pub async fn code(&self, person: &str) -> String {
        code_in(&self.browse(person).await.expect(200))
    }

    /// A session of a person on the list.
    pub async fn session_of(&self, person: &str) -> String {
        let code = self.code(person).await;
        let reply = self.caller().post("/auth/exchange", json!({"exchange_code": code})).await;
        reply.expect(200).str("session_id")
    }

    /// A person and its session.
    pub async fn session(&self) -> (String, String) {
        let person = self.person().await;
        let session = self.session_of(&person).await;
        (person, session)
    }

    pub async fn token(&self, session: &str) -> Reply {
        self.caller().post("/auth/token", json!({"session_id": session})).await
    }

    pub async fn me(&self, session: &str) -> Reply {
        self.caller().get(&format!("/users/me?session_id={session}")).await
    }

    /// Events of the mount, newest first.
    pub async fn events(&self, more: &str) -> Vec<Value> {
        let reply = self.admin().get(&format!("/admin/audit-log?limit=1000{more}")).await;
        reply.expect(200).json()["events"].as_array().unwrap().clone()
    }
}

/// An id nobody else has.
pub fn stranger() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}{:05}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// A parameter of the address a login sends the browser to.
#[track_caller]
pub fn parameter(started: &Reply, name: &str) -> Option<String> {
    let location = started.header("location").expect("a redirect");
    let query = location.split_once('?').expect("a query").1;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned());
    let found: Vec<String> = found.collect();
    assert!(found.len() <= 1, "{name} stands twice in {location}");
    found.into_iter().next()
}

#[track_caller]
pub fn state_of(started: &Reply) -> String {
    parameter(started, "state").expect("a state")
}

/// The cookie of a login as the browser sends it back.
#[track_caller]
pub fn cookie_of(started: &Reply) -> String {
    let set = started.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

/// The code on the callback page, found as the guide's script finds it: the value of the input with that id.
#[track_caller]
pub fn code_in(page: &Reply) -> String {
    let html = page.text();
    let at = html.find("id=\"exchange-code\"").unwrap_or_else(|| panic!("no code in {html}"));
    let rest = &html[at..];
    let value = rest.split("value=\"").nth(1).expect("a value").split('"').next().unwrap();
    value.to_owned()
}

/// Every refusal of the contract: an object with a text.
#[track_caller]
pub fn assert_refused(reply: &Reply, status: u16, detail: &str) {
    assert_eq!(reply.status, status, "body: {}", reply.text());
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "Content-Type {kind:?}: {}", reply.text());
    assert_eq!(reply.json()["detail"], detail);
    assert_eq!(reply.all("x-content-type-options"), ["nosniff"]);
}

fn text(places: &Places, provider: &str, backend: &str, wish: Wish) -> String {
    let hash = admin_hash();
    let file = |name: &str, text: &str| {
        let path = places.dir.join(name);
        std::fs::write(&path, text).expect("write a secret");
        quoted(&format!("file:{}", path.display()))
    };
    let token = file("operator.token", super::conf::OPERATOR_TOKEN);
    let secret = file("client.secret", CLIENT_SECRET);
    let limit = match wish.limited {
        true => String::new(),
        false => "[[limit]]\nname = \"hh-general\"\nwindows = [\"1000000/s\"]\n".to_owned(),
    };
    let session = if wish.session.is_empty() { "cookie = \"hh_session_id\"" } else { wish.session };
    format!(
        "version = 1\n[data]\ndir = {data}\n[server]\ngrace_period = \"3s\"\n\
         [internal]\naddress = {operator}\ntoken = {token}\n[hashing]\nqueue = 1000\n\
         [[listener]]\nname = \"public\"\naddress = {public}\n[[realm]]\nname = \"people\"\n{limit}\
         [[mount]]\nname = \"hh\"\ndialect = \"hh\"\nsession = {{ {session} }}\n\
         [mount.provider]\nauthorize_url = \"http://{provider}/authorize\"\n\
         token_url = \"http://{provider}/token\"\nprofile_url = \"http://{provider}/me\"\n\
         client_id = \"client-of-the-tests\"\nclient_secret = {secret}\n\
         redirect_uri = \"http://{public_raw}/auth/callback\"\n{more_provider}\n\
         [mount.login]\n{login}\n\
         [mount.administrator]\nusername = \"{ADMIN}\"\npassword_hash = \"{hash}\"\n\
         [[upstream]]\nname = \"app\"\nbackends = [\"http://{backend}\"]\n\
         [[route]]\nname = \"app\"\nmount = \"hh\"\nmatch = {{ path = \"/api/**\" }}\n\
         authn = [\"session\"]\nupstream = \"app\"\n{more}\n",
        data = quoted(places.data.to_str().unwrap()),
        operator = quoted(&places.operator.to_string()),
        public = quoted(&places.public.to_string()),
        public_raw = places.public,
        more_provider = wish.provider,
        login = wish.login,
        more = wish.more,
    )
}

/// What a mount of this contract needs in a configuration of several, with a provider that all of them share. The gateway
/// serves it below a prefix of its name.
pub fn mount_lines(places: &Places, mount: &str) -> String {
    let secret = places.dir.join("client.secret");
    std::fs::write(&secret, CLIENT_SECRET).expect("write a secret");
    let provider = common_provider().upstream.address;
    format!(
        "session = {{ cookie = \"hh_session_id\" }}\n\
         administrator = {{ username = \"{ADMIN}\", password_hash = \"{}\" }}\n\
         provider = {{ authorize_url = \"http://{provider}/authorize\", \
         token_url = \"http://{provider}/token\", profile_url = \"http://{provider}/me\", \
         client_id = \"{mount}\", client_secret = \"file:{}\", \
         redirect_uri = \"http://{}/{mount}/auth/callback\" }}",
        admin_hash(),
        secret.display(),
        places.public,
    )
}

/// A session at a mount of [`mount_lines`], of a person nobody else is.
pub async fn session_at(base: &str) -> String {
    let client = Client::from(base, fresh_address());
    let admin = client.with("Authorization", &basic(ADMIN, ADMIN_PASSWORD));
    let person = stranger();
    admin.post("/admin/users/allow", json!({"hh_user_id": person})).await.expect(200);
    let started = client.get("/auth/login").await.expect(302);
    let target = format!("/auth/callback?code=code-{person}&state={}", state_of(&started));
    let page = client.with("Cookie", &cookie_of(&started)).get(&target).await.expect(200);
    let body = json!({"exchange_code": code_in(&page)});
    client.post("/auth/exchange", body).await.expect(200).str("session_id")
}

/// The shape of every refusal, whatever it says.
#[track_caller]
pub fn assert_error_shape(reply: &Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/json"), "Content-Type {kind:?}: {}", reply.text());
    let body = reply.json();
    assert!(body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    assert_common_headers(reply);
}

fn common_provider() -> &'static Provider {
    static PROVIDER: OnceLock<Provider> = OnceLock::new();
    PROVIDER.get_or_init(Provider::start)
}

fn admin_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| bcrypt::hash(ADMIN_PASSWORD, 10).expect("a hash"))
}
