//! Slash redirects of an upstream, answered inside the gateway (contract tmws, trap 4).
//!
//! Frameworks answer `/tasks` with a redirect to `/tasks/` (or back) without having run the request. No client may see
//! that: the request is sent again in the spelling the upstream wants, and the spelling is remembered.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use http::{Method, StatusCode, Uri};
use quick_cache::sync::Cache;

/// Paths of one route whose spelling is remembered.
const MAX_PATHS: usize = 4096;

/// The same target with the slash at the end of its path added or taken away; `None` for the root, and for an empty last
/// segment (`//`), which is more than a trailing slash.
pub(super) fn respelled(path_and_query: &str) -> Option<String> {
    let (path, query) = split(path_and_query);
    let other = match path.strip_suffix('/') {
        Some(bare) if bare.is_empty() || bare.ends_with('/') => return None,
        Some(bare) => bare.to_owned(),
        None => format!("{path}/"),
    };
    Some(match query {
        Some(query) => format!("{other}?{query}"),
        None => other,
    })
}

/// The other spelling, if an answer only asks for that of what was sent, on a host that is the upstream's or the client's.
pub(super) fn asked_for(
    status: StatusCode,
    location: Option<&str>,
    sent: &str,
    hosts: &[&str],
) -> Option<String> {
    if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let other = respelled(sent)?;
    let location = location?.parse::<Uri>().ok()?;
    let same_host = location.authority().is_none_or(|there| {
        hosts.iter().any(|host| bare(host).eq_ignore_ascii_case(bare(there.as_str())))
    });
    (same_host && location.path() == split(&other).0).then_some(other)
}

/// Paths whose upstream wants the other spelling than the client uses. Kept by method: one path may be two endpoints, of
/// which `GET` wants a slash and `POST` none.
pub(super) struct Spellings {
    /// Most routes never learn anything and must not pay for it.
    any: AtomicBool,
    hasher: RandomState,
    paths: Cache<u64, ()>,
}

impl Default for Spellings {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            hasher: RandomState::new(),
            paths: Cache::new(MAX_PATHS),
        }
    }
}

impl Spellings {
    /// The spelling to send, if it is known to differ.
    pub(super) fn known(&self, method: &Method, path_and_query: &str) -> Option<String> {
        if !self.any.load(Relaxed) || self.paths.get(&self.key(method, path_and_query)).is_none() {
            return None;
        }
        respelled(path_and_query)
    }

    /// Remembers that this spelling was answered with a redirect to the other.
    pub(super) fn learn(&self, method: &Method, refused: &str) {
        if let Some(wanted) = respelled(refused) {
            self.paths.remove(&self.key(method, &wanted));
        }
        self.paths.insert(self.key(method, refused), ());
        self.any.store(true, Relaxed);
    }

    fn key(&self, method: &Method, path_and_query: &str) -> u64 {
        self.hasher.hash_one((method, split(path_and_query).0))
    }
}

fn split(path_and_query: &str) -> (&str, Option<&str>) {
    match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    }
}

/// A host without its port.
fn bare(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn respelling_keeps_the_query() {
        assert_eq!(respelled("/a/b").as_deref(), Some("/a/b/"));
        assert_eq!(respelled("/a/b/?x=/").as_deref(), Some("/a/b?x=/"));
        assert_eq!(respelled("/"), None);
        assert_eq!(respelled("/?x"), None);
        assert_eq!(respelled("/a//?x"), None);
    }

    fn redirects(status: u16, location: &str, sent: &str) -> bool {
        let hosts = ["api.example.org", "127.0.0.1:9900"];
        asked_for(StatusCode::from_u16(status).unwrap(), Some(location), sent, &hosts).is_some()
    }

    #[test]
    fn only_the_other_spelling_on_a_known_host_counts() {
        for (status, location, sent) in [
            (307, "/tasks/", "/tasks"),
            (308, "/tasks", "/tasks/?a=b"),
            (301, "http://127.0.0.1:9900/tasks/?a=b", "/tasks?a=b"),
            (302, "http://API.example.org/tasks/", "/tasks"),
        ] {
            assert!(redirects(status, location, sent), "{location}");
        }
        for (status, location, sent) in [
            (303, "/tasks/", "/tasks"),
            (200, "/tasks/", "/tasks"),
            (307, "/tasks", "/tasks"),
            (307, "/login", "/tasks"),
            (307, "http://evil.example/tasks/", "/tasks"),
            (307, "//evil.example/tasks/", "/tasks"),
        ] {
            assert!(!redirects(status, location, sent), "{location}");
        }
    }

    #[test]
    fn a_learned_spelling_can_be_unlearned() {
        let spellings = Spellings::default();
        assert_eq!(spellings.known(&Method::GET, "/tasks"), None);
        spellings.learn(&Method::GET, "/tasks");
        assert_eq!(spellings.known(&Method::GET, "/tasks?x").as_deref(), Some("/tasks/?x"));
        assert_eq!(spellings.known(&Method::GET, "/tasks/1"), None);
        assert_eq!(spellings.known(&Method::POST, "/tasks"), None);
        spellings.learn(&Method::GET, "/tasks/");
        assert_eq!(spellings.known(&Method::GET, "/tasks"), None);
        assert_eq!(spellings.known(&Method::GET, "/tasks/").as_deref(), Some("/tasks"));
    }
}
