//! What a reload changes for the internal plane: which mounts exist and the router of each. Swapped as one.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use axum::Router;

use crate::model::{MountName, RealmName};

/// One mount with the HTTP side of its contract.
pub struct Mounted {
    /// Name.
    pub name: MountName,
    /// Whose accounts.
    pub realm: RealmName,
    /// Handlers of its contract.
    pub router: Router,
}

/// The current mounts; held by the private socket and by the operator API.
#[derive(Default)]
pub struct Shared {
    current: ArcSwap<Current>,
}

#[derive(Default)]
struct Current {
    realms: Vec<RealmName>,
    mounts: Vec<(MountName, RealmName)>,
    routers: HashMap<MountName, Router>,
}

impl Shared {
    /// Replaces all realms and mounts. Requests under way finish on what they started with.
    pub fn set_mounts(&self, realms: Vec<RealmName>, mounts: Vec<Mounted>) {
        let mut next = Current { realms, ..Current::default() };
        for Mounted { name, realm, router } in mounts {
            next.mounts.push((name.clone(), realm));
            next.routers.insert(name, router);
        }
        self.current.store(next.into());
    }

    /// The handlers of a mount.
    pub(super) fn router(&self, mount: &MountName) -> Option<Router> {
        self.current.load().routers.get(mount).cloned()
    }

    /// Realm names in the order of the file.
    pub(super) fn realms(&self) -> Vec<RealmName> {
        self.current.load().realms.clone()
    }

    /// Mounts and their realms in the order of the file.
    pub(super) fn mounts(&self) -> Vec<(MountName, RealmName)> {
        self.current.load().mounts.clone()
    }
}
