//! How the standard endpoints look on the wire.

mod client;
mod login;
mod metadata;
mod refusals;
mod requests;

pub use client::{Presented, presented};
pub use login::{LoginPage, wrong_login};
pub use metadata::{resource, server};
pub use refusals::{OAuth, Refusal, fault};
pub use requests::{
    ACCESS_TOKEN, AGENT_TOKEN, AuthorizeQuery, Kind, LoginForm, Posted, TOKEN_EXCHANGE, TokenBody,
};
