//! A gateway whose signing secret the tests know, so that they can make tokens with any binding.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::support::{
    conf::{self, Conf, quoted},
    dpop::now,
    gateway::{Gateway, Places},
    operate,
    tmws::fresh_name,
    upstream::Upstream,
    wire::{self, Reply},
};

pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-hs256";

/// Routes that ask for each proof, and for none.
pub fn configuration(places: &Places, upstream: SocketAddr) -> Conf {
    let secret = places.dir.join("signing.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let secret = quoted(&format!("file:{}", secret.display()));
    let route = |name: &str, proof: &str| {
        conf::closed(name, &format!("/{name}/**"), "main")
            .with("authn", r#"["jwt"]"#)
            .with("proof", quoted(proof))
    };
    Conf::new(places)
        .mount("secret", &secret)
        .upstream("main", &[upstream])
        .route(route("plain", "none"))
        .route(route("dpop", "dpop"))
        .route(route("certificate", "certificate"))
        .route(route("any", "any"))
        .route(route("nonce", "dpop").with("proof_nonce", "true"))
}

pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
    pub subject: String,
}

impl Bench {
    pub fn start() -> Self {
        Self::with(|places, upstream| configuration(places, upstream).text())
    }

    pub fn with(text: impl Fn(&Places, SocketAddr) -> String) -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|places| text(places, upstream.address));
        let name = fresh_name();
        let subject = operate::add_user(&gateway, &name, &["USER"])["id"].as_str().unwrap().into();
        Self { gateway, upstream, subject }
    }

    /// A token of the mount with this `cnf`; `Null`: none.
    pub fn token(&self, cnf: Value) -> String {
        self.token_of(&self.subject, cnf)
    }

    /// The same for anybody.
    pub fn token_of(&self, subject: &str, cnf: Value) -> String {
        let mut claims = json!({
            "iss": "tmws-auth-service", "aud": "tmws-api", "sub": subject, "username": "x",
            "roles": ["USER"], "iat": now() - 10, "exp": now() + 600,
            "jti": format!("{:0>20}", fresh_name()),
        });
        if !cnf.is_null() {
            claims["cnf"] = cnf;
        }
        let header = B64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let text = format!("{header}.{}", B64.encode(claims.to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        format!("{text}.{}", B64.encode(hmac::sign(&key, text.as_bytes()).as_ref()))
    }

    /// Asks for a path with these fields.
    pub async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        wire::exchange(self.gateway.address(), request(path, fields)).await
    }

    /// The reason of the last refusal of this path.
    pub async fn reason(&self, path: &str) -> String {
        crate::support::wait::until("the access line", || async {
            let log = self.gateway.log();
            let line = log.iter().rev().find(|line| line["path"] == path)?;
            Some(line["reason"].as_str()?.to_owned())
        })
        .await
    }
}

pub fn request(path: &str, fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n")
}
