//! Bodies of archon, pure: requests as they are read, replies and refusals as they are written, all in one envelope and in
//! snake case. No HTTP server types.

mod envelope;
mod refusals;
mod replies;
mod requests;
mod webhooks;

pub use envelope::{Meta, Page, envelope, trace_id};
pub use refusals::{Refusal, Shape};
pub use replies::{device_of, health, login, message, refreshed, session, session_id, user};
pub use requests::{
    AdminChange, AdminQuery, Agent, AgentToken, ChangePassword, Confirm, Email, LogIn, PageQuery,
    Profile, Refresh, Register, Token, plain_session_id,
};
pub use webhooks::{Change, Create, delivery, webhook};
