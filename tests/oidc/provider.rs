//! An OpenID provider of our own making: everybody is logged in there, and every answer can be a wrong one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::browser::parameter;
use crate::support::{
    signer::{Signer, jwks, now},
    upstream::{Answer, Recorded, Step, Upstream},
};

pub const CLIENT: &str = "portcullis";
pub const SECRET: &str = "corp-secret-of-the-tests-0123456789abcdef";

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Sign = Arc<dyn Fn(&Signer, &Value) -> String + Send + Sync>;

/// How an end point answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    Down,
    Hanging,
    Failing,
    Page,
    Redirect,
    /// 400 `invalid_grant`.
    Refusing,
    /// JSON without what is needed.
    Empty,
    /// A hundred mebibytes.
    Huge,
}

struct Vouched {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    claims: Value,
}

struct State {
    signer: Signer,
    codes: HashMap<String, Vouched>,
    metadata: Change,
    claims: Change,
    sign: Sign,
    discovery: Mood,
    keys: Mood,
    token: Mood,
    trades: usize,
}

pub struct Provider {
    server: Upstream,
    state: Arc<Mutex<State>>,
}

impl Provider {
    pub fn start() -> Self {
        let state = State {
            signer: Signer::rsa("k1", "RS256"),
            codes: HashMap::new(),
            metadata: Arc::new(|_| ()),
            claims: Arc::new(|_| ()),
            sign: Arc::new(|signer, claims| {
                signer.sign_as(&json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" }), claims)
            }),
            discovery: Mood::Well,
            keys: Mood::Well,
            token: Mood::Well,
            trades: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let server = Upstream::start();
        let (own, issuer) = (state.clone(), server.url());
        server.answer(move |request| answer(request, &mut own.lock().unwrap(), &issuer));
        Provider { server, state }
    }

    pub fn issuer(&self) -> String {
        self.server.url()
    }

    /// Changes what it says of itself.
    pub fn describing(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state.lock().unwrap().metadata = Arc::new(change);
    }

    /// Changes the claims of every ID token from now on.
    pub fn claiming(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.state.lock().unwrap().claims = Arc::new(change);
    }

    /// Signs otherwise.
    pub fn signing(&self, sign: impl Fn(&Signer, &Value) -> String + Send + Sync + 'static) {
        self.state.lock().unwrap().sign = Arc::new(sign);
    }

    /// Does everything well again.
    pub fn behaves(&self) {
        let mut state = self.state.lock().unwrap();
        state.metadata = Arc::new(|_| ());
        state.claims = Arc::new(|_| ());
        state.sign = Arc::new(|signer, claims| {
            signer.sign_as(&json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" }), claims)
        });
    }

    pub fn discovery(&self, mood: Mood) {
        self.state.lock().unwrap().discovery = mood;
    }

    pub fn keys(&self, mood: Mood) {
        self.state.lock().unwrap().keys = mood;
    }

    pub fn token(&self, mood: Mood) {
        self.state.lock().unwrap().token = mood;
    }

    /// How many codes were traded, or tried to be.
    pub fn trades(&self) -> usize {
        self.state.lock().unwrap().trades
    }

    /// Logs somebody in who was sent here with this address, and gives the code.
    pub fn vouch(&self, sent: &str, claims: Value) -> String {
        assert!(sent.starts_with(&format!("{}/authorize?", self.issuer())), "{sent}");
        for (name, expected) in
            [("response_type", "code"), ("client_id", CLIENT), ("code_challenge_method", "S256")]
        {
            assert_eq!(parameter(sent, name), expected);
        }
        assert!(parameter(sent, "scope").split(' ').any(|scope| scope == "openid"), "{sent}");
        let vouched = Vouched {
            nonce: parameter(sent, "nonce"),
            challenge: parameter(sent, "code_challenge"),
            redirect_uri: parameter(sent, "redirect_uri"),
            claims,
        };
        let mut state = self.state.lock().unwrap();
        let code = format!("code-{}", state.codes.len());
        state.codes.insert(code.clone(), vouched);
        code
    }

    /// A logout token with these claims beside the usual ones; `null` takes one away.
    pub fn logout_token(&self, more: &Value) -> String {
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "iat": now(), "exp": now() + 120,
            "jti": format!("logout-{}", more),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        merge(&mut claims, more);
        self.sign(&json!({ "alg": "RS256", "kid": "k1", "typ": "logout+jwt" }), &claims)
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.state.lock().unwrap().signer.sign_as(header, claims)
    }
}

pub fn merge(claims: &mut Value, more: &Value) {
    let all = claims.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(all.remove(name)),
            value => drop(all.insert(name.clone(), value.clone())),
        }
    }
}

fn answer(request: &Recorded, state: &mut State, issuer: &str) -> Answer {
    match request.target().as_str() {
        "/.well-known/openid-configuration" => moody(state.discovery, || {
            let mut metadata = json!({
                "issuer": issuer,
                "jwks_uri": format!("{issuer}/jwks"),
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "end_session_endpoint": format!("{issuer}/logout"),
            });
            (state.metadata)(&mut metadata);
            Answer::json(200, &metadata.to_string())
        }),
        "/jwks" => moody(state.keys, || Answer::json(200, &jwks(&[&state.signer]).to_string())),
        "/token" => {
            state.trades += 1;
            let mood = state.token;
            let given = trade(request, state, issuer);
            moody(mood, || match given {
                Some(reply) => Answer::json(200, &reply.to_string()),
                None => Answer::json(400, r#"{"error":"invalid_grant"}"#),
            })
        }
        _ => Answer::json(404, "{}"),
    }
}

/// As RFC 6749 and RFC 7636 have it: a code is good once, for who got it, with the verifier.
fn trade(request: &Recorded, state: &mut State, issuer: &str) -> Option<Value> {
    let form: HashMap<String, String> =
        form_urlencoded::parse(&request.body).into_owned().collect();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    let proven = request.field("authorization") == Some(basic)
        || form.get("client_secret").is_some_and(|secret| secret == SECRET);
    let vouched = state.codes.remove(form.get("code")?)?;
    let verifier = form.get("code_verifier")?;
    let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
    let same = URL_SAFE_NO_PAD.encode(challenge) == vouched.challenge
        && form.get("redirect_uri") == Some(&vouched.redirect_uri)
        && form.get("grant_type").is_some_and(|kind| kind == "authorization_code");
    if !proven || !same {
        return None;
    }
    let access = "access-token-of-the-provider";
    let half = digest::digest(&digest::SHA256, access.as_bytes());
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT, "iat": now(), "exp": now() + 300, "nonce": vouched.nonce,
        "at_hash": URL_SAFE_NO_PAD.encode(&half.as_ref()[..16]),
    });
    merge(&mut claims, &vouched.claims);
    (state.claims)(&mut claims);
    let id_token = (state.sign)(&state.signer, &claims);
    Some(json!({
        "access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
    }))
}

fn moody(mood: Mood, well: impl FnOnce() -> Answer) -> Answer {
    const MANY: u64 = 100 << 20;
    match mood {
        Mood::Well => well(),
        Mood::Down => Answer::steps(vec![Step::Reset]),
        Mood::Hanging => Answer::steps(vec![Step::Wait(Duration::from_secs(3600))]),
        Mood::Failing => Answer::json(500, r#"{"error":"<b>server_error</b>"}"#),
        Mood::Page => Answer::new(200, &[("Content-Type", "text/html")], "<html>Sorry</html>"),
        Mood::Redirect => Answer::new(302, &[("Location", "/elsewhere")], ""),
        Mood::Refusing => Answer::json(400, r#"{"error":"invalid_grant"}"#),
        Mood::Empty => Answer::json(200, r#"{"access_token":"a","token_type":"Bearer"}"#),
        Mood::Huge => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {MANY}\r\n\r\n"
            );
            Answer::steps(vec![Step::Send(head.into_bytes()), Step::Fill(MANY)])
        }
    }
}
