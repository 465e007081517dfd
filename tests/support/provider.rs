//! An identity provider that can be in every kind of trouble: metadata, keys, and whether an opaque token is good.

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::upstream::{Answer, Recorded, Step, Upstream};

/// How it answers when it is asked for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// It breaks off.
    Down,
    /// It never answers.
    Hanging,
    /// A hundred mebibytes.
    Huge,
    /// The same, without saying how long it is.
    Endless,
    /// A page for people.
    Page,
    /// Ten thousand keys.
    ManyKeys,
    /// Its keys, the first of them twice.
    Twice,
    /// Its keys, said to be a page.
    WrongType,
    /// A list in place of a set.
    WrongShape,
    /// Somewhere else.
    Redirect,
    /// 500.
    Failing,
    /// Whoever asks a second time on one connection finds it broken; for questions about tokens.
    Fickle,
}

/// Every kind of trouble.
pub const TROUBLE: [Mood; 11] = [
    Mood::Down,
    Mood::Hanging,
    Mood::Huge,
    Mood::Endless,
    Mood::Page,
    Mood::ManyKeys,
    Mood::Twice,
    Mood::WrongType,
    Mood::WrongShape,
    Mood::Redirect,
    Mood::Failing,
];

struct State {
    mood: Mood,
    /// Whether its metadata is in the same mood.
    wholly: bool,
    keys: Value,
    /// Whose keys it hands on, whatever it makes of them.
    origin: Option<SocketAddr>,
    /// What it calls itself, where that is not its address.
    issuer: Option<String>,
    jwks_uri: Option<String>,
    headers: Vec<(String, String)>,
    /// When keys were asked for.
    fetches: Vec<Instant>,
    /// When its metadata was asked for.
    lookups: Vec<Instant>,
    /// Connections on which it was asked about a token.
    asked_on: HashSet<usize>,
    /// Tokens at which it stumbles, and with which status.
    stumbles: HashMap<String, u16>,
    /// What is known of opaque tokens.
    tokens: HashMap<String, Value>,
    /// Tokens it was asked about, with what the asker sent as `Authorization`.
    questions: Vec<(String, String)>,
}

