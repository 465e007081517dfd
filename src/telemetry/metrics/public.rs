//! The two figures of a mount that its contract shows to everybody: how many requests, and how long they took (contract
//! hh, "Metrics and audit"). Nothing else of the gateway, and nothing of another mount, ever stands in them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

use super::observe;

const REQUESTS: (&str, &str) = ("requests_total", "Total number of requests");
const DURATION: (&str, &str) = ("request_duration_seconds", "Request duration in seconds");
/// Seconds. Clients ask for the bucket of 0.1.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Methods with a label of their own; every other one is `other`.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// The figures of all mounts that show some, by name; they outlive a reload.
#[derive(Default)]
pub(super) struct PublicFigures {
    mounts: Mutex<BTreeMap<String, Arc<Families>>>,
}

struct Families {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl PublicFigures {
    fn of(&self, mount: &str) -> Option<Arc<Families>> {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = mounts.get(mount) {
            return Some(Arc::clone(found));
        }
        match Families::new() {
            Ok(families) => {
                let families = Arc::new(families);
                mounts.insert(mount.to_owned(), Arc::clone(&families));
                Some(families)
            }
            Err(error) => {
                tracing::error!(%error, "public metrics cannot be made");
                None
            }
        }
    }

    pub(super) fn route(&self, mount: &str, endpoint: &str) -> Option<PublicRoute> {
        let (families, endpoint) = (self.of(mount)?, endpoint.to_owned());
        Some(PublicRoute { families, endpoint, cells: Default::default() })
    }

    pub(super) fn render(&self, mount: &str) -> String {
        let Some(families) = self.of(mount) else { return String::new() };
        let mut text = String::new();
        // The library sorts by name. The contract prints the counter first, and the method before the endpoint; who reads
        // with grep or sed relies on that.
        let mut gathered = families.registry.gather();
        gathered.reverse();
        for metric in gathered.iter_mut().flat_map(|family| family.mut_metric()) {
            metric.mut_label().reverse();
        }
        if let Err(error) = TextEncoder::new().encode_utf8(&gathered, &mut text) {
            tracing::error!(%error, "public metrics cannot be rendered");
        }
        // A family that counted nothing yet is left out by the library; a scraper wants to know that it is there.
        for ((name, help), kind) in [(REQUESTS, "counter"), (DURATION, "histogram")] {
            if !text.contains(&format!("# TYPE {name} ")) {
                text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
            }
        }
        text
    }
}

impl Families {
    fn new() -> Result<Self, Error> {
        let labels = &["method", "endpoint"];
        let registry = Registry::new();
        let requests = IntCounterVec::new(Opts::new(REQUESTS.0, REQUESTS.1), labels)?;
        let opts = HistogramOpts::new(DURATION.0, DURATION.1).buckets(BUCKETS.to_vec());
        let duration = HistogramVec::new(opts, labels)?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { registry, requests, duration })
    }
}

/// The public figures of one route template.
pub struct PublicRoute {
    families: Arc<Families>,
    endpoint: String,
    /// By method; made at first use.
    cells: [OnceLock<(IntCounter, Histogram)>; METHODS.len()],
}

impl PublicRoute {
    /// A request ended.
    pub fn finished(&self, method: &str, total: Duration) {
        let at = METHODS.iter().position(|known| *known == method);
        let at = at.unwrap_or(METHODS.len() - 1);
        let (Some(cell), Some(label)) = (self.cells.get(at), METHODS.get(at)) else { return };
        let (requests, duration) = cell.get_or_init(|| {
            let labels = [*label, self.endpoint.as_str()];
            let requests = self.families.requests.with_label_values(&labels);
            (requests, self.families.duration.with_label_values(&labels))
        });
        requests.inc();
        observe(duration, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_shows_its_own_two_families_and_nothing_else() {
        let figures = PublicFigures::default();
        let route = figures.route("hh", "/admin/users/{hh_user_id}").unwrap();
        route.finished("DELETE", Duration::from_millis(7));
        route.finished("BREW", Duration::from_secs(60));
        figures.route("inkpass", "/api/v1/auth/me").unwrap().finished("GET", Duration::ZERO);
        let text = figures.render("hh");
        for line in [
            "# HELP requests_total Total number of requests",
            "# TYPE requests_total counter",
            "# TYPE request_duration_seconds histogram",
            "requests_total{method=\"DELETE\",endpoint=\"/admin/users/{hh_user_id}\"} 1",
            "requests_total{method=\"other\",endpoint=\"/admin/users/{hh_user_id}\"} 1",
            "request_duration_seconds_bucket{method=\"DELETE\",endpoint=\"/admin/users/{hh_user_id}\",le=\"0.1\"} 1",
            "request_duration_seconds_bucket{method=\"other\",endpoint=\"/admin/users/{hh_user_id}\",le=\"0.1\"} 0",
            "request_duration_seconds_count{method=\"DELETE\",endpoint=\"/admin/users/{hh_user_id}\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(text.starts_with("# HELP requests_total "), "{text}");
        assert!(!text.contains("/api/v1"), "{text}");
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(families, 2);
    }

    #[test]
    fn a_mount_that_counted_nothing_names_its_families_all_the_same() {
        let text = PublicFigures::default().render("hh");
        assert!(text.contains("# TYPE requests_total counter\n"));
        assert!(text.contains("# TYPE request_duration_seconds histogram\n"));
    }
}
