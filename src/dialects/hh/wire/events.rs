//! Names of audit events: the contract's own for what it names, the core's in lower case for all others.

/// Contract name, core name.
const NAMES: [(&str, &str); 3] = [
    ("login", "LOGIN_SUCCESS"),
    ("session_terminated", "SESSION_ENDED"),
    ("login_failed", "LOGIN_FAILED"),
];

/// As the contract calls an event of the core.
pub(super) fn wire_name(core: &str) -> String {
    let named = NAMES.iter().find(|(_, own)| *own == core);
    named.map_or_else(|| core.to_ascii_lowercase(), |(name, _)| (*name).to_owned())
}

/// The other way round.
pub fn core_name(wire: &str) -> String {
    let named = NAMES.iter().find(|(name, _)| *name == wire);
    named.map_or_else(|| wire.to_ascii_uppercase(), |(_, own)| (*own).to_owned())
}
