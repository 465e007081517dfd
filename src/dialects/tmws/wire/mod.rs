//! Bodies of tmws, pure: requests as they are read, replies and refusals as they are written. No HTTP server types.

mod refusals;
mod replies;
mod requests;

pub use refusals::{Refusal, Shape};
pub use replies::{Created, CurrentKey, Deleted, KeyList, Rotated, Tokens, User, health, tokens};
pub use requests::{ChangePassword, CreateKey, CreateUser, LogIn, LogOut, Refresh, RotateKey};

#[cfg(test)]
mod tests;
