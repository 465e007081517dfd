//! References to secrets: `file:PATH`, `env:NAME`, `cred:NAME`. The file never holds a secret itself.

use std::{fmt, path::PathBuf};

use super::{
    document::{Node, Value},
    shape::{Fault, Shape},
};
use crate::model::{Digest, SecretString, secret::ExposeSecret};

/// Where a secret is to be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// A file; its first trailing line break is not part of the secret.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    Cred(String),
}

/// What the outside offers; injected, so that tests set no environment.
pub trait Surroundings {
    /// An environment variable.
    fn var(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn read(&self, path: &std::path::Path) -> std::io::Result<String>;
    /// The text of a file that holds a secret.
    fn secret(&self, path: &std::path::Path) -> std::io::Result<String> {
        self.read(path)
    }
    /// The text of a file that is no secret. `None`: it is not to be had here, and need not be.
    fn public(&self, path: &std::path::Path) -> Option<std::io::Result<String>> {
        Some(self.read(path))
    }
    /// Whether secrets are made up, so that nothing can be held against them.
    fn is_made_up(&self) -> bool {
        false
    }
}

/// The real process environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &std::path::Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// A text that will do for every secret there is: long enough, another one for each name, without blanks, and in the form of
/// a password hash, since some secrets are one.
pub fn made_up(name: &str) -> String {
    let digest: String = Digest::of(name.as_bytes()).as_bytes().iter().map(letters).collect();
    format!("$argon2id$v=19$m=19456,t=2,p=1$bWFkZSB1cCBzYWx0IQ${digest}")
}

/// A byte as two letters, which base64 and everything else may hold.
fn letters(byte: &u8) -> String {
    [byte >> 4, byte & 0xf].map(|half| char::from(b'A' + half)).iter().collect()
}

impl SecretRef {
    /// Fetches the secret. The fault names the reference, never the value.
    pub fn resolve(&self, from: &dyn Surroundings) -> Result<SecretString, Fault> {
        let text = match self {
            SecretRef::File(path) => read_file(path, from)?,
            SecretRef::Env(name) => from.var(name).ok_or_else(|| {
                Fault::new(
                    format!("environment variable {name} is not set"),
                    format!("the secret is referenced as env:{name}"),
                    format!("set {name} for the process, or use file: or cred:"),
                )
            })?,
            SecretRef::Cred(name) => {
                let dir = from.var("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Fault::new(
                        format!("no credential \"{name}\": CREDENTIALS_DIRECTORY is not set"),
                        "cred: names a systemd credential, which only a unit has",
                        format!("add LoadCredential={name}:PATH to the unit, or use file:"),
                    )
                })?;
                read_file(&PathBuf::from(dir).join(name), from)?
            }
        };
        let text = text
            .strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            let why = "an empty secret protects nothing";
            return Err(Fault::new(
                format!("secret {self} is empty"),
                why,
                "write a value into it",
            ));
        }
        Ok(SecretString::from(text))
    }

    /// Makes a relative file reference absolute.
    pub fn based_on(self, base: &std::path::Path) -> Self {
        match self {
            SecretRef::File(path) => SecretRef::File(base.join(path)),
            other => other,
        }
    }
}

fn read_file(path: &std::path::Path, from: &dyn Surroundings) -> Result<String, Fault> {
    from.secret(path).map_err(|error| {
        Fault::new(
            format!("secret file {} cannot be read: {error}", path.display()),
            "the secret is referenced by this path",
            "create the file (mode 0600, owned by the service), or correct the path",
        )
    })
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "file:{}", path.display()),
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::Cred(name) => write!(f, "cred:{name}"),
        }
    }
}

impl SecretRef {
    /// A reference as it is typed at a command; `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
        match kind {
            "file" => Some(SecretRef::File(rest.into())),
            "env" => Some(SecretRef::Env(rest.to_owned())),
            "cred" => Some(SecretRef::Cred(rest.to_owned())),
            _ => None,
        }
    }
}

impl Shape for SecretRef {
    const EXPECTED: &'static str = "a reference: \"file:PATH\", \"env:NAME\" or \"cred:NAME\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        // The text may be a secret by mistake: no message repeats it.
        let refused = |what: &str| {
            Fault::new(
                what,
                "a secret in the configuration ends up in backups, logs and version control",
                format!("put it into a file of mode 0600 and write {}", Self::EXPECTED),
            )
        };
        let Value::Text(text) = &node.value else {
            return Err(refused("expected a reference to a secret"));
        };
        let name = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (!text.is_empty() && text != ".." && text.chars().all(plain)).then(|| text.to_owned())
        };
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(SecretRef::File(path.into())),
            Some(("env", rest)) => {
                name(rest).map(SecretRef::Env).ok_or_else(|| refused("bad variable name"))
            }
            Some(("cred", rest)) => {
                name(rest).map(SecretRef::Cred).ok_or_else(|| refused("bad credential name"))
            }
            _ => Err(refused("a secret stands in the configuration itself")),
        }
    }

    fn write(&self) -> toml::Value {
        toml::Value::String(self.to_string())
    }
}

/// Whether two secrets are the same, compared by digest.
pub fn same(a: &SecretString, b: &SecretString) -> bool {
    use crate::model::Digest;
    Digest::of(a.expose_secret().as_bytes()) == Digest::of(b.expose_secret().as_bytes())
}
