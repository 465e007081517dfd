//! Open files: how many this process may have, and raising that to what the system allows.
//!
//! The soft limit of a login shell is 1024 for programs that use `select`; this one does not.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where the system sets no limit.
const PLENTY: u64 = 1 << 20;

/// Descriptors this process may have once its limit was raised.
pub fn most() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(PLENTY);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Raises the soft limit to the hard one.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(event = "descriptor_limit", soft = limit.current, hard = limit.maximum, %error);
    }
}
