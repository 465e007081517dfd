//! What is asked of issuers outside: their keys, fetched ahead of need and kept, and whether an opaque token is good,
//! and who it is that somebody logged in as.
//!
//! Only addresses of the configuration are asked, or such as an issuer names at an origin of the configuration. An issuer
//! that is away, slow or talking nonsense costs its own callers a 503 once its last good keys are too old, and nobody else
//! anything.

mod client;
mod discovery;
mod held;
mod introspection;
mod keeper;
mod openid;
mod registry;
mod rounds;
mod settings;
mod shelf;
mod state;
mod turns;

pub use client::{FetchFault, is_safe};
pub use discovery::Described;
pub use held::Held;
pub use introspection::{Asker, Untold};
pub use keeper::Keeper;
pub use openid::{Given, OpenId, Trouble};
pub use registry::{Issuers, Parts};
pub use rounds::{NotInTime, Waiting};
pub use settings::{Asking, Client, Fetching, KeysAt, Settings};
pub use shelf::Shelf;
pub use state::KeyState;
pub use turns::Turns;