/// The provider.
pub struct Provider {
    server: Upstream,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// Publishes this set.
    pub fn new(keys: Value) -> Self {
        let state = State {
            mood: Mood::Well,
            wholly: false,
            keys,
            origin: None,
            issuer: None,
            jwks_uri: None,
            headers: Vec::new(),
            fetches: Vec::new(),
            lookups: Vec::new(),
            asked_on: HashSet::new(),
            stumbles: HashMap::new(),
            tokens: HashMap::new(),
            questions: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let server = Upstream::start();
        let (own, address) = (Arc::clone(&state), server.address);
        server.answer(move |request| answer(request, &own, address));
        Provider { server, state }
    }

    /// Stands in front of a real provider that publishes its keys at `/jwks`: hands them on, or does with them what its mood is.
    pub fn in_front_of(origin: SocketAddr) -> Self {
        let own = Self::new(fetched(origin));
        own.state.lock().expect("no panic inside").origin = Some(origin);
        own
    }

    /// Its `iss`.
    pub fn issuer(&self) -> String {
        self.server.url()
    }

    /// How its keys and its answers about tokens are from now on.
    pub fn feel(&self, mood: Mood) {
        let mut state = self.state.lock().expect("no panic inside");
        (state.mood, state.wholly) = (mood, false);
    }

    /// The same with its metadata.
    pub fn feel_wholly(&self, mood: Mood) {
        let mut state = self.state.lock().expect("no panic inside");
        (state.mood, state.wholly) = (mood, true);
    }

    pub fn publish(&self, keys: Value) {
        self.state.lock().expect("no panic inside").keys = keys;
    }

    /// Says that its keys are elsewhere.
    pub fn point(&self, jwks_uri: &str) {
        self.state.lock().expect("no panic inside").jwks_uri = Some(jwks_uri.to_owned());
    }

    /// Calls itself this.
    pub fn call_itself(&self, issuer: &str) {
        self.state.lock().expect("no panic inside").issuer = Some(issuer.to_owned());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Sends this along with its keys.
    pub fn say(&self, name: &str, value: &str) {
        let mut state = self.state.lock().expect("no panic inside");
        state.headers.push((name.to_owned(), value.to_owned()));
    }

    /// When keys were asked for.
    pub fn fetches(&self) -> Vec<Instant> {
        self.state.lock().expect("no panic inside").fetches.clone()
    }

    /// When its metadata was asked for.
    pub fn lookups(&self) -> Vec<Instant> {
        self.state.lock().expect("no panic inside").lookups.clone()
    }

    /// Answers questions about this token with this status.
    pub fn stumble(&self, token: &str, status: u16) {
        let mut state = self.state.lock().expect("no panic inside");
        state.stumbles.insert(token.to_owned(), status);
    }

    /// Knows an opaque token from now on.
    pub fn know(&self, token: &str, claims: Value) {
        self.state.lock().expect("no panic inside").tokens.insert(token.to_owned(), claims);
    }

    /// What it was asked about, and as whom.
    pub fn questions(&self) -> Vec<(String, String)> {
        self.state.lock().expect("no panic inside").questions.clone()
    }

    /// Connections that it saw, whatever for.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

fn answer(request: &Recorded, state: &Mutex<State>, address: SocketAddr) -> Answer {
    let mut state = state.lock().expect("no panic inside");
    match request.target().as_str() {
        "/.well-known/openid-configuration" => {
            state.lookups.push(Instant::now());
            if state.wholly {
                return keys(&state);
            }
            let issuer = state.issuer.clone().unwrap_or_else(|| format!("http://{address}"));
            let own = format!("{issuer}/jwks");
            let jwks_uri = state.jwks_uri.clone().unwrap_or(own);
            Answer::json(200, &json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
        }
        "/jwks" => {
            state.fetches.push(Instant::now());
            if let Some(origin) = state.origin {
                state.keys = fetched(origin);
            }
            keys(&state)
        }
        "/introspect" => {
            let form: HashMap<String, String> =
                form_urlencoded::parse(&request.body).into_owned().collect();
            let token = form.get("token").cloned().unwrap_or_default();
            let proof = request.field("authorization").unwrap_or_default();
            let is_first = state.asked_on.insert(request.connection);
            if state.mood == Mood::Fickle && !is_first {
                return Answer::steps(vec![Step::Reset]);
            }
            state.questions.push((token.clone(), proof));
            match state.stumbles.get(&token) {
                Some(status) => Answer::json(*status, "{}"),
                None => introspection(&state, &token),
            }
        }
        _ => Answer::json(404, "{}"),
    }
}

fn introspection(state: &State, token: &str) -> Answer {
    match state.mood {
        Mood::Down => Answer::steps(vec![Step::Reset]),
        Mood::Hanging => Answer::steps(vec![Step::Wait(Duration::from_secs(3600))]),
        Mood::Failing => Answer::json(500, "{}"),
        Mood::Page => Answer::new(200, &[("Content-Type", "text/html")], "<html>Sorry</html>"),
        Mood::Redirect => Answer::new(307, &[("Location", "/elsewhere")], ""),
        Mood::Huge => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
            let steps = vec![Step::Send(head.into()), Step::Fill(MANY), Step::Close];
            Answer::steps(steps)
        }
        Mood::WrongShape => Answer::json(200, r#"{"active":"true"}"#),
        _ => match state.tokens.get(token) {
            Some(claims) => {
                let mut claims = claims.clone();
                claims["active"] = true.into();
                // So that questions about one token meet while it is answered.
                let Answer(mut steps) = Answer::json(200, &claims.to_string());
                steps.insert(0, Step::Wait(Duration::from_millis(30)));
                Answer::steps(steps)
            }
            None => Answer::json(200, r#"{"active":false}"#),
        },
    }
}

/// The keys that a real provider publishes now.
fn fetched(origin: SocketAddr) -> Value {
    let mut stream = TcpStream::connect(origin).expect("the real provider listens");
    let question = format!("GET /jwks HTTP/1.0\r\nHost: {origin}\r\n\r\n");
    stream.write_all(question.as_bytes()).expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("it answers in text");
    let (_, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("a set of keys")
}

/// Bytes of an answer that nobody should read.
const MANY: u64 = 100 << 20;

fn keys(state: &State) -> Answer {
    let good = state.keys.to_string();
    let head = |length: &str| {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n");
        Step::Send(text.into_bytes())
    };
    match state.mood {
        Mood::Well | Mood::Fickle => {
            let mut headers: Vec<(&str, &str)> =
                state.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            headers.push(("Content-Type", "application/json"));
            Answer::new(200, &headers, good)
        }
        Mood::Down => Answer::steps(vec![Step::Reset]),
        Mood::Hanging => Answer::steps(vec![Step::Wait(Duration::from_secs(3600))]),
        Mood::Huge => {
            let length = format!("Content-Length: {MANY}\r\n");
            Answer::steps(vec![head(&length), Step::Fill(MANY)])
        }
        Mood::Endless => {
            Answer::steps(vec![head("Connection: close\r\n"), Step::Fill(MANY), Step::Close])
        }
        Mood::Page => Answer::new(200, &[("Content-Type", "text/html")], "<html>Sorry</html>"),
        Mood::ManyKeys => {
            let key = state.keys["keys"][0].clone();
            let many: Vec<Value> = (0..10_000)
                .map(|n| {
                    let mut key = key.clone();
                    key["kid"] = format!("k{n}").into();
                    key
                })
                .collect();
            Answer::json(200, &json!({ "keys": many }).to_string())
        }
        Mood::Twice => {
            let mut set = state.keys.clone();
            let first = set["keys"][0].clone();
            set["keys"].as_array_mut().expect("a list").push(first);
            Answer::json(200, &set.to_string())
        }
        Mood::WrongType => Answer::new(200, &[("Content-Type", "text/html")], good),
        Mood::WrongShape => Answer::json(200, &state.keys["keys"].to_string()),
        Mood::Redirect => Answer::new(302, &[("Location", "/elsewhere")], ""),
        Mood::Failing => Answer::json(500, "{}"),
    }
}
