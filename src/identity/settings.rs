//! What identity is told by the configuration. Every value is data of a realm or a mount; contracts give the defaults.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use super::{
    Administrator, AuthorizationServerSettings, OAuthSettings, OidcSettings, StaticKey,
    webhooks::Herald,
};
use crate::{
    model::{MountName, RealmName, SecretString, api_key::KeyFormat},
    pipeline::{AgentPolicy, quota::Window},
};

/// Everything identity needs to know; replaced as a whole on reload.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Realms by name.
    pub realms: Vec<RealmSettings>,
    /// Mounts by name.
    pub mounts: Vec<MountSettings>,
    /// Password hashing.
    pub hashing: HashSettings,
}

/// Accounts and their rules.
#[derive(Clone, Debug)]
pub struct RealmSettings {
    /// Name.
    pub name: RealmName,
    /// Rules.
    pub rules: RealmRules,
}

/// Rules of a realm.
#[derive(Clone, Debug, PartialEq)]
pub struct RealmRules {
    /// Rule for new passwords; never applied at login.
    pub password: PasswordRule,
    /// Lock after failures in a row; `None`: never.
    pub lockout: Option<Lockout>,
    /// Throttle of failed logins.
    pub throttle: LoginThrottle,
    /// Roles that exist.
    pub roles: Vec<Arc<str>>,
    /// Role of a new account.
    pub default_role: Arc<str>,
    /// Whether strangers may make accounts where the contract lets them ask.
    pub registration: bool,
    /// Whether a login needs a proven address.
    pub verified_email: bool,
    /// Whether every account belongs to an organisation: its own, made when it registers, or that of who took it in.
    pub organisations: bool,
    /// Whether whoever changes the own password or address stays logged in with the session at hand; all others end.
    pub change_spares_current: bool,
}

impl RealmRules {
    /// The strict values (security requirements 27 and 29), to be filled with `..`. No role is known.
    pub fn strict() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            password: PasswordRule::at_least(15),
            lockout: Some(Lockout { failures: 10, duration: Duration::from_secs(15 * 60) }),
            throttle: LoginThrottle {
                per_address_and_name: vec![Window { limit: 10, per: minute }],
                per_address: vec![Window { limit: 100, per: minute }],
                attempts: Vec::new(),
            },
            roles: Vec::new(),
            default_role: "".into(),
            registration: false,
            verified_email: false,
            organisations: false,
            change_spares_current: false,
        }
    }
}

/// What a new password must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRule {
    /// Fewest characters.
    pub min_length: usize,
    /// Most characters; longer ones are refused, never cut.
    pub max_length: usize,
    /// At least one upper-case letter.
    pub upper: bool,
    /// At least one lower-case letter.
    pub lower: bool,
    /// At least one digit.
    pub digit: bool,
    /// At least one of these characters; empty asks for none.
    pub symbols: Arc<str>,
    /// Whether it may hold nothing but unaccented letters, digits and those characters. Weaker than it looks: it takes
    /// choices away, so it is for contracts that fix it.
    pub only_listed: bool,
    /// Texts it must not contain, compared without case.
    pub forbidden: Vec<Arc<str>>,
}

impl PasswordRule {
    /// So long, and nothing else is asked; what is, can be filled in with `..`.
    pub fn at_least(characters: usize) -> Self {
        Self {
            min_length: characters,
            max_length: 256,
            upper: false,
            lower: false,
            digit: false,
            symbols: "".into(),
            only_listed: false,
            forbidden: Vec::new(),
        }
    }
}

/// Locking an account name (known or not) after failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The failure that locks.
    pub failures: u32,
    /// For how long.
    pub duration: Duration,
}

/// Limits on logins, on failed ones unless said otherwise. Empty lists mean no limit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LoginThrottle {
    /// Per client address and login name.
    pub per_address_and_name: Vec<Window>,
    /// Per client address.
    pub per_address: Vec<Window>,
    /// Every login, right or wrong, per client address and login name.
    pub attempts: Vec<Window>,
}

