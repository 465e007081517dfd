//! The toy receiver of webhooks: prints each event as one line, and appends it to a file that programs read, with what a
//! check of the signature needs.

use std::{
    fs::OpenOptions,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    routing::post,
};
use serde_json::{Map, Value, json};

use crate::run::RunError;

const FILE: &str = "webhooks.jsonl";

#[derive(Clone)]
struct Receiver {
    file: PathBuf,
    writing: Arc<Mutex<()>>,
}

/// Serves on the current runtime until the process ends; tells the file.
pub(super) fn start(listener: TcpListener, dir: &Path) -> Result<Map<String, Value>, RunError> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let file = dir.join(FILE);
    let receiver = Receiver { file: file.clone(), writing: Arc::default() };
    let router = Router::new().fallback(post(receive)).with_state(receiver);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(event = "toy_receiver_failed", %error);
        }
    });
    Ok(Map::from_iter([("file".to_owned(), file.display().to_string().into())]))
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let signature = headers.get("x-archon-signature").and_then(|value| value.to_str().ok());
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    // The raw text is what was signed: a reader can check it.
    let (body, fields) = (String::from_utf8_lossy(&body), told(&headers));
    let line = json!({ "signature": signature, "event": event, "headers": fields, "body": body });
    let line = format!("{line}\n");
    let _one = receiver.writing.lock().unwrap_or_else(PoisonError::into_inner);
    let file = OpenOptions::new().create(true).append(true).open(&receiver.file);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        tracing::error!(event = "toy_receiver_failed", %error);
    }
    // Beside the log: what is meant for programs goes to standard output, and this is for people.
    eprint!("webhook {line}");
    Json(json!({ "received": true }))
}

/// The fields that the sender says something with.
fn told(headers: &HeaderMap) -> Map<String, Value> {
    let fields = headers.iter().filter_map(|(name, value)| {
        let own = name.as_str().starts_with("x-archon-") || *name == header::CONTENT_TYPE;
        own.then_some((name.to_string(), value.to_str().ok()?.into()))
    });
    fields.collect()
}
