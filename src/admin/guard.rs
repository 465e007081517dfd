//! The operator token at the TCP door. The Unix socket has no guard: who can open it may.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::{problem::Problem, settings::Settings};
use crate::model::{Digest, secret::ExposeSecret};

/// Marks a request that came without the token: it gets the bare status only.
#[derive(Clone, Copy)]
pub(super) struct Unproven;

#[derive(Clone)]
struct Door {
    /// `None` when no token is set: then nothing opens it.
    token: Option<Digest>,
    open_probes: bool,
}

/// Puts the token check in front of everything.
pub(super) fn guarded(router: axum::Router, settings: &Settings) -> axum::Router {
    let token = settings.token.expose_secret();
    let door = Door {
        token: (!token.is_empty()).then(|| Digest::of(token.as_bytes())),
        open_probes: settings.open_probes,
    };
    router.layer(middleware::from_fn_with_state(door, check))
}

async fn check(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if door.admits(request.headers()) {
        return next.run(request).await;
    }
    if door.open_probes && matches!(request.uri().path(), "/livez" | "/readyz") {
        request.extensions_mut().insert(Unproven);
        return next.run(request).await;
    }
    tracing::warn!(event = "operator_refused", path = request.uri().path());
    let detail = "the operator token is missing or wrong";
    Problem::new(StatusCode::UNAUTHORIZED, "operator_token", detail).into_response()
}

impl Door {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(own), Some(value), None) = (&self.token, all.next(), all.next()) else {
            return false;
        };
        let Some((scheme, token)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        // Digests are compared, so neither content nor length shows in the time it takes.
        scheme.eq_ignore_ascii_case("bearer") && *own == Digest::of(token.trim().as_bytes())
    }
}
