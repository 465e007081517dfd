//! A script that runs in Redis as one step.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::Cmd;

/// Source, and the name under which Redis remembers it.
#[derive(Debug)]
pub struct Script {
    source: &'static str,
    /// Redis names scripts by SHA-1; nothing is kept secret or proven by it.
    sha: String,
}

impl Script {
    /// A script of the program.
    pub fn new(source: &'static str) -> Self {
        let sha = digest(&SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        let sha = sha.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { source, sha }
    }

    /// The call by name, for a server that ran it before.
    pub(super) fn by_name(&self, keys: &[&str], arguments: &[&str]) -> Cmd {
        call("EVALSHA", &self.sha, keys, arguments)
    }

    /// The call with the whole source.
    pub(super) fn whole(&self, keys: &[&str], arguments: &[&str]) -> Cmd {
        call("EVAL", self.source, keys, arguments)
    }
}

fn call(how: &str, what: &str, keys: &[&str], arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd(how);
    command.arg(what).arg(keys.len()).arg(keys).arg(arguments);
    command
}
