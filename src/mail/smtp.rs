//! Letters to a mail server (RFC 5321), over TLS, STARTTLS, or in plain on loopback.

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{MailError, Security, Smtp};
use crate::model::secret::ExposeSecret;

/// A connection per letter: mail is rare here.
pub(super) struct Carrier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Carrier {
    pub(super) fn new(server: &Smtp) -> Result<Self, String> {
        let tls = match server.security {
            Security::Plain => Tls::None,
            Security::Tls => Tls::Wrapper(parameters(server)?),
            Security::Starttls => Tls::Required(parameters(server)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .timeout(Some(server.timeout))
            .tls(tls);
        if let Some((name, password)) = &server.login {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(name.clone(), password));
        }
        Ok(Self { transport: builder.build() })
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), MailError> {
        self.transport.send(message).await.map(drop).map_err(|error| told(&error))
    }
}

fn parameters(server: &Smtp) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.authorities {
        let found = Certificate::from_pem(pem.as_bytes());
        builder = builder
            .add_root_certificate(found.map_err(|_| "no certificate in the file".to_owned())?);
    }
    builder.build_rustls().map_err(|_| "TLS cannot be set up".to_owned())
}

/// The kind of an error and the server's number; never its words.
fn told(error: &Error) -> MailError {
    match error.status() {
        Some(code) if error.is_permanent() => MailError::Never(format!("mail server: {code}")),
        Some(code) => MailError::Later(format!("mail server: {code}")),
        None if error.is_timeout() => MailError::Later("mail server: no answer in time".to_owned()),
        None if error.is_tls() => MailError::Later("mail server: TLS failed".to_owned()),
        None if error.is_client() => {
            MailError::Later("mail server: it lacks what the settings ask for".to_owned())
        }
        None => MailError::Later("mail server: not reachable".to_owned()),
    }
}
