//! What the demo plays of each contract: one entry of data per mount of `conf/demo.toml`. The published client programs
//! hard-code some of these passwords and keys.

use serde::Serialize;

/// What is made and told for one mount.
pub(super) struct Played {
    /// Its name in `conf/demo.toml`.
    pub(super) mount: &'static str,
    /// Its accounts; the first one owns its keys.
    pub(super) accounts: &'static [Account],
    /// Keys made at every start; the first one is told to programs.
    pub(super) keys: &'static [Key],
    /// A key that stands in the configuration, as the file that `conf/demo.toml` names for it and its text.
    pub(super) static_key: Option<(&'static str, &'static str)>,
}

/// An account as the demo tells it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Account {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'static str>,
    pub(super) password: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) roles: &'static [&'static str],
    /// How it is sent where that is no login; such an account stands in the configuration, not in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<&'static str>,
}

/// A key that an account gets.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) scopes: &'static [&'static str],
    pub(super) rate_limit_per_hour: Option<u32>,
}

/// Requests per hour of the second key of tmws: few enough to run out in one command line.
pub(super) const SMALL_LIMIT: u32 = 3;
/// Meets the rule of every contract; published like the others.
const ORDINARY: &str = "Tollhouse-42-Gate!";

/// Every mount of the demo.
pub(super) static PLAYED: &[Played] = &[TMWS, BEARER, INKPASS, ARCHON, HH];

const TMWS: Played = Played {
    mount: "tmws",
    // `admin` with `password` is what the published Go and Rust programs log in with.
    accounts: &[
        named("admin", "admin@example.com", "password", &["SUPER_ADMIN"]),
        named("olivia", "olivia@example.com", ORDINARY, &["ADMIN"]),
        named("alice", "alice@example.com", ORDINARY, &["USER"]),
        named("rita", "rita@example.com", ORDINARY, &["READONLY"]),
        named("robot", "robot@example.com", ORDINARY, &["SERVICE"]),
    ],
    keys: &[
        Key { name: "demo", scopes: &["READ", "WRITE"], rate_limit_per_hour: None },
        Key {
            name: "demo, few per hour",
            scopes: &["READ"],
            rate_limit_per_hour: Some(SMALL_LIMIT),
        },
    ],
    static_key: None,
};

/// Everybody may register; these are there already. The service key is the one of the manual's examples.
const INKPASS: Played = Played {
    mount: "inkpass",
    accounts: &[
        addressed("owner@example.com", ORDINARY, &["owner"]),
        addressed("other@example.com", ORDINARY, &["owner"]),
    ],
    keys: &[],
    static_key: Some(("inkpass-service.key", "your-service-api-key")),
};

/// The people are those whom the guide's examples log in as; both may run `code_implementer`.
const ARCHON: Played = Played {
    mount: "archon",
    accounts: &[
        addressed("user@example.com", "password123", &["user"]),
        addressed("developer@company.com", "password123", &["user"]),
        addressed("operator@example.com", ORDINARY, &["agent_operator"]),
        addressed("admin@example.com", ORDINARY, &["admin"]),
    ],
    keys: &[],
    static_key: Some(("archon.key", "archon-demo-key-7f3d1c9b5a")),
};

/// The account that the guide's program logs in with.
const BEARER: Played = Played {
    mount: "bearer",
    accounts: &[
        addressed("admin@example.com", "Admin123", &["superuser"]),
        addressed("alice@example.com", ORDINARY, &["user"]),
    ],
    keys: &[],
    static_key: None,
};

/// People come through the provider; this is who looks after them.
const HH: Played = Played {
    mount: "hh",
    accounts: &[Account {
        username: Some("admin"),
        email: None,
        password: ORDINARY,
        roles: &[],
        scheme: Some("basic"),
    }],
    keys: &[],
    static_key: None,
};

/// An account with a login name.
const fn named(
    username: &'static str,
    email: &'static str,
    password: &'static str,
    roles: &'static [&'static str],
) -> Account {
    Account { username: Some(username), email: Some(email), password, roles, scheme: None }
}

/// An account with an address only.
const fn addressed(
    email: &'static str,
    password: &'static str,
    roles: &'static [&'static str],
) -> Account {
    Account { username: None, email: Some(email), password, roles, scheme: None }
}

impl Account {
    /// What one logs in with.
    pub(super) fn login(&self) -> &'static str {
        self.username.or(self.email).unwrap_or_default()
    }
}
