//! What a reload changes for the internal plane: which mounts exist and the router of each. Swapped as one.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use axum::Router;

use crate::{
    model::{MountName, RealmName},
    pipeline::Face,
};

/// One mount with the HTTP side of its contract.
pub struct Mounted {
    /// Name.
    pub name: MountName,
    /// Whose accounts.
    pub realm: RealmName,
    /// Handlers of its contract.
    pub router: Router,
    /// How its refusals look, for a handler that cannot say so any more.
    pub face: &'static dyn Face,
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
    routers: HashMap<MountName, (Router, &'static dyn Face)>,
    /// Faces of mounts that the reload before took away: the edge may still ask for one.
    gone: HashMap<MountName, &'static dyn Face>,
}

impl Shared {
    /// Replaces all realms and mounts. Requests under way finish on what they started with.
    pub fn set_mounts(&self, realms: Vec<RealmName>, mounts: Vec<Mounted>) {
        let mut next = Current { realms, ..Current::default() };
        for Mounted { name, realm, router, face } in mounts {
            next.mounts.push((name.clone(), realm));
            next.routers.insert(name, (router, face));
        }
        for (name, (_, face)) in &self.current.load().routers {
            if !next.routers.contains_key(name) {
                next.gone.insert(name.clone(), *face);
            }
        }
        self.current.store(next.into());
    }

    /// The handlers of a mount, and the face of its contract.
    pub(super) fn router(&self, mount: &MountName) -> Option<(Router, &'static dyn Face)> {
        self.current.load().routers.get(mount).cloned()
    }

    /// How the refusals of a mount looked that is there no more.
    pub(super) fn face_of_gone(&self, mount: &MountName) -> Option<&'static dyn Face> {
        self.current.load().gone.get(mount).copied()
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
