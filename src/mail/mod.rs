//! Mail: a letter is rendered from a template and handed to a mail server, or written into a folder. It is never sent while
//! somebody waits for an answer: the outbox brings it here (`run/deliveries.rs`).

mod folder;
mod letter;
mod smtp;
pub mod templates;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

pub use letter::Letter;
pub use templates::Templates;

use crate::model::SecretString;

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sender, as `Name <address>` or an address.
    pub from: String,
    /// Where to.
    pub route: Route,
    /// What letters say.
    pub templates: Templates,
}

/// Where letters go.
#[derive(Clone, Debug)]
pub enum Route {
    /// To a mail server.
    Smtp(Smtp),
    /// Into files of a folder, for trials: nobody gets them.
    Folder(PathBuf),
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Host name; the certificate must be for it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Login name and password.
    pub login: Option<(String, SecretString)>,
    /// Certificates (PEM) of an authority of one's own, beside those of the system.
    pub authorities: Option<String>,
    /// How long a conversation may take.
    pub timeout: Duration,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS; without it nothing is sent (RFC 3207).
    Starttls,
    /// Nothing at all.
    Plain,
}

/// Why a letter did not leave. Neither addresses nor what the server said: it likes to repeat addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It may leave later.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    Never(String),
}

/// Sends letters.
pub struct Mailer {
    from: lettre::message::Mailbox,
    templates: Templates,
    carrier: Carrier,
}

enum Carrier {
    Smtp(Box<smtp::Carrier>),
    Folder(PathBuf),
}

impl Mailer {
    /// Puts it together; says what is wrong with the settings. Opens no connection.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let from = settings.from.parse().map_err(|_| format!("\"{}\" is no sender", settings.from));
        let carrier = match &settings.route {
            Route::Smtp(server) => Carrier::Smtp(Box::new(smtp::Carrier::new(server)?)),
            Route::Folder(folder) => Carrier::Folder(folder.clone()),
        };
        Ok(Self { from: from?, templates: settings.templates.clone(), carrier })
    }

    /// Renders and sends one letter. `id` is the same at every try, so that a doubled letter can be known as one.
    pub async fn send(&self, mount: &str, id: &str, letter: &Letter) -> Result<(), MailError> {
        let text = self.templates.render(mount, &letter.template, &letter.with);
        let text = text.map_err(|error| MailError::Never(format!("template: {error}")))?;
        let message = letter.message(&self.from, id, text)?;
        match &self.carrier {
            Carrier::Smtp(carrier) => carrier.send(message).await,
            Carrier::Folder(folder) => folder::write(folder, id, &message.formatted()).await,
        }
    }
}
