//! Everything that goes over the wire in hh: bodies and refusals as they are written. No HTTP server types.

mod events;
mod page;
mod refusals;
mod replies;
mod requests;

pub use events::core_name;
pub use page::{Language, Page};
pub use refusals::{Refusal, Shape};
pub use replies::{
    AllowEntry, AllowList, AuditLog, ListedSessions, Opened, Ping, Profile, Start, Statistics,
    Token, WhiteEntry, WhiteList, health,
};
pub use requests::{
    AuditQuery, BySession, CallbackQuery, Exchange, ListQuery, NewEntry, SessionQuery, WhiteNew,
};

#[cfg(test)]
mod tests;
