//! The operator API without a socket: for commands that find no gateway running and open the store themselves.

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// The router of [`super::operator_router`], called directly.
#[derive(Clone)]
pub struct InProcess(Router);

impl InProcess {
    /// Takes the router.
    pub fn new(router: Router) -> Self {
        Self(router)
    }

    /// One call with a body of this content type.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .map_err(|error| error.to_string())?;
        let Ok(response) = self.0.clone().oneshot(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}
