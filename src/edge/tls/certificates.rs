//! The certificates of one listener: chosen by the name a client asks for, and swapped when their files change.
//!
//! A swap replaces one pointer that each handshake reads once: one that runs keeps what it began with. Certificate and
//! key are two files and are seldom replaced at the same moment, so a pair that does not fit is looked at again at every
//! turn, and the old one serves on.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::pair::Pair;
use crate::{edge::settings::CertificateFiles, model::Timestamp, telemetry::Metrics};

/// One listener's certificates.
pub(super) struct Certificates {
    listener: Arc<str>,
    refuse_unknown: bool,
    serving: ArcSwap<Serving>,
    watched: Mutex<Vec<Watched>>,
}

/// What handshakes read.
struct Serving {
    /// By exact name, and by what stands behind `*.`.
    exact: HashMap<String, Arc<CertifiedKey>>,
    wild: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

/// One pair and its files.
struct Watched {
    files: CertificateFiles,
    pair: Pair,
    /// How the files looked when they were last read.
    mark: Option<Mark>,
    /// It has ended, and that was said.
    over: bool,
    /// Why they are not in force, if they are not.
    fault: Option<Refused>,
}

struct Refused {
    why: String,
    told: bool,
}

type Mark = [(u64, u64, i64, i64); 2];

impl Certificates {
    /// Reads all pairs; the first that is none is told.
    pub(super) fn read(
        listener: Arc<str>,
        files: &[CertificateFiles],
        refuse_unknown: bool,
    ) -> Result<Arc<Self>, String> {
        let mut watched = Vec::new();
        for files in files {
            let mark = mark(files);
            let pair = read(files)?;
            watched.push(Watched { files: files.clone(), pair, mark, over: false, fault: None });
        }
        Ok(Arc::new(Self {
            listener,
            refuse_unknown,
            serving: ArcSwap::from_pointee(Serving::of(&watched)),
            watched: Mutex::new(watched),
        }))
    }

    /// Takes changed files over, where they are pairs, and tells how long each certificate is good. Reads files.
    pub(super) fn refresh(&self, metrics: &Metrics, now: Timestamp) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for one in watched.iter_mut() {
            changed |= self.refresh_one(one, metrics);
            let label = one.files.certificate.display().to_string();
            let left = one.pair.not_after().secs().saturating_sub(now.secs());
            metrics.certificate(&self.listener, &label, left);
            if left <= 0 && !one.over {
                one.over = true;
                let listener = &self.listener;
                tracing::warn!(event = "certificate_expired", %listener, certificate = %label);
            }
        }
        if changed {
            self.serving.store(Arc::new(Serving::of(&watched)));
        }
    }

    fn refresh_one(&self, one: &mut Watched, metrics: &Metrics) -> bool {
        let now = mark(&one.files);
        if now == one.mark && one.fault.is_none() {
            return false;
        }
        let (listener, file) = (&self.listener, one.files.certificate.display());
        match read(&one.files) {
            Ok(pair) => {
                (one.pair, one.mark, one.over, one.fault) = (pair, now, false, None);
                metrics.certificate_reload(listener, true);
                tracing::info!(event = "certificate_reloaded", %listener, certificate = %file);
                true
            }
            Err(why) => {
                // Not at the first look: one of two files is always the first to be replaced.
                let told = match &one.fault {
                    Some(before) if one.mark == now && before.why == why => {
                        if !before.told {
                            metrics.certificate_reload(listener, false);
                            tracing::error!(
                                event = "certificate_refused", %listener, certificate = %file, reason = %why
                            );
                        }
                        true
                    }
                    _ => false,
                };
                (one.mark, one.fault) = (now, Some(Refused { why, told }));
                false
            }
        }
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let serving = self.serving.load();
        // A client that asks for no name has no other to be refused for.
        let Some(name) = name else { return serving.default.clone() };
        let name = name.to_ascii_lowercase();
        let wild = || serving.wild.get(name.split_once('.')?.1);
        let found = serving.exact.get(&name).or_else(wild).cloned();
        if found.is_some() || self.refuse_unknown { found } else { serving.default.clone() }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Serving {
    /// Where two certificates have a name, the first in the configuration serves it.
    fn of(watched: &[Watched]) -> Self {
        let (mut exact, mut wild) = (HashMap::new(), HashMap::new());
        for Watched { pair, .. } in watched {
            for name in &pair.names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wild, rest),
                    None => (&mut exact, name.as_str()),
                };
                table.entry(name.to_owned()).or_insert_with(|| Arc::clone(&pair.key));
            }
        }
        let default = watched.first().map(|first| Arc::clone(&first.pair.key));
        Self { exact, wild, default }
    }
}

fn read(files: &CertificateFiles) -> Result<Pair, String> {
    let of = |path: &Path| fs::read(path).map_err(|error| unreadable(path, &error));
    let (chain, key) = (of(&files.certificate)?, of(&files.key)?);
    Pair::read(&chain, &key).map_err(|fault| fault.to_string())
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

/// How both files look; `None` while one is being replaced.
fn mark(files: &CertificateFiles) -> Option<Mark> {
    let of = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    Some([of(&files.certificate)?, of(&files.key)?])
}

#[cfg(test)]
mod tests;
