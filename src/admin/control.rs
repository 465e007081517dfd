//! What the operator API asks of the running process. `run` implements it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    issuer::KeyState,
    pipeline::{
        explain::{Explanation, Past, Question},
        shadow::ShadowLine,
    },
};

/// State of the process as probes show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet listening.
    Starting,
    /// Serving.
    Ready,
    /// Told to stop: `/readyz` is 503 while running requests finish.
    Draining,
}

/// State of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigState {
    /// Hash of what is active.
    pub hash: Arc<str>,
    /// Why the last reload was refused; `None`: active is what the file says. `/readyz` stays 200 either way.
    pub stale: Option<String>,
}

/// A part that does not do all of its work now, while the process goes on with what it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which: `store`, `issuer`, or another word of `docs/operating.md`.
    pub part: &'static str,
    /// What that means for requests.
    pub what: String,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Active now.
    Applied {
        /// New hash.
        hash: Arc<str>,
    },
    /// Refused whole; every reason with its place.
    Refused {
        /// Rendered like `check` does.
        report: String,
    },
}

/// What would become of some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Whose evidence: `running` or `store`.
    pub evidence: &'static str,
    /// One for each question, in order.
    pub answers: Vec<Explanation>,
}

/// The process behind the operator API.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// For `/readyz`.
    fn readiness(&self) -> Readiness;
    /// For `/readyz` and `/v1/status`.
    fn config(&self) -> ConfigState;
    /// Parts beside the store that are in trouble now, as far as is known without asking anybody.
    fn troubles(&self) -> Vec<Trouble>;
    /// Effective configuration as TOML, secrets as references.
    fn effective(&self) -> String;
    /// Compiles the file and swaps it in, or refuses it.
    async fn reload(&self) -> ReloadOutcome;
    /// Walks requests through admission without serving them. An error says why it cannot be told.
    async fn explain(&self, questions: Vec<Question>) -> Result<Explained, String>;
    /// A request that was refused, while it is remembered.
    fn refusal(&self, request_id: &str) -> Option<Past>;
    /// What rules in shadow mode would have refused.
    fn shadow(&self) -> Vec<ShadowLine>;
    /// What is known of the keys of issuers outside.
    fn issuer_keys(&self) -> Vec<KeyState>;
    /// Fetches the keys of one now. `None`: nobody of this name is asked for keys.
    async fn refresh_issuer_keys(&self, name: &str) -> Option<Result<(), String>>;
    /// Rebuilds the edge's snapshot after a signing key changed.
    async fn keys_changed(&self);
}
