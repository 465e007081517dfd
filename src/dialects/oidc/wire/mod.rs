//! How browser login looks on the wire: what is read, the refusals, the page for people.

mod page;
mod refusals;
mod requests;

pub use page::Page;
pub use refusals::{Oidc, Refusal};
pub use requests::{CallbackQuery, LoginQuery, LogoutForm, who};
