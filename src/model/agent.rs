//! What an agent token says beside whose it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A program that acts for an account with less than the account's own rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `code_implementer`, …
    pub kind: Arc<str>,
    /// What it was granted, in the order in which it asked.
    pub capabilities: Vec<Arc<str>>,
}

impl Agent {
    /// Whether it was granted this, whole name by whole name.
    pub fn may(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|own| **own == *capability)
    }
}
