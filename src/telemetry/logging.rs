//! JSON logs through tracing.

/// What the log is told by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,portcullis=debug`. Reloadable.
    pub level: String,
    /// Whether one access line is written per request. Reloadable.
    pub access_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { level: "info".into(), access_log: true }
    }
}
