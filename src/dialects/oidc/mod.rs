//! The endpoints of browser login through an OpenID provider, the same beside every contract (OpenID Connect Core 1.0,
//! Back-Channel Logout 1.0).

pub mod routes;
pub mod wire;

use super::Endpoint;
use crate::pipeline::CredentialKind;

/// Where a login begins.
pub const LOGIN: &str = "/oidc/login";
/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/oidc/callback";
/// Where a browser logs out.
pub const LOGOUT: &str = "/oidc/logout";
/// Where the provider says that somebody has logged out there.
pub const BACKCHANNEL_LOGOUT: &str = "/oidc/backchannel-logout";
/// Where a page asks who is logged in.
pub const SESSION: &str = "/oidc/session";

/// All of them, relative to the mount's prefix.
pub static ENDPOINTS: [Endpoint; 5] = [
    Endpoint::public("GET", LOGIN),
    Endpoint::browser("GET", CALLBACK),
    Endpoint::browser("POST", LOGOUT),
    Endpoint::public("POST", BACKCHANNEL_LOGOUT),
    Endpoint::protected("GET", SESSION, &[CredentialKind::Session], false),
];
