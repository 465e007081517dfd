//! Quantities with a unit: durations, sizes, rates.

use std::time::Duration;

use toml::Value as Toml;

use super::{Fault, Shape, bad, text};
use crate::{config::document::Node, pipeline::Window};

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
        let fit = units.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
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

/// Splits `"15m"` into `("15", "m")`.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document::Value, problem::Place};

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
