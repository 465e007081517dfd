//! A mail server (RFC 5321) that keeps what it was given and refuses as it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::wait;

/// A letter as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub from: String,
    pub to: String,
    /// Header and body.
    pub text: String,
    /// What the client logged in with, decoded: `\0name\0password`.
    pub login: Option<String>,
    /// Whether it came over TLS.
    pub over_tls: bool,
}

impl Letter {
    /// The longest paragraph that is one word: where the product's own letters say the code. The encoding of the body folds
    /// long lines; that is undone here.
    pub fn code(&self) -> String {
        let (_, body) = self.text.split_once("\r\n\r\n").expect("a body");
        let body = body.replace("=\r\n", "").replace("=3D", "=");
        let paragraphs = body.split("\r\n\r\n").map(str::trim);
        let words = paragraphs.filter(|part| !part.contains(' '));
        words.max_by_key(|word| word.len()).expect("a code").to_owned()
    }
}

/// What the server does beside taking letters.
#[derive(Clone, Default)]
pub struct Manners {
    /// Answers to RCPT in order, before letters are taken: `451 later`, `550 never`.
    pub refusals: Vec<&'static str>,
    /// Speaks TLS from the first byte, or after STARTTLS.
    pub tls: Option<(Arc<rustls_of_tests::Acceptor>, bool)>,
    /// Asks for a login.
    pub login: bool,
}

/// TLS for tests lives in one place.
pub mod rustls_of_tests {
    pub use tokio_rustls::TlsAcceptor as Acceptor;
}

/// A running server; it ends with the test program.
#[derive(Clone)]
pub struct Smtp {
    pub address: SocketAddr,
    letters: Arc<Mutex<Vec<Letter>>>,
    tries: Arc<Mutex<usize>>,
}

impl Smtp {
    /// In plain, taking everything.
    pub async fn start() -> Self {
        Self::with(Manners::default()).await
    }

    pub async fn with(manners: Manners) -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address"), manners).await
    }

    pub async fn at(address: SocketAddr, manners: Manners) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let server = Smtp {
            address: listener.local_addr().expect("an address"),
            letters: Arc::default(),
            tries: Arc::default(),
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, manners) = (own.clone(), manners.clone());
                tokio::spawn(async move {
                    match &manners.tls {
                        Some((acceptor, true)) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                server.talk(stream, &manners, true, true).await;
                            }
                        }
                        Some((acceptor, false)) => {
                            if let Some(stream) = server.talk(stream, &manners, false, true).await
                                && let Ok(stream) = acceptor.accept(stream).await
                            {
                                server.talk(stream, &manners, true, false).await;
                            }
                        }
                        None => drop(server.talk(stream, &manners, false, true).await),
                    }
                });
            }
        });
        server
    }

    /// Letters taken so far.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().expect("no panic inside").clone()
    }

    /// How often somebody wanted to hand over a letter.
    pub fn tries(&self) -> usize {
        *self.tries.lock().expect("no panic inside")
    }

    /// Waits for the letter with this place, from 0.
    pub async fn letter(&self, place: usize) -> Letter {
        wait::until("a letter", || async { self.letters().get(place).cloned() }).await
    }

    /// One conversation; gives the stream back when the client asks for TLS.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        manners: &Manners,
        over_tls: bool,
        greet: bool,
    ) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if greet {
            stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
        }
        let (mut from, mut to, mut login) = (String::new(), String::new(), None);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let answer = match word.as_str() {
                "EHLO" => {
                    let mut lines = String::from("250-mail.test\r\n");
                    if manners.tls.is_some() && !over_tls {
                        lines.push_str("250-STARTTLS\r\n");
                    }
                    if manners.login {
                        lines.push_str("250-AUTH PLAIN\r\n");
                    }
                    lines.push_str("250 8BITMIME");
                    lines
                }
                "STARTTLS" => {
                    stream.write_all(b"220 go ahead\r\n").await.ok()?;
                    return Some(stream.into_inner());
                }
                "AUTH" => {
                    use base64::Engine;
                    let coded = line.rsplit(' ').next().unwrap_or_default();
                    let plain = base64::engine::general_purpose::STANDARD.decode(coded).ok()?;
                    login = Some(String::from_utf8(plain).ok()?);
                    "235 welcome".into()
                }
                "MAIL" => {
                    from = address(&line);
                    "250 ok".into()
                }
                "RCPT" => {
                    to = address(&line);
                    let mut tries = self.tries.lock().expect("no panic inside");
                    let refusal = manners.refusals.get(*tries).copied();
                    *tries += 1;
                    refusal.unwrap_or("250 ok").into()
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    let mut text = String::new();
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line).await.ok()? == 0 {
                            return None;
                        }
                        if line == ".\r\n" {
                            break;
                        }
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    let (from, to, login) = (from.clone(), to.clone(), login.clone());
                    let letter = Letter { from, to, text, login, over_tls };
                    self.letters.lock().expect("no panic inside").push(letter);
                    "250 taken".into()
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await.ok()?;
                    return None;
                }
                _ => "250 ok".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
