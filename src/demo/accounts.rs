//! Accounts and keys of the demo. The published client programs hard-code some of these passwords.

use serde::Serialize;

use crate::{
    config::Config,
    identity::{Actor, Identity, IdentityError, NewAccount, NewKey, PasswordPolicy},
    model::{AccountId, MountName, RealmName, secret::ExposeSecret},
    run::RunError,
};

/// The mount the accounts belong to.
pub(super) const MOUNT: &str = "tmws";
/// Requests per hour of the second key: few enough to run out in one command line.
pub(super) const SMALL_LIMIT: u32 = 3;
/// Meets the contract's rule; published like the others.
const ORDINARY: &str = "Tollhouse-42-Gate!";

/// An account as the demo tells it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Account {
    pub(super) username: &'static str,
    pub(super) email: &'static str,
    pub(super) password: &'static str,
    pub(super) roles: &'static [&'static str],
}

/// `admin` with `password` is what the published Go and Rust programs log in with.
pub(super) const ACCOUNTS: [Account; 5] = [
    account("admin", "admin@example.com", "password", &["SUPER_ADMIN"]),
    account("olivia", "olivia@example.com", ORDINARY, &["ADMIN"]),
    account("alice", "alice@example.com", ORDINARY, &["USER"]),
    account("rita", "rita@example.com", ORDINARY, &["READONLY"]),
    account("robot", "robot@example.com", ORDINARY, &["SERVICE"]),
];

const fn account(
    username: &'static str,
    email: &'static str,
    password: &'static str,
    roles: &'static [&'static str],
) -> Account {
    Account { username, email, password, roles }
}

/// What was made.
#[derive(Clone)]
pub(super) struct Seeded {
    /// A key of `admin` with READ and WRITE.
    pub(super) key: String,
    /// A key of `admin` with READ and a small limit of its own.
    pub(super) small_key: String,
}

/// Makes missing accounts, and two new keys at every start.
pub(super) async fn seed(identity: &Identity, config: &Config) -> Result<Seeded, RunError> {
    let mount = MountName::from(MOUNT);
    let found = config.blueprint.mounts.iter().find(|found| found.is.name == mount);
    let realm = found
        .map(|found| found.is.realm.clone())
        .ok_or_else(|| RunError::Demo(format!("there is no mount \"{MOUNT}\"")))?;
    let mut owner = None;
    for account in &ACCOUNTS {
        let id = ensure(identity, &realm, account).await?;
        owner.get_or_insert(id);
    }
    let owner = owner.ok_or_else(|| RunError::Demo("no account".into()))?;
    let key = issue(identity, &mount, &owner, "demo", &["READ", "WRITE"], None).await?;
    let small_key =
        issue(identity, &mount, &owner, "demo, few per hour", &["READ"], Some(SMALL_LIMIT)).await?;
    Ok(Seeded { key, small_key })
}

async fn ensure(
    identity: &Identity,
    realm: &RealmName,
    account: &Account,
) -> Result<AccountId, RunError> {
    match identity.find_account(realm, account.username).await {
        Ok(found) => return Ok(found.id),
        Err(IdentityError::NotFound) => {}
        Err(error) => return Err(failed(account.username, &error)),
    }
    let new = NewAccount {
        username: Some(account.username.to_owned()),
        email: Some(account.email.to_owned()),
        password: account.password.into(),
        policy: PasswordPolicy::Bypass,
        full_name: None,
        roles: Some(account.roles.iter().map(|role| (*role).to_owned()).collect()),
        tenant: None,
    };
    let made = identity.create_account(realm, new, &Actor::operator()).await;
    made.map(|made| made.id).map_err(|error| failed(account.username, &error))
}

async fn issue(
    identity: &Identity,
    mount: &MountName,
    owner: &AccountId,
    name: &str,
    scopes: &[&str],
    rate_limit_per_hour: Option<u32>,
) -> Result<String, RunError> {
    let new = NewKey {
        name: name.to_owned(),
        description: Some("made by portcullis demo".to_owned()),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        rate_limit_per_hour,
        ..NewKey::default()
    };
    let made = identity.create_key(mount, owner, new, &Actor::operator()).await;
    made.map(|made| made.text.expose_secret().to_owned()).map_err(|error| failed(name, &error))
}

fn failed(what: &str, error: &IdentityError) -> RunError {
    RunError::Demo(format!("cannot make \"{what}\": {error}"))
}
