//! HTML forms as pairs of text: both encodings of the HTML standard.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;

use super::{Rejected, essence};

/// The pairs of a form. Another type of body has none: its fields are then told as missing, as the originals do.
pub(super) async fn pairs(
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<(String, String)>, Rejected> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match &*essence(declared.unwrap_or_default()) {
        "application/x-www-form-urlencoded" => {
            Ok(form_urlencoded::parse(&body).into_owned().collect())
        }
        "multipart/form-data" => multipart(declared.unwrap_or_default(), body).await,
        _ => Ok(Vec::new()),
    }
}

async fn multipart(declared: &str, body: Bytes) -> Result<Vec<(String, String)>, Rejected> {
    let broken = |_| Rejected::BrokenBody;
    let request = Request::post("/").header(header::CONTENT_TYPE, declared);
    let request = request.body(Body::from(body)).map_err(|_| Rejected::BrokenBody)?;
    let mut parts =
        Multipart::from_request(request, &()).await.map_err(|_| Rejected::BrokenBody)?;
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        // A file is no text field, whatever its name.
        if part.file_name().is_none() {
            let text = part.bytes().await.map_err(broken)?;
            pairs.push((name, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(pairs)
}
