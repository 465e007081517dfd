//! What several targets need: a compiled configuration, a signing key, and the most careless reader there could be.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, DecodingKey};
use portcullis::{
    config::{self, secret::Surroundings},
    model::{ClientFacts, Timestamp},
    pipeline::{
        Snapshot,
        jwt::{TokenProfile, VerificationKey, install_crypto_provider},
    },
};

/// What signs the tokens of the targets.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// The time in all targets.
pub const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// A world without files and variables.
pub struct Nothing;

impl Surroundings for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        if path.ends_with("token") {
            return Ok("a-token-of-the-operator-0123456789abcdef".to_owned());
        }
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Open and protected places side by side and in one another.
pub const CONFIG: &str = r#"
version = 1
[trust]
proxies = ["10.0.0.0/8"]
[[realm]]
name = "main"
[[mount]]
name = "api"
dialect = "tmws"
realm = "main"
[[upstream]]
name = "app"
backends = ["http://127.0.0.1:9"]
[[route]]
name = "open"
mount = "api"
match = { path = "/open/**" }
authn = ["public"]
[[route]]
name = "vault"
mount = "api"
match = { path = "/open/vault/**" }
authn = ["jwt"]
authz = "authenticated"
[[route]]
name = "closed"
mount = "api"
match = { path = "/closed/**" }
authn = ["jwt"]
authz = "authenticated"
"#;

/// The compiled [`CONFIG`].
pub fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
        let config = config::parse(Path::new("fuzz.toml"), CONFIG, &[], &Nothing);
        let config = config.unwrap_or_else(|report| panic!("{report}"));
        let compiled = config.compile(&|_| Vec::new()).unwrap_or_else(|report| panic!("{report}"));
        compiled.snapshot
    });
    &SNAPSHOT
}

/// A client from nowhere in particular.
pub fn client() -> ClientFacts {
    ClientFacts {
        address: "192.0.2.1".parse().expect("an address"),
        request_id: "req_fuzz".to_owned(),
        user_agent: None,
    }
}

/// A profile with one HS256 key.
pub fn profile() -> &'static TokenProfile {
    static PROFILE: LazyLock<TokenProfile> = LazyLock::new(|| {
        install_crypto_provider();
        let key = DecodingKey::from_secret(SECRET);
        TokenProfile {
            issuer: "issuer".into(),
            audience: Some("audience".into()),
            token_type: None,
            standard: false,
            agent_audience: None,
            tenant_claim: None,
            keys: vec![VerificationKey { kid: "one".into(), algorithm: Algorithm::HS256, key }],
            leeway: Duration::ZERO,
            mount: "api".into(),
            realm: "main".into(),
        }
    });
    &PROFILE
}

/// Any header and payload, signed by the right key.
pub fn signed(header: &[u8], payload: &[u8]) -> String {
    let text = format!("{}.{}", B64.encode(header), B64.encode(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    format!("{text}.{}", B64.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref()))
}

/// Fields of lines `name: value`; what is no field is left out.
pub fn fields(bytes: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

/// The path as the most careless upstream reads it.
pub fn careless(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..4 {
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    let text = text.replace('\\', "/");
    let mut out: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(out.pop()),
            name => out.push(name),
        }
    }
    format!("/{}", out.join("/"))
}

/// Whether a name folds to one of ours, as variables of an environment are named.
pub fn is_ours(name: &HeaderName) -> bool {
    let folded = name.as_str().replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    ["x-auth-", "x-forwarded-", "x-portcullis-"].iter().any(|own| folded.starts_with(own))
        || ["forwarded", "x-forwarded", "x-real-ip", "x-request-id", "proxy-authorization"]
            .contains(&&*folded)
}

/// Shared by targets that need an owned principal list.
pub fn arcs(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}
