//! How single values look in the file: text such as `"15m"` or `"100/min"` to a typed value and back.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use toml::Value as Toml;

use super::{
    document::{Node, Value},
    problem::Place,
};
use crate::pipeline::Per;

mod units;

pub use units::Size;

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// Why it is not accepted.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

impl Fault {
    /// A fault in words.
    pub fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into() }
    }

    fn kind(expected: &str, node: &Node) -> Self {
        Self::new(
            format!("expected {expected}, found {}", node.value.kind()),
            "the value has the wrong type",
            format!("write {expected}"),
        )
    }
}

/// A type that can stand as a value in the file.
pub trait Shape: Sized {
    /// What the operator must write, with an example.
    const EXPECTED: &'static str;
    /// Reads it.
    fn read(node: &Node) -> Result<Self, Fault>;
    /// Writes it in the form [`Shape::read`] takes.
    fn write(&self) -> Toml;
}

/// The text of a node, for shapes that are written as strings.
fn text<T: Shape>(node: &Node) -> Result<&str, Fault> {
    match &node.value {
        Value::Text(text) => Ok(text),
        _ => Err(Fault::kind(T::EXPECTED, node)),
    }
}

fn bad<T: Shape>(name: &str, text: &str, why: impl Into<String>) -> Fault {
    Fault::new(format!("bad {name} \"{text}\""), why, format!("write {}", T::EXPECTED))
}

impl Shape for String {
    const EXPECTED: &'static str = "a string";

    fn read(node: &Node) -> Result<Self, Fault> {
        text::<Self>(node).map(str::to_owned)
    }

    fn write(&self) -> Toml {
        Toml::String(self.clone())
    }
}

impl Shape for Arc<str> {
    const EXPECTED: &'static str = "a string";

    fn read(node: &Node) -> Result<Self, Fault> {
        text::<Self>(node).map(Into::into)
    }

    fn write(&self) -> Toml {
        Toml::String(self.to_string())
    }
}

impl Shape for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(node: &Node) -> Result<Self, Fault> {
        match node.value {
            Value::Bool(flag) => Ok(flag),
            _ => Err(Fault::kind(Self::EXPECTED, node)),
        }
    }

    fn write(&self) -> Toml {
        Toml::Boolean(*self)
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Shape for $type {
            const EXPECTED: &'static str = "a whole number such as 10";

            fn read(node: &Node) -> Result<Self, Fault> {
                let Value::Integer(number) = node.value else {
                    return Err(Fault::kind(Self::EXPECTED, node));
                };
                Self::try_from(number).map_err(|_| {
                    let why = format!("it must be between 0 and {}", <$type>::MAX);
                    Fault::new(format!("{number} is out of range"), why, "write a number in range")
                })
            }

            fn write(&self) -> Toml {
                Toml::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}
whole_number!(u32, usize);

impl Shape for Per {
    const EXPECTED: &'static str =
        "one of \"client\", \"key\", \"user\", \"tenant\", \"route\", \"credential\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        per_name(text).ok_or_else(|| bad::<Self>("scope of a limit", text, "it is not a known one"))
    }

    fn write(&self) -> Toml {
        Toml::String(
            match self {
                Per::Client => "client",
                Per::Key => "key",
                Per::User => "user",
                Per::Tenant => "tenant",
                Per::Route => "route",
                Per::Credential => "credential",
            }
            .into(),
        )
    }
}

fn per_name(text: &str) -> Option<Per> {
    Some(match text {
        "client" => Per::Client,
        "key" => Per::Key,
        "user" => Per::User,
        "tenant" => Per::Tenant,
        "route" => Per::Route,
        "credential" => Per::Credential,
        _ => return None,
    })
}

macro_rules! parsed_text {
    ($type:ty, $name:literal, $expected:literal, $why:literal) => {
        impl Shape for $type {
            const EXPECTED: &'static str = $expected;

            fn read(node: &Node) -> Result<Self, Fault> {
                let text = text::<Self>(node)?;
                text.parse().map_err(|_| bad::<Self>($name, text, $why))
            }

            fn write(&self) -> Toml {
                Toml::String(self.to_string())
            }
        }
    };
}
parsed_text!(
    SocketAddr,
    "address",
    "an address such as \"127.0.0.1:8000\" or \"[::1]:8000\"",
    "an address is an IP address and a port"
);
parsed_text!(
    HeaderName,
    "header name",
    "a header name such as \"x-team\"",
    "it is no token (RFC 9110)"
);

impl Shape for HeaderValue {
    const EXPECTED: &'static str = "a header value of visible ASCII characters";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let visible = text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| visible);
        value.ok_or_else(|| bad::<Self>("header value", text, "it has control or non-ASCII bytes"))
    }

    fn write(&self) -> Toml {
        Toml::String(self.to_str().unwrap_or_default().to_owned())
    }
}

impl Shape for Method {
    const EXPECTED: &'static str = "a method in upper case such as \"GET\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let usual = text.bytes().all(|byte| byte.is_ascii_uppercase());
        match text.parse() {
            Ok(Method::TRACE | Method::CONNECT) => {
                Err(bad::<Self>("method", text, "TRACE and CONNECT are refused everywhere"))
            }
            Ok(method) if usual && !text.is_empty() => Ok(method),
            _ => Err(bad::<Self>("method", text, "methods are words in upper case")),
        }
    }

    fn write(&self) -> Toml {
        Toml::String(self.to_string())
    }
}

impl Shape for IpNet {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\" or an address";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let single = || text.parse().ok().map(|address: std::net::IpAddr| address.into());
        let net: Option<IpNet> = text.parse().ok().or_else(single);
        net.ok_or_else(|| bad::<Self>("network", text, "it is no IP address or network"))
    }

    fn write(&self) -> Toml {
        Toml::String(self.to_string())
    }
}

impl Shape for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        if text.is_empty() || text.contains('\0') {
            return Err(bad::<Self>("path", text, "it is empty or has a NUL byte"));
        }
        Ok(PathBuf::from(text))
    }

    fn write(&self) -> Toml {
        Toml::String(self.display().to_string())
    }
}

impl<T: Shape> Shape for Vec<T> {
    const EXPECTED: &'static str = "a list in square brackets";

    fn read(node: &Node) -> Result<Self, Fault> {
        let Value::List(items) = &node.value else {
            // On the command line one value may stand for a list of one: brackets need quoting there.
            if matches!(node.place, Place::Set(_))
                && let Ok(only) = T::read(node)
            {
                return Ok(vec![only]);
            }
            let expected = format!("a list in square brackets of {}", T::EXPECTED);
            return Err(Fault::kind(&expected, node));
        };
        items.iter().map(T::read).collect()
    }

    fn write(&self) -> Toml {
        Toml::Array(self.iter().map(Shape::write).collect())
    }
}
