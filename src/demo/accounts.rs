//! Accounts and keys of the demo, made at the start where they are missing.

use super::{
    contracts::{Account, Key, PLAYED, Played},
    provider,
};
use crate::{
    config::Config,
    identity::{Actor, Identity, IdentityError, NewAccount, NewKey, PasswordPolicy},
    model::{AccountId, MountName, RealmName, secret::ExposeSecret},
    run::RunError,
};

/// The keys of one mount, in the order of its entry; the one of the configuration last.
#[derive(Clone)]
pub(super) struct Seeded {
    pub(super) mount: &'static str,
    pub(super) keys: Vec<String>,
}

/// Makes missing accounts, and new keys at every start.
pub(super) async fn seed(identity: &Identity, config: &Config) -> Result<Vec<Seeded>, RunError> {
    let mut seeded = Vec::new();
    for played in PLAYED {
        seeded.push(play(identity, config, played).await?);
    }
    Ok(seeded)
}

async fn play(
    identity: &Identity,
    config: &Config,
    played: &'static Played,
) -> Result<Seeded, RunError> {
    let mount = MountName::from(played.mount);
    let found = config.blueprint.mounts.iter().find(|found| found.is.name == mount);
    let realm = found
        .map(|found| found.is.realm.clone())
        .ok_or_else(|| RunError::Demo(format!("there is no mount \"{mount}\"")))?;
    let mut owner = None;
    for account in played.accounts.iter().filter(|account| account.scheme.is_none()) {
        let id = ensure(identity, &realm, account).await?;
        owner.get_or_insert(id);
    }
    let mut keys = Vec::new();
    for key in played.keys {
        let owner = owner.as_ref();
        let owner = owner.ok_or_else(|| RunError::Demo(format!("{mount}: no account")))?;
        keys.push(issue(identity, &mount, owner, key).await?);
    }
    keys.extend(played.static_key.map(|(_, text)| text.to_owned()));
    provider::allow(identity, played).await?;
    Ok(Seeded { mount: played.mount, keys })
}

async fn ensure(
    identity: &Identity,
    realm: &RealmName,
    account: &Account,
) -> Result<AccountId, RunError> {
    match identity.find_account(realm, account.login()).await {
        Ok(found) => return Ok(found.id),
        Err(IdentityError::NotFound) => {}
        Err(error) => return Err(failed(account.login(), &error)),
    }
    let new = NewAccount {
        username: account.username.map(str::to_owned),
        email: account.email.map(str::to_owned),
        password: account.password.into(),
        policy: PasswordPolicy::Bypass,
        full_name: None,
        roles: Some(account.roles.iter().map(|role| (*role).to_owned()).collect()),
        tenant: None,
    };
    let made = identity.create_account(realm, new, &Actor::operator()).await;
    made.map(|made| made.id).map_err(|error| failed(account.login(), &error))
}

async fn issue(
    identity: &Identity,
    mount: &MountName,
    owner: &AccountId,
    key: &Key,
) -> Result<String, RunError> {
    let new = NewKey {
        name: key.name.to_owned(),
        description: Some("made by portcullis demo".to_owned()),
        scopes: key.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        rate_limit_per_hour: key.rate_limit_per_hour,
        ..NewKey::default()
    };
    let made = identity.create_key(mount, owner, new, &Actor::operator()).await;
    made.map(|made| made.text.expose_secret().to_owned()).map_err(|error| failed(key.name, &error))
}

fn failed(what: &str, error: &IdentityError) -> RunError {
    RunError::Demo(format!("cannot make \"{what}\": {error}"))
}
