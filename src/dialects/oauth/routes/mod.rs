//! Handlers of the standard endpoints.

mod login;
mod published;
mod status;
mod token;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use http::HeaderMap;

use super::{AUTHORIZE, INTROSPECT, KEYS, METADATA, RESOURCE, REVOKE, TOKEN, wire};
use crate::{
    dialects::{
        App, ResourceFacts,
        exchange::{Hop, write, wrong_method},
    },
    identity::{AuthorizationServerSettings, ProvenClient},
};

/// Puts the endpoints of a mount's issuer, and its description as a protected resource, before those of its contract.
pub fn beside(
    app: App,
    issuer: Option<&AuthorizationServerSettings>,
    resource: Option<ResourceFacts>,
    contract: Router,
) -> Router {
    if issuer.is_none() && resource.is_none() {
        return contract;
    }
    let mut router = Router::new();
    if let Some(own) = issuer {
        let path = path_of(&own.issuer);
        router = router
            .route(&format!("{}{path}", METADATA.path), get(published::server))
            .route(KEYS, get(published::keys))
            .route(TOKEN, post(token::give))
            .route(REVOKE, post(status::revoke))
            .route(INTROSPECT, post(status::introspect));
        if own.login {
            router = router.route(AUTHORIZE, get(login::ask).post(login::enter));
        }
    }
    if let Some(about) = resource {
        let path = format!("{}{}", RESOURCE.path, path_of(&about.resource));
        router = router.route(&path, get(async move || published::resource(&about)));
    }
    let standard = router
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(write::<wire::OAuth>));
    standard.with_state(app).fallback_service(contract)
}

/// Who asks, proven.
async fn proven(
    app: &App,
    headers: &HeaderMap,
    hop: &Hop,
    client: wire::Presented,
) -> Result<ProvenClient, wire::Refusal> {
    let proof = wire::presented(headers, client).map_err(wire::fault)?;
    Ok(app.identity.prove_client(&app.mount, &proof, &hop.actor()).await?)
}

/// The path of an address, without a slash at its end.
fn path_of(address: &str) -> String {
    let uri = address.parse::<http::Uri>();
    uri.map(|uri| uri.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}