/// One mount as identity sees it.
#[derive(Clone, Debug)]
pub struct MountSettings {
    /// Name.
    pub name: MountName,
    /// Contract name.
    pub dialect: &'static str,
    /// Whose accounts.
    pub realm: RealmName,
    /// Tokens.
    pub tokens: TokenSettings,
    /// How API keys look; `None`: the contract has no keys.
    pub api_key_format: Option<KeyFormat>,
    /// The provider through which people log in, where the contract has one.
    pub oauth: Option<Arc<OAuthSettings>>,
    /// Browser logins through an OpenID provider, where the mount has them.
    pub oidc: Option<Arc<OidcSettings>>,
    /// Who may administrate the mount by name and password, where the contract has such a one.
    pub administrator: Option<Administrator>,
    /// API keys of the configuration.
    pub static_keys: Vec<StaticKey>,
    /// Scopes an API key may have; role and policy table narrow them further.
    pub scopes: Vec<Arc<str>>,
    /// Agents, in contracts that have them.
    pub agents: Option<AgentSettings>,
    /// Webhooks, in contracts that have them.
    pub webhooks: Option<WebhookSettings>,
    /// The standard issuer beside the contract, where the mount has one.
    pub authorization_server: Option<Arc<AuthorizationServerSettings>>,
    /// Scopes a role may hand to a key: `(role, scopes)`. The creator cannot grant what it has not.
    pub role_scopes: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// One-time codes that are sent to people.
    pub codes: CodeSettings,
}

impl MountSettings {
    /// A mount without keys and scopes, to be filled with `..`.
    pub fn new(
        name: impl Into<MountName>,
        dialect: &'static str,
        realm: impl Into<RealmName>,
        tokens: TokenSettings,
    ) -> Self {
        Self {
            name: name.into(),
            dialect,
            realm: realm.into(),
            tokens,
            api_key_format: None,
            static_keys: Vec::new(),
            oauth: None,
            oidc: None,
            administrator: None,
            scopes: Vec::new(),
            agents: None,
            webhooks: None,
            authorization_server: None,
            role_scopes: Vec::new(),
            codes: CodeSettings::default(),
        }
    }
}

/// One-time codes of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CodeSettings {
    /// To set a new password.
    pub reset: CodeRule,
    /// To prove an address.
    pub verify: CodeRule,
}

/// How codes of one purpose are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRule {
    /// How they look.
    pub form: CodeForm,
    /// How long one is good.
    pub lifetime: Duration,
    /// Wrong tries that a short code has.
    pub attempts: u32,
    /// How often one may be asked for, per address it is sent to. Known or not, each asking counts.
    pub per_address: Vec<Window>,
}

impl Default for CodeRule {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            form: CodeForm::Token,
            lifetime: hour,
            attempts: 5,
            per_address: vec![Window { limit: 3, per: hour }],
        }
    }
}

/// How a one-time code looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeForm {
    /// 43 characters that fit a link.
    Token,
    /// Six digits, to be typed beside the address.
    Digits,
    /// A signed token of this audience, for contracts whose programs look inside.
    Jwt {
        /// `aud`.
        audience: Arc<str>,
    },
}

/// How refresh tokens look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshForm {
    /// There are none: a session lasts as long as its access token.
    None,
    /// `<id>.<secret>`.
    Opaque,
    /// A token of the mount's own keys with `type` `refresh`.
    Jwt,
}

/// What a claim of a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Login name.
    Username,
    /// E-mail address.
    Email,
    /// Whole name.
    FullName,
    /// Role names.
    Roles,
    /// Organisation or namespace.
    Tenant,
    /// Id of the session.
    Session,
    /// The same behind a text, as the contract shows it.
    SessionAfter(&'static str),
    /// Types of agents that the account's roles may run.
    AgentTypes,
    /// What the account's roles may hand out, without repetition (`role_scopes` of the mount).
    Scopes,
    /// `access` or `refresh`.
    Kind,
}

/// One claim beside the registered ones (`iss`, `aud`, `sub`, `iat`, `exp`, `jti`), which every token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it says.
    pub says: Fact,
    /// Whether it stands there as null where the account has none; else it is left out.
    pub null: bool,
}

impl Claim {
    /// A claim that is left out where the account has nothing to say.
    pub const fn new(name: &'static str, says: Fact) -> Self {
        Self { name, says, null: false }
    }
}

/// Agents of a mount.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSettings {
    /// `aud` of their tokens.
    pub audience: Arc<str>,
    /// Life time of their tokens.
    pub lifetime: Duration,
    /// Most tokens that an account's agents have at a time.
    pub most: u32,
    /// Who may run what, and what it may have.
    pub policy: AgentPolicy,
}

/// Webhooks of a mount.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Told to receivers as the place where this runs.
    pub environment: Arc<str>,
    /// Whether receivers may be at `http` and in our own networks.
    pub allow_private: bool,
    /// Deadline of one try.
    pub timeout: Duration,
    /// How long an event is tried before it is given up.
    pub keep_trying: Duration,
    /// Most subscriptions of the mount.
    pub most: u32,
    /// How the contract words events.
    pub herald: &'static dyn Herald,
}

