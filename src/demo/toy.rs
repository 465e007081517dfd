//! The toy upstream: tasks, memory, sum, and an echo of what arrived. It trusts everything; the gateway stands in front.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use serde_json::{Map, Value, json};

use crate::run::RunError;

/// Enough to play with; the oldest entry goes when one more comes.
const MOST: usize = 10_000;

/// Serves on the current runtime until the process ends.
pub(super) fn start(listener: TcpListener) -> Result<(), RunError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router()).await {
            tracing::error!(event = "toy_upstream_failed", %error);
        }
    });
    Ok(())
}

/// Everything it answers.
fn router() -> Router {
    Router::new()
        .route("/api/v1/tasks", get(list_tasks).post(create_task))
        .route(
            "/api/v1/tasks/{id}",
            get(read_task).put(change_task).patch(change_task).delete(remove_task),
        )
        .route("/api/v1/memory", get(list_memories).post(create_memory))
        .route("/api/v1/memory/search", post(search))
        .route("/api/v1/memory/{id}", get(read_memory).delete(remove_memory))
        .route("/api/sum", post(sum))
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/health", get(|| async { Json(json!({ "status": "healthy" })) }))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "Not Found") })
        .with_state(Toy::default())
}

#[derive(Clone, Default)]
struct Toy {
    shelves: Arc<Mutex<Shelves>>,
}

#[derive(Default)]
struct Shelves {
    last: u64,
    tasks: BTreeMap<u64, Value>,
    memories: BTreeMap<u64, Value>,
}

impl Toy {
    fn with<T>(&self, work: impl FnOnce(&mut Shelves) -> T) -> T {
        // A panic of another handler leaves whole entries behind, so the shelf is still good.
        work(&mut self.shelves.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelves {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

fn put(shelf: &mut BTreeMap<u64, Value>, id: u64, entry: &Value) {
    shelf.insert(id, entry.clone());
    if shelf.len() > MOST {
        shelf.pop_first();
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({ "detail": detail }))).into_response()
}

/// A JSON object; an empty body counts as an empty one, whatever its content type says.
fn object(body: &Bytes) -> Option<Map<String, Value>> {
    if body.trim_ascii().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_slice(body).ok()
}

fn text(fields: &Map<String, Value>, key: &str, default: &str) -> Value {
    match fields.get(key) {
        Some(Value::String(text)) => Value::String(text.clone()),
        _ => Value::String(default.to_owned()),
    }
}

/// The text that older clients send as a string and newer ones as an object.
fn keep(fields: &Map<String, Value>, key: &str, default: Value) -> Value {
    fields.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default)
}

async fn list_tasks(State(toy): State<Toy>) -> Json<Value> {
    let tasks: Vec<Value> = toy.with(|shelves| shelves.tasks.values().cloned().collect());
    Json(json!({ "total": tasks.len(), "tasks": tasks }))
}

async fn create_task(State(toy): State<Toy>, body: Bytes) -> Response {
    let Some(fields) = object(&body) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "the body is no JSON object");
    };
    let task = toy.with(|shelves| {
        let id = shelves.next();
        // Typed clients want strings, never null.
        let task = json!({
            "id": id.to_string(),
            "title": text(&fields, "title", ""),
            "description": text(&fields, "description", ""),
            "priority": keep(&fields, "priority", json!("medium")),
            "status": text(&fields, "status", "pending"),
        });
        put(&mut shelves.tasks, id, &task);
        task
    });
    (StatusCode::CREATED, Json(json!({ "task": task }))).into_response()
}

async fn read_task(State(toy): State<Toy>, Path(id): Path<String>) -> Response {
    let found = toy.with(|shelves| shelves.tasks.get(&id.parse().ok()?).cloned());
    found.map_or_else(not_found, |task| Json(json!({ "task": task })).into_response())
}

async fn change_task(State(toy): State<Toy>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some(fields) = object(&body) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "the body is no JSON object");
    };
    let changed = toy.with(|shelves| {
        let task = shelves.tasks.get_mut(&id.parse().ok()?)?.as_object_mut()?;
        for key in ["title", "description", "priority", "status"] {
            if let Some(value) = fields.get(key).filter(|value| !value.is_null()) {
                task.insert(key.to_owned(), value.clone());
            }
        }
        Some(Value::Object(task.clone()))
    });
    changed.map_or_else(not_found, |task| Json(json!({ "task": task })).into_response())
}

async fn remove_task(State(toy): State<Toy>, Path(id): Path<String>) -> Response {
    let gone = toy.with(|shelves| shelves.tasks.remove(&id.parse().ok()?));
    gone.map_or_else(not_found, |_| {
        Json(json!({ "message": "Task deleted", "id": id })).into_response()
    })
}

async fn list_memories(State(toy): State<Toy>) -> Json<Value> {
    let memories: Vec<Value> = toy.with(|shelves| shelves.memories.values().cloned().collect());
    Json(json!({ "total": memories.len(), "memories": memories }))
}

async fn create_memory(State(toy): State<Toy>, body: Bytes) -> Response {
    let Some(mut fields) = object(&body) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "the body is no JSON object");
    };
    let memory = toy.with(|shelves| {
        let id = shelves.next();
        fields.insert("id".to_owned(), json!(id.to_string()));
        let content = text(&fields, "content", "");
        fields.insert("content".to_owned(), content);
        let memory = Value::Object(fields);
        put(&mut shelves.memories, id, &memory);
        memory
    });
    (StatusCode::CREATED, Json(json!({ "memory": memory }))).into_response()
}

async fn read_memory(State(toy): State<Toy>, Path(id): Path<String>) -> Response {
    let found = toy.with(|shelves| shelves.memories.get(&id.parse().ok()?).cloned());
    found.map_or_else(not_found, |memory| Json(json!({ "memory": memory })).into_response())
}

async fn remove_memory(State(toy): State<Toy>, Path(id): Path<String>) -> Response {
    let gone = toy.with(|shelves| shelves.memories.remove(&id.parse().ok()?));
    gone.map_or_else(not_found, |_| {
        Json(json!({ "message": "Memory deleted", "id": id })).into_response()
    })
}

/// Memories whose text contains the query, newest first, at most `limit`.
async fn search(State(toy): State<Toy>, body: Bytes) -> Response {
    let Some(fields) = object(&body) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "the body is no JSON object");
    };
    let query = fields.get("query").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let limit = fields.get("limit").and_then(Value::as_u64).unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let fits = |memory: &&Value| {
        let content = memory.get("content").and_then(Value::as_str).unwrap_or_default();
        content.to_lowercase().contains(&query)
    };
    let results: Vec<Value> = toy.with(|shelves| {
        shelves.memories.values().rev().filter(fits).take(limit).cloned().collect()
    });
    Json(json!({ "total": results.len(), "results": results })).into_response()
}

async fn sum(body: Bytes) -> Response {
    let fields = object(&body).unwrap_or_default();
    let number = |key: &str| fields.get(key).filter(|value| value.is_number());
    let (Some(a), Some(b)) = (number("a"), number("b")) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "a and b must be numbers");
    };
    // Whole numbers stay whole: typed clients read them as integers.
    let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b));
    let result = match whole {
        Some(whole) => json!(whole),
        None => json!(a.as_f64().unwrap_or(0.0) + b.as_f64().unwrap_or(0.0)),
    };
    Json(json!({ "result": result })).into_response()
}

/// What arrived, so that one can see what the gateway sets and strips.
async fn echo(
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let headers: Vec<Value> = headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "Not Found")
}
