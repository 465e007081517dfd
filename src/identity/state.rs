//! The settings in force, looked up by name; replaced as a whole on reload.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{IdentityError, MountSettings, RealmRules, Settings, password::HashPool};
use crate::model::{MountName, RealmName};

/// How long an ended session is remembered at least: a reload may have shortened the life time of its tokens meanwhile.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);
/// Clock differences and leeway on top.
const MARGIN: Duration = Duration::from_secs(120);

/// Settings with the hash pool made from them.
pub(super) struct State {
    realms: HashMap<RealmName, Arc<RealmRules>>,
    mounts: HashMap<MountName, Arc<MountSettings>>,
    /// Password hashing.
    pub(super) pool: Arc<HashPool>,
}

impl State {
    /// Sorts settings by name.
    pub(super) fn new(settings: Settings, pool: Arc<HashPool>) -> Self {
        let realms = settings.realms.into_iter().map(|realm| (realm.name, Arc::new(realm.rules)));
        let mounts = settings.mounts.into_iter().map(|mount| (mount.name.clone(), Arc::new(mount)));
        Self { realms: realms.collect(), mounts: mounts.collect(), pool }
    }

    /// One mount.
    pub(super) fn mount(&self, name: &MountName) -> Result<Arc<MountSettings>, IdentityError> {
        self.mounts.get(name).cloned().ok_or(IdentityError::NotFound)
    }

    /// All mounts.
    pub(super) fn mounts(&self) -> impl Iterator<Item = &Arc<MountSettings>> {
        self.mounts.values()
    }

    /// Rules of one realm.
    pub(super) fn rules(&self, name: &RealmName) -> Result<Arc<RealmRules>, IdentityError> {
        self.realms.get(name).cloned().ok_or(IdentityError::NotFound)
    }

    /// How long an ended session matters: as long as any access token of it may live.
    pub(super) fn remember(&self) -> Duration {
        remember(self.mounts().map(|mount| &**mount))
    }
}

fn remember<'a>(mounts: impl Iterator<Item = &'a MountSettings>) -> Duration {
    let longest = mounts.map(|mount| {
        let own = mount.authorization_server.as_ref().map(|own| own.longest_signed());
        mount.tokens.access_lifetime.max(own.unwrap_or_default())
    });
    longest.max().unwrap_or_default().max(REMEMBER) + MARGIN
}

impl Settings {
    /// How long an ended session matters under these settings.
    pub fn remember(&self) -> Duration {
        remember(self.mounts.iter())
    }
}
