//! What the tests of this room share: settings of a tmws-like mount, a clock moved by hand, a store in a temporary
//! folder, a limiter that forgets only when told.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::Value;

use super::*;
use crate::{
    limit::LimitError,
    model::{
        AccountId, AuthMethod, ClientFacts, ManualClock, Principal, RealmName, SystemRandom,
        secret::ExposeSecret,
    },
    pipeline::{
        Charge, Toll, Window,
        quota::{KeyPart, KeyParts, LimitKey},
    },
    store::Options,
};

/// A password that meets the rule.
pub(super) const GOOD: &str = "Str0ng!Enough-x";
/// The first moment of every test.
pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn rules() -> RealmRules {
    RealmRules {
        password: PasswordRule {
            min_length: 12,
            max_length: 128,
            upper: true,
            lower: true,
            digit: true,
            symbols: "!-".into(),
            only_listed: false,
            forbidden: vec!["password".into()],
        },
        lockout: Some(Lockout { failures: 5, duration: MINUTE * 30 }),
        throttle: LoginThrottle {
            per_address_and_name: vec![Window { limit: 10, per: MINUTE }],
            per_address: vec![Window { limit: 100, per: MINUTE }],
            ..LoginThrottle::default()
        },
        roles: ["SUPER_ADMIN", "ADMIN", "USER", "READONLY"].map(Into::into).into(),
        default_role: "USER".into(),
        ..RealmRules::strict()
    }
}

const CLAIMS: &[Claim] = &[
    Claim::new("username", Fact::Username),
    Claim::new("email", Fact::Email),
    Claim::new("roles", Fact::Roles),
    Claim { name: "agent_namespace", says: Fact::Tenant, null: true },
    Claim::new("sid", Fact::Session),
];

fn tokens() -> TokenSettings {
    TokenSettings {
        audience: Some("tmws-api".into()),
        algorithm: Algorithm::HS256,
        key_id_in_header: false,
        access_claims: CLAIMS,
        refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
        refresh_grace: Duration::from_secs(10),
        ..TokenSettings::strict("tmws-auth-service")
    }
}

pub(super) fn mount(name: &str, realm: &str) -> MountSettings {
    let all = ["FULL", "READ", "WRITE", "ADMIN"].map(Arc::<str>::from).to_vec();
    MountSettings {
        api_key_format: Some("tmws_key_".into()),
        static_keys: Vec::new(),
        scopes: all.clone(),
        role_scopes: vec![
            ("ADMIN".into(), all),
            ("USER".into(), vec!["READ".into(), "WRITE".into()]),
            ("READONLY".into(), vec!["READ".into()]),
        ],
        ..MountSettings::new(name, "tmws", realm, tokens())
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        realms: vec![RealmSettings { name: "main".into(), rules: rules() }],
        mounts: vec![mount("api", "main"), mount("other", "main")],
        // Cheap on purpose: these tests are about rules, not about cost.
        hashing: HashSettings {
            memory_kib: 64,
            iterations: 1,
            permits: 2,
            queue: 64,
            only_when_idle: true,
        },
    }
}

pub(super) fn new_key(scopes: &[&str]) -> NewKey {
    NewKey {
        name: "deploy".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..NewKey::default()
    }
}

/// An open identity with its surroundings.
pub(super) struct Kit {
    pub(super) identity: Identity,
    pub(super) clock: Arc<ManualClock>,
    pub(super) limiter: Arc<CountingLimiter>,
    folder: tempfile::TempDir,
}

