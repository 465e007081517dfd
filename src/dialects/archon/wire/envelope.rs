//! The envelope of every reply but health: `{success, data, error, meta}`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::Timestamp;

/// Version of the API.
const VERSION: &str = "2.0.0";

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// From 1.
    pub page: u32,
    /// Most entries of it.
    pub limit: u32,
    /// Entries of all pages.
    pub total: u64,
}

/// What stands beside the data.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// `req_…`.
    pub request_id: &'a str,
    /// Now.
    pub now: Timestamp,
    /// How long it took, where the contract tells.
    pub took: Option<Duration>,
    /// Which page of a list this is.
    pub page: Option<Page>,
}

impl<'a> Meta<'a> {
    /// Of an ordinary reply.
    pub fn new(request_id: &'a str, now: Timestamp) -> Self {
        Self { request_id, now, took: None, page: None }
    }

    fn json(&self) -> Value {
        let mut meta = Map::new();
        let mut set = |name: &str, value: Value| meta.insert(name.to_owned(), value);
        set("timestamp", self.now.iso().into());
        set("version", VERSION.into());
        set("request_id", self.request_id.into());
        if let Some(took) = self.took {
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            set("performance", json!({ "response_time_ms": millis, "cache_hit": false }));
        }
        if let Some(Page { page, limit, total }) = self.page {
            let pages = total.div_ceil(u64::from(limit.max(1)));
            set(
                "pagination",
                json!({
                    "page": page, "limit": limit, "total": total, "total_pages": pages,
                    "has_next": u64::from(page) < pages, "has_prev": page > 1,
                }),
            );
        }
        Value::Object(meta)
    }
}

/// A success or, where `error` is given, a failure.
pub fn envelope(data: Value, error: Option<Value>, meta: &Meta<'_>) -> Value {
    json!({ "success": error.is_none(), "data": data, "error": error, "meta": meta.json() })
}

/// The trace of a request.
pub fn trace_id(request_id: &str) -> String {
    format!("trace_{}", request_id.strip_prefix("req_").unwrap_or(request_id))
}
