//! A letter as it comes out of the outbox, and as a message (RFC 5322).

use lettre::{
    Message,
    message::{
        Mailbox,
        header::{ContentType, MIME_VERSION_1_0},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{MailError, templates::Text};

/// What is to be said to whom.
#[derive(Clone, Deserialize)]
pub struct Letter {
    /// Name of the template.
    pub template: String,
    /// Address.
    pub to: String,
    /// What the template may say. It holds codes.
    pub with: Map<String, Value>,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("template", &self.template).finish_non_exhaustive()
    }
}

impl Letter {
    /// The message. An address that is none never becomes one.
    pub(super) fn message(
        &self,
        from: &Mailbox,
        id: &str,
        text: Text,
    ) -> Result<Message, MailError> {
        let never = |what: &str| MailError::Never(what.to_owned());
        let to = self.to.parse().map_err(|_| never("the address cannot be written to"))?;
        let domain = from.email.domain();
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to))
            .subject(text.subject)
            .message_id(Some(format!("<{id}@{domain}>")))
            // Without it a strict reader takes the encoded text as it stands (RFC 2045 section 4).
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(text.body)
            .map_err(|_| never("the message cannot be built"))
    }
}
