//! The page for a login that did not work.

use super::Refusal;
use crate::dialects::{html::escaped, oauth::wire::LoginPage};

/// A page with the policy it is to be sent with.
pub struct Page;

impl Page {
    /// Says what happened, with the code and the id of the request for whoever is asked about it.
    pub fn refused(refusal: &Refusal, request_id: &str, nonce: &str) -> LoginPage {
        let text = format!(
            "{}<br><small>{} &middot; {}</small>",
            escaped(&refusal.text),
            escaped(refusal.reason),
            escaped(request_id)
        );
        LoginPage::told("Not logged in", &text, nonce)
    }
}