impl Kit {
    pub(super) async fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let limiter = Arc::new(CountingLimiter::default());
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings();
        change(&mut settings);
        let identity = open_at(folder.path(), settings, &clock, &limiter).await.unwrap();
        Self { identity, clock, limiter, folder }
    }

    /// Stops and starts again on the same store.
    pub(super) async fn reopen(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { identity, clock, limiter, folder } = self;
        identity.inner.store.close().await;
        drop(identity);
        let mut settings = settings();
        change(&mut settings);
        let identity = open_at(folder.path(), settings, &clock, &limiter).await.unwrap();
        Self { identity, clock, limiter, folder }
    }

    /// Every byte of the store, its journal included.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        bytes
    }

    /// A sweep with a clock that nobody doubts.
    pub(super) async fn sweep(&self) -> Result<(), IdentityError> {
        self.identity.sweep(self.clock.now()).await
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) async fn user(&self, name: &str, roles: &[&str]) -> Account {
        let new = NewAccount {
            username: Some(name.into()),
            email: Some(format!("{name}@example.org")),
            password: GOOD.into(),
            policy: PasswordPolicy::Enforce,
            full_name: None,
            roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
            tenant: Some("default".into()),
        };
        self.identity.create_account(&realm(), new, &Actor::operator()).await.unwrap()
    }

    pub(super) async fn login(&self, name: &str, password: &str) -> Result<Granted, IdentityError> {
        self.login_from("192.0.2.1", name, password).await
    }

    pub(super) async fn login_from(
        &self,
        address: &str,
        name: &str,
        password: &str,
    ) -> Result<Granted, IdentityError> {
        let request = Login {
            name: name.into(),
            password: password.into(),
            device: None,
            remember: false,
            second_factor: None,
        };
        self.identity.login(&api(), request, &from(address)).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Granted, IdentityError> {
        self.identity.refresh(&api(), &token.into(), &from("192.0.2.1")).await
    }

    /// Whether the edge would refuse this access token as ended.
    pub(super) fn is_revoked(&self, granted: &Granted) -> bool {
        let who = self.principal(granted);
        self.identity.revocations().is_revoked(who.token.as_ref(), who.session.as_ref())
    }

    /// The caller that a granted access token proves.
    pub(super) fn principal(&self, granted: &Granted) -> Principal {
        let claims = self.claims(granted).expect("verifies");
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        Principal {
            subject: text("sub").into(),
            username: None,
            email: None,
            realm: realm(),
            mount: api(),
            tenant: None,
            method: AuthMethod::Jwt,
            roles: Vec::new(),
            scopes: None,
            session: Some(text("sid").into()),
            token: Some(text("jti").into()),
            key: None,
            agent: None,
            allowed_ips: Vec::new(),
            rate_limit_per_hour: None,
            expires_at: claims["exp"].as_i64().map(Timestamp::from_secs),
            issuer: None,
            bound: None,
        }
    }

    /// The claims of a granted access token, if any key of its mount verifies it.
    pub(super) fn claims(&self, granted: &Granted) -> Option<Value> {
        self.identity.verification_keys(&api()).into_iter().find_map(|key| {
            let mut rules = Validation::new(key.algorithm);
            rules.set_audience(&["tmws-api"]);
            rules.validate_exp = false;
            let token = granted.access_token.expose_secret();
            jsonwebtoken::decode::<Value>(token, &key.key, &rules).ok().map(|data| data.claims)
        })
    }

    /// The mails that wait, opened: `(template, to, code)`. Each is handed back as delivered.
    pub(super) async fn mails(&self) -> Vec<(String, String, String)> {
        let mut mails = Vec::new();
        for parcel in self.identity.parcels(outbox::MAIL, 100).await.unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let it = &parcel.content;
            mails.push((text(&it["template"]), text(&it["to"]), text(&it["with"]["code"])));
            self.identity.delivered(outbox::MAIL, &parcel, Delivery::Arrived).await.unwrap();
        }
        mails
    }

    /// Event names, oldest first.
    pub(super) async fn events(&self) -> Vec<String> {
        let mut tail = self.identity.audit(1000).await.unwrap();
        tail.reverse();
        tail.into_iter().map(|entry| entry.event_type).collect()
    }
}

pub(super) fn api() -> MountName {
    "api".into()
}

pub(super) fn realm() -> RealmName {
    "main".into()
}

pub(super) fn from(address: &str) -> Actor {
    let address: IpAddr = address.parse().unwrap();
    Actor::client(ClientFacts {
        address,
        request_id: "req_test".into(),
        user_agent: Some("test/1".into()),
    })
}

pub(super) fn acting(account: &AccountId) -> Actor {
    Actor { account: Some(account.clone()), ..from("192.0.2.1") }
}

pub(super) fn refresh_of(granted: &Granted) -> &str {
    granted.refresh_token.as_ref().unwrap().expose_secret()
}

async fn open_at(
    folder: &Path,
    settings: Settings,
    clock: &Arc<ManualClock>,
    limiter: &Arc<CountingLimiter>,
) -> Result<Identity, IdentityError> {
    let store = Store::open(&folder.join("store.db"), Options::patient()).await.unwrap();
    let parts = Parts {
        store,
        limiter: limiter.clone(),
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
        master_keys: vec!["a master key for the tests of identity".into()],
    };
    Identity::open(settings, parts).await
}

/// Counts without time; [`CountingLimiter::forget`] is the end of every window.
#[derive(Default)]
pub(super) struct CountingLimiter {
    counts: Mutex<HashMap<String, u32>>,
}

impl CountingLimiter {
    pub(super) fn forget(&self) {
        self.counts.lock().unwrap().clear();
    }

    /// Charges one request to an API key, as the edge does.
    pub(super) async fn charge_key(&self, id: &KeyId, limit: u32) {
        let key =
            LimitKey { limit: "key-hour", parts: KeyParts::from_iter([KeyPart::Key(id.as_str())]) };
        let windows = [Window { limit, per: Duration::from_secs(3600) }];
        self.check(&[Charge {
            key,
            windows: &windows,
            across: crate::pipeline::quota::Across::default(),
        }])
        .await
        .unwrap();
    }

    fn tolls(&self, charges: &[Charge<'_>]) -> Vec<(String, Toll)> {
        let counts = self.counts.lock().unwrap();
        let mut tolls = Vec::new();
        for charge in charges {
            for window in charge.windows {
                let name = format!("{:?} {window:?}", charge.key);
                let used = counts.get(&name).copied().unwrap_or(0);
                let remaining = window.limit.saturating_sub(used);
                let toll = Toll {
                    name: charge.key.limit.into(),
                    window: *window,
                    remaining,
                    reset_after: window.per,
                    retry_after: (remaining == 0).then_some(window.per),
                };
                tolls.push((name, toll));
            }
        }
        tolls
    }
}

#[async_trait]
impl RateLimiter for CountingLimiter {
    async fn check(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        let tolls = self.tolls(charges);
        if let Some((_, toll)) = tolls.iter().find(|(_, toll)| toll.remaining == 0) {
            return Err(LimitError::Limited(toll.clone()));
        }
        for (name, _) in tolls {
            *self.counts.lock().unwrap().entry(name).or_default() += 1;
        }
        self.peek(charges).await
    }

    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Option<Toll>, LimitError> {
        Ok(self.tolls(charges).into_iter().map(|(_, toll)| toll).reduce(Toll::tighter))
    }
}
