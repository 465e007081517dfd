//! Calls to providers: bounded in time and size, never redirected, never through a proxy that the environment names.
//!
//! Only the operator's own addresses are called, so no client can turn this against a neighbour.

use std::{sync::OnceLock, time::Duration};

use oauth2::{HttpRequest, HttpResponse};

/// Most bytes of a reply: tokens and profiles are small.
const MAX_REPLY: usize = 256 * 1024;
const CONNECT: Duration = Duration::from_secs(3);

/// One call that brought no usable reply. Says nothing of addresses or contents.
#[derive(Debug, thiserror::Error)]
pub(in crate::identity) enum CallError {
    /// TLS cannot be set up: no certificates of the system?
    #[error("the HTTP client cannot be made")]
    Client,
    /// No connection, or it broke.
    #[error("no connection")]
    Connection,
    /// Not in time.
    #[error("no answer in time")]
    Timeout,
    /// Longer than any reply of a provider.
    #[error("the answer is too long")]
    TooLong,
    /// Nothing that can be sent or read.
    #[error("not readable")]
    Unreadable,
}

/// The HTTP client of the room; made at the first call.
#[derive(Default)]
pub(in crate::identity) struct Outgoing {
    client: OnceLock<Option<reqwest::Client>>,
}

impl Outgoing {
    /// One request and the whole of its reply.
    pub(super) async fn call(
        &self,
        request: HttpRequest,
        limit: Duration,
    ) -> Result<HttpResponse, CallError> {
        let client = self.client.get_or_init(build).as_ref().ok_or(CallError::Client)?;
        let mut request = reqwest::Request::try_from(request).map_err(|_| CallError::Unreadable)?;
        *request.timeout_mut() = Some(limit);
        let mut reply = client.execute(request).await.map_err(kind)?;
        let mut body = Vec::new();
        while let Some(piece) = reply.chunk().await.map_err(kind)? {
            if body.len() + piece.len() > MAX_REPLY {
                return Err(CallError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        let mut out = HttpResponse::new(body);
        *out.status_mut() = reply.status();
        std::mem::swap(out.headers_mut(), reply.headers_mut());
        Ok(out)
    }
}

fn build() -> Option<reqwest::Client> {
    let made = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(30))
        .build();
    made.inspect_err(|error| tracing::error!(event = "http_client_not_made", %error)).ok()
}

fn kind(error: reqwest::Error) -> CallError {
    if error.is_timeout() {
        CallError::Timeout
    } else if error.is_connect() || error.is_request() || error.is_body() {
        CallError::Connection
    } else {
        CallError::Unreadable
    }
}
