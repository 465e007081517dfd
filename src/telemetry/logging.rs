//! JSON logs through tracing: one line per event, on standard output or standard error.
//!
//! Lines are made in the thread that logs and written by a thread of their own, so that a slow reader of the log
//! holds up no request. The level can be changed while running; the output cannot.

pub(super) mod json;
mod writer;

use std::time::SystemTime;

use tracing::subscriber::set_global_default;
use tracing_log::{AsLog, LogTracer, log};
use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    reload,
};

pub use writer::Guard;
pub(super) use writer::Writer;

use super::access::AccessLog;

/// Root of the targets of our own code.
const OURS: &str = "portcullis";

/// Writes an error for each connection that ends inside a request's head, which anybody can do as often as they like. What
/// it has to say of requests is in our own lines.
const NOISY: &str = "pingora_proxy";

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

impl Settings {
    /// Whether the level can be read, for the check of a configuration.
    pub fn check(&self) -> Result<(), LogError> {
        filter(self).map(drop)
    }
}

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Output {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, for commands whose standard output is for programs.
    Stderr,
}

/// Why the log cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a filter.
    #[error("log level {level:?}: {part:?} is none of off, error, warn, info, debug, trace")]
    Level {
        /// As written.
        level: String,
        /// The part that cannot be read.
        part: String,
    },
    /// A process has one log.
    #[error("the log of this process is already set up")]
    Twice,
    /// The writer's thread could not be started.
    #[error("the log's writer cannot be started")]
    Writer(#[source] std::io::Error),
}

/// Changes the log while it runs.
#[derive(Clone)]
pub struct Handle {
    filter: reload::Handle<Targets, Registry>,
    writer: writer::Writer,
    access: AccessLog,
}

impl Handle {
    /// Takes over another level or the other choice about access lines. On an error nothing changes.
    pub fn set(&self, settings: &Settings) -> Result<(), LogError> {
        let filter = filter(settings)?;
        let most = most(&filter);
        self.filter.reload(filter).map_err(|_| LogError::Twice)?;
        bridge_level(most);
        self.access.switch(settings.access_log);
        Ok(())
    }

    /// Where access lines go.
    pub fn access(&self) -> AccessLog {
        self.access.clone()
    }

    /// Running total of lines that were dropped because the log's reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }
}

/// Sets up the log of this process. What is still queued is written when the guard is dropped.
pub fn init(settings: &Settings, output: Output) -> Result<(Handle, Guard), LogError> {
    let filter = filter(settings)?;
    let most = most(&filter);
    let (filter, handle) = reload::Layer::new(filter);
    let (writer, guard) = match output {
        Output::Stdout => writer::start(std::io::stdout()),
        Output::Stderr => writer::start(std::io::stderr()),
    }
    .map_err(LogError::Writer)?;
    let lines = json::Lines::new(writer.clone());
    let access = AccessLog::new(writer.clone(), settings.access_log, SystemTime::now);
    set_global_default(Registry::default().with(filter).with(lines))
        .map_err(|_| LogError::Twice)?;
    // Pingora and others speak through the `log` crate.
    LogTracer::init().map_err(|_| LogError::Twice)?;
    bridge_level(most);
    Ok((Handle { filter: handle, writer, access }, guard))
}

/// Reads a level or filter: parts `LEVEL` or `TARGET=LEVEL`, the longest target that fits a line deciding.
///
/// A bare level beyond `info` means our own code: at that depth libraries print request heads, and so credentials.
/// Who needs those has to name the library. [`NOISY`] is off at any depth unless it is named.
fn filter(settings: &Settings) -> Result<Targets, LogError> {
    let read = |text: &str| {
        let part = text.trim().to_owned();
        // The parser would take nothing for `error`.
        let level = if part.is_empty() { None } else { part.parse::<LevelFilter>().ok() };
        level.ok_or_else(|| LogError::Level { level: settings.level.clone(), part })
    };
    let mut targets = Targets::new();
    let named = |part: &str| {
        part.split_once('=').is_some_and(|(target, _)| NOISY.starts_with(target.trim()))
    };
    if !settings.level.split(',').any(named) {
        targets = targets.with_target(NOISY, LevelFilter::OFF);
    }
    for part in settings.level.split(',') {
        targets = match part.split_once('=') {
            Some((target, level)) => targets.with_target(target.trim(), read(level)?),
            None => {
                let level = read(part)?;
                let libraries = level.min(LevelFilter::INFO);
                targets.with_default(libraries).with_target(OURS, level)
            }
        };
    }
    Ok(targets)
}

/// The most talkative level of any target.
fn most(filter: &Targets) -> LevelFilter {
    let targets = filter.iter().map(|(_, level)| level);
    targets.chain(filter.default_level()).max().unwrap_or(LevelFilter::OFF)
}

/// Keeps lines that nobody wants from being made on the way from `log` to `tracing`.
fn bridge_level(most: LevelFilter) {
    log::set_max_level(most.as_log());
}

#[cfg(test)]
mod tests;
