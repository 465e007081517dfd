//! What goes over the wire: requests, replies, refusals. Field names and codes, no rule.

mod refusals;
mod replies;
mod requests;
#[cfg(test)]
mod tests;

pub use refusals::{During, Refusal, Shape};
pub use replies::{Token, User};
pub use requests::{Address, LogIn, Register, Reset, Update, Verify};