/// Token profile and life times of a mount.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: Arc<str>,
    /// `aud`; `None` only where a contract forbids the claim.
    pub audience: Option<Arc<str>>,
    /// Whether `aud` is a list of one.
    pub audience_list: bool,
    /// Signing algorithm.
    pub algorithm: Algorithm,
    /// Whether the header carries a `kid`.
    pub key_id_in_header: bool,
    /// Operator-given HS256 secret; `None`: a key is made on first start and kept encrypted in the store.
    pub secret: Option<SecretString>,
    /// Further claims of access tokens.
    pub access_claims: &'static [Claim],
    /// Further claims of refresh tokens, where they are signed; `type` stands there in any case.
    pub refresh_claims: &'static [Claim],
    /// Access token life time.
    pub access_lifetime: Duration,
    /// How refresh tokens look.
    pub refresh_form: RefreshForm,
    /// Refresh token life time.
    pub refresh_lifetime: Duration,
    /// The same for a login that asks to be remembered, where the contract knows that.
    pub remembered_lifetime: Option<Duration>,
    /// Single use (`true`) or reusable.
    pub refresh_rotates: bool,
    /// Grace window for a repeated refresh; zero is strict.
    pub refresh_grace: Duration,
    /// Rejected refresh tries, per token and per client address; empty: not counted.
    pub refresh_rejections: Vec<Window>,
}

impl TokenSettings {
    /// The strict values, to be filled with `..`: rotating opaque refresh tokens without grace.
    pub fn strict(issuer: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: None,
            audience_list: false,
            algorithm: Algorithm::EdDSA,
            key_id_in_header: true,
            secret: None,
            access_claims: STRICT_CLAIMS,
            refresh_claims: &[],
            access_lifetime: Duration::from_secs(3600),
            refresh_form: RefreshForm::Opaque,
            refresh_lifetime: Duration::from_secs(7 * 24 * 3600),
            remembered_lifetime: None,
            refresh_rotates: true,
            refresh_grace: Duration::ZERO,
            refresh_rejections: Vec::new(),
        }
    }

    /// `type` of access tokens, where the profile writes one; the edge then takes no other.
    pub fn access_type(&self) -> Option<&'static str> {
        let writes = self.access_claims.iter().any(|claim| claim.says == Fact::Kind);
        writes.then_some(ACCESS)
    }

    /// The claim that carries the account's organisation or namespace.
    pub fn tenant_claim(&self) -> Option<&'static str> {
        let found = self.access_claims.iter().find(|claim| claim.says == Fact::Tenant);
        found.map(|claim| claim.name)
    }

    /// How long the longest-lived signed token of the mount may be out.
    pub fn longest_signed(&self) -> Duration {
        match self.refresh_form {
            RefreshForm::Jwt => {
                let longest = self.remembered_lifetime.unwrap_or_default();
                longest.max(self.refresh_lifetime).max(self.access_lifetime)
            }
            RefreshForm::None | RefreshForm::Opaque => self.access_lifetime,
        }
    }

    /// How long a session lasts.
    pub fn session_lifetime(&self, remembered: bool) -> Duration {
        match (self.refresh_form, self.remembered_lifetime) {
            (RefreshForm::None, _) => self.access_lifetime,
            (_, Some(longer)) if remembered => longer,
            _ => self.refresh_lifetime,
        }
    }
}

const STRICT_CLAIMS: &[Claim] = &[
    Claim::new("type", Fact::Kind),
    Claim::new("roles", Fact::Roles),
    Claim::new("sid", Fact::Session),
];

/// `type` of an access token.
pub const ACCESS: &str = "access";
/// `type` of a refresh token.
pub const REFRESH: &str = "refresh";

/// Password hashing (security requirement 26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSettings {
    /// Argon2id memory in KiB, at least 19456.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub iterations: u32,
    /// Hashes at once.
    pub permits: usize,
    /// Requests that may wait for a permit; further ones are refused at once.
    pub queue: usize,
    /// Whether a hash leaves a core to whatever else wants to run; else it has a tenth of a share.
    pub only_when_idle: bool,
}

impl Default for HashSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let permits = cores.saturating_sub(1).max(1);
        let queue = permits * 4;
        Self { memory_kib: 19 * 1024, iterations: 2, permits, queue, only_when_idle: true }
    }
}
