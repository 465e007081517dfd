//! How single values look in the file: text such as `"15m"` or `"100/min"` to a typed value and back.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use toml::Value as Toml;

use super::document::{Node, Value};
use crate::pipeline::{Per, Window};

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

impl Shape for Duration {
    const EXPECTED: &'static str = "a duration such as \"15m\", \"2s\" or \"250ms\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let (number, unit) = split_number(text);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => {
                let why = "a duration is a whole number and one of ms, s, m, h, d";
                return Err(bad::<Self>("duration", text, why));
            }
        };
        let number: Option<u64> = number.parse().ok();
        // A hundred years: longer is surely a slip, and adding it to a time must not overflow.
        number
            .and_then(|number| number.checked_mul(millis))
            .filter(|millis| *millis <= 36_525 * 86_400_000)
            .map(Duration::from_millis)
            .ok_or_else(|| bad::<Self>("duration", text, "the number is missing or too large"))
    }

    fn write(&self) -> Toml {
        let millis = self.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let fit = units.iter().find(|(unit, _)| millis >= *unit && millis % unit == 0);
        Toml::String(match fit {
            Some((unit, name)) => format!("{}{name}", millis / unit),
            None if millis == 0 => "0s".into(),
            None => format!("{millis}ms"),
        })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Shape for Size {
    const EXPECTED: &'static str = "a size such as \"64KiB\", \"10MiB\" or \"500B\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let (number, unit) = split_number(text);
        let bytes: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => {
                let why = "a size is a whole number and one of B, KiB, MiB, GiB";
                return Err(bad::<Self>("size", text, why));
            }
        };
        let number: Option<u64> = number.parse().ok();
        number
            .and_then(|number| number.checked_mul(bytes))
            .map(Size)
            .ok_or_else(|| bad::<Self>("size", text, "the number is missing or too large"))
    }

    fn write(&self) -> Toml {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fit = units.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        Toml::String(match fit {
            Some((unit, name)) => format!("{}{name}", self.0 / unit),
            None => format!("{}B", self.0),
        })
    }
}

impl Shape for Window {
    const EXPECTED: &'static str = "a rate such as \"100/min\" or \"1000/h\"";

    fn read(node: &Node) -> Result<Self, Fault> {
        let text = text::<Self>(node)?;
        let wrong = |why: &str| bad::<Self>("rate", text, why);
        let Some((number, span)) = text.split_once('/') else {
            return Err(wrong("a rate is a number, a slash and a span"));
        };
        let limit = number.trim().parse().ok().filter(|limit: &u32| *limit > 0);
        let limit = limit.ok_or_else(|| wrong("the number must be between 1 and 4294967295"))?;
        let span = span.trim();
        let secs = match split_number(span) {
            ("", "s" | "sec" | "second") => Some(1),
            ("", "m" | "min" | "minute") => Some(60),
            ("", "h" | "hour") => Some(3_600),
            ("", "d" | "day") => Some(86_400),
            (count, unit) => {
                let unit = match unit {
                    "s" => 1,
                    "m" | "min" => 60,
                    "h" => 3_600,
                    "d" => 86_400,
                    _ => return Err(wrong("the span is one of s, min, h, d, or several: 10s")),
                };
                count.parse::<u64>().ok().and_then(|count| count.checked_mul(unit))
            }
        };
        let secs = secs.filter(|secs| (1..=31 * 86_400).contains(secs));
        let secs = secs.ok_or_else(|| wrong("the span must be between 1 second and 31 days"))?;
        Ok(Window { limit, per: Duration::from_secs(secs) })
    }

    fn write(&self) -> Toml {
        let span = match self.per.as_secs() {
            1 => "s".to_owned(),
            60 => "min".to_owned(),
            3_600 => "h".to_owned(),
            86_400 => "d".to_owned(),
            secs => format!("{secs}s"),
        };
        Toml::String(format!("{}/{span}", self.limit))
    }
}

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
            let expected = format!("a list of {}", T::EXPECTED);
            return Err(Fault::kind(&expected, node));
        };
        items.iter().map(T::read).collect()
    }

    fn write(&self) -> Toml {
        Toml::Array(self.iter().map(Shape::write).collect())
    }
}

/// Splits `"15m"` into `("15", "m")`.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;

    fn node(text: &str) -> Node {
        Node { value: Value::Text(text.into()), place: Place::START }
    }

    fn again<T: Shape>(text: &str) -> Option<String> {
        T::read(&node(text)).ok().and_then(|value| value.write().as_str().map(str::to_owned))
    }

    #[test]
    fn durations_read_and_write_in_their_largest_unit() {
        for (text, out) in
            [("15m", "15m"), ("60s", "1m"), ("250ms", "250ms"), ("0s", "0s"), ("720h", "30d")]
        {
            assert_eq!(again::<Duration>(text).as_deref(), Some(out));
        }
        for text in ["", "15", "m", "1.5h", "-1s", "15 m", "99999999999999999999s", "1w"] {
            assert_eq!(again::<Duration>(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_and_rates_read_back_as_written() {
        for text in ["64KiB", "10MiB", "500B", "2GiB", "0B"] {
            assert_eq!(again::<Size>(text).as_deref(), Some(text));
        }
        for (text, out) in [("100/min", "100/min"), ("1000/hour", "1000/h"), ("5/10s", "5/10s")] {
            assert_eq!(again::<Window>(text).as_deref(), Some(out));
        }
        for text in ["100", "0/min", "100/week", "x/min", "1/0s", "-1/s"] {
            assert_eq!(again::<Window>(text), None, "{text}");
        }
        for text in ["64kb", "1.5MiB", "MiB", "99999999999GiB"] {
            assert_eq!(again::<Size>(text), None, "{text}");
        }
    }
}
