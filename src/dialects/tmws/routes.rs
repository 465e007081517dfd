//! Handlers of tmws: wire to identity and back.

use crate::{identity::Identity, model::MountName};

/// The router of one mount.
pub fn router(identity: Identity, mount: MountName) -> axum::Router {
    let _ = (identity, mount);
    unimplemented!()
}
