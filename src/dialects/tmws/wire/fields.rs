//! Reads the fields of a JSON object one by one and remembers every one that does not fit, in the shape that the
//! original's validation answers have: `{loc, msg, type}`. Unknown fields are ignored.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::SecretString;

/// One field that does not fit. Never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Where: `["body", "username"]`.
    pub loc: Vec<String>,
    /// One sentence.
    pub msg: String,
    /// Stable kind.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Detail {
    /// About one field of the body; an empty name means the body itself.
    pub fn new(field: &str, kind: &str, msg: impl Into<String>) -> Self {
        let mut loc = vec!["body".to_owned()];
        if !field.is_empty() {
            loc.push(field.to_owned());
        }
        Self { loc, msg: msg.into(), kind: kind.to_owned() }
    }
}

/// A request body.
pub trait Request: Sized {
    /// Whether an absent body counts as `{}`.
    const MAY_BE_EMPTY: bool = false;

    /// Takes the fields. `None` only after [`Fields`] was told why.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// Reads a whole body, or tells everything that is wrong with it.
pub fn parse<T: Request>(body: &[u8]) -> Result<T, Vec<Detail>> {
    let object =
        if T::MAY_BE_EMPTY && body.trim_ascii().is_empty() { Map::new() } else { object(body)? };
    let mut fields = Fields { object, wrong: Vec::new() };
    match T::read(&mut fields) {
        Some(request) if fields.wrong.is_empty() => Ok(request),
        _ => Err(fields.wrong),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Vec<Detail>> {
    if body.trim_ascii().is_empty() {
        return Err(vec![Detail::new("", "missing", "Field required")]);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(vec![Detail::new("", "object_type", "Input should be an object")]),
        // The position helps and repeats nothing; the library's sentence may quote the input.
        Err(error) => Err(vec![Detail::new(
            "",
            "json_invalid",
            format!("JSON decode error at line {} column {}", error.line(), error.column()),
        )]),
    }
}

/// The fields of one object.
pub struct Fields {
    object: Map<String, Value>,
    wrong: Vec<Detail>,
}

impl Fields {
    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.object.remove(name) {
            None => self.refuse(name, "missing", "Field required"),
            Some(Value::String(text)) => Some(text),
            Some(_) => self.refuse(name, "string_type", "Input should be a valid string"),
        }
    }

    /// A secret text that must be there.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// A text that must be there and has `min` to `max` characters.
    pub fn bounded_text(&mut self, name: &str, min: usize, max: usize) -> Option<String> {
        let text = self.text(name)?;
        self.within(name, text, min, max)
    }

    /// A text that may be absent or null and has at most `max` characters.
    pub fn optional_text(&mut self, name: &str, max: usize) -> Option<String> {
        self.present(name)?;
        let text = self.text(name)?;
        self.within(name, text, 0, max)
    }

    /// A list of texts that may be absent or null.
    pub fn optional_texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.present(name)?;
        let Some(Value::Array(items)) = self.object.remove(name) else {
            return self.refuse(name, "list_type", "Input should be a valid list");
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else {
                return self.refuse(name, "string_type", "Every item should be a valid string");
            };
            texts.push(text);
        }
        Some(texts)
    }

    /// A whole number that may be absent or null. `1.0` and `"1"` are no whole numbers.
    pub fn optional_int(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        self.present(name)?;
        let value = self.object.remove(name)?;
        // A negative or huge integer is an integer out of range, not another type.
        let Some(number) = value.as_number().filter(|number| !number.is_f64()) else {
            return self.refuse(name, "int_type", "Input should be a valid integer");
        };
        match number.as_u64() {
            Some(number) if number < min => self.too_small(name, min),
            Some(number) if number > max => {
                let msg = format!("Input should be less than or equal to {max}");
                self.refuse(name, "less_than_equal", &msg)
            }
            Some(number) => Some(number),
            None => self.too_small(name, min),
        }
    }

    /// Notes that a field does not fit.
    pub fn refuse<T>(&mut self, name: &str, kind: &str, msg: &str) -> Option<T> {
        self.wrong.push(Detail::new(name, kind, msg));
        None
    }

    /// `None` for an absent or null field, and takes a null away.
    fn present(&mut self, name: &str) -> Option<()> {
        match self.object.get(name) {
            None => None,
            Some(Value::Null) => {
                self.object.remove(name);
                None
            }
            Some(_) => Some(()),
        }
    }

    fn within(&mut self, name: &str, text: String, min: usize, max: usize) -> Option<String> {
        let length = text.chars().count();
        if length < min {
            let msg = format!("String should have at least {min} characters");
            return self.refuse(name, "string_too_short", &msg);
        }
        if length > max {
            let msg = format!("String should have at most {max} characters");
            return self.refuse(name, "string_too_long", &msg);
        }
        Some(text)
    }

    fn too_small<T>(&mut self, name: &str, min: u64) -> Option<T> {
        let msg = format!("Input should be greater than or equal to {min}");
        self.refuse(name, "greater_than_equal", &msg)
    }
}
