//! Reads the fields of a request one by one and remembers every one that does not fit, with the place where it stands.
//! One reader for JSON bodies, HTML forms and queries. Unknown fields are ignored.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::SecretString;

mod detail;

pub use detail::Detail;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A JSON object.
    Json,
    /// An HTML form: `application/x-www-form-urlencoded` or `multipart/form-data`.
    Form,
}

/// How field names may be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casing {
    /// Exactly as the contract writes them.
    Exact,
    /// `remember_me` also as `rememberMe`. Both given with different values is a fault.
    Either,
}

/// A request: a body, or a query.
pub trait Request: Sized {
    /// Whether an absent body, or `null`, counts as `{}`. A query may always be absent.
    const MAY_BE_EMPTY: bool = false;
    /// How the body is written.
    const ENCODING: Encoding = Encoding::Json;
    /// How names may be spelled.
    const CASING: Casing = Casing::Exact;

    /// Takes the fields. `None` only after [`Fields`] was told why.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// Reads a whole JSON body, or tells everything that is wrong with it.
pub fn parse<T: Request>(body: &[u8]) -> Result<T, Vec<Detail>> {
    // Some clients write `null` where they have nothing to say.
    let nothing = T::MAY_BE_EMPTY && matches!(body.trim_ascii(), b"" | b"null");
    let object = if nothing { Map::new() } else { object(body)? };
    finish(Fields { object, ..Fields::empty("body", T::CASING) })
}

/// Reads the pairs of a form.
pub fn parse_form<T: Request>(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<T, Vec<Detail>> {
    finish(Fields { object: gathered(pairs), text_only: true, ..Fields::empty("body", T::CASING) })
}

/// Reads a query as it was sent, without `?`.
pub fn parse_query<T: Request>(query: Option<&str>) -> Result<T, Vec<Detail>> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
    finish(Fields { object: gathered(pairs), text_only: true, ..Fields::empty("query", T::CASING) })
}

fn finish<T: Request>(mut fields: Fields) -> Result<T, Vec<Detail>> {
    match T::read(&mut fields) {
        Some(request) if fields.wrong.is_empty() => Ok(request),
        _ => Err(fields.wrong),
    }
}

/// A name that comes again makes a list: whoever wants one text refuses it, and nobody picks one by chance.
fn gathered(pairs: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, text) in pairs {
        let text = Value::String(text);
        match object.get_mut(&name) {
            None => drop(object.insert(name, text)),
            Some(Value::Array(texts)) => texts.push(text),
            Some(first) => *first = Value::Array(vec![first.take(), text]),
        }
    }
    object
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Vec<Detail>> {
    let wrong = |kind: &str, msg: String| Err(vec![Detail::new("", kind, msg)]);
    if body.trim_ascii().is_empty() {
        return wrong("missing", "Field required".to_owned());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => wrong("object_type", "Input should be an object".to_owned()),
        // The position helps and repeats nothing; the library's sentence may quote the input.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            wrong("json_invalid", format!("JSON decode error at line {line} column {column}"))
        }
    }
}

/// The fields of one object.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    /// Where the object stands: `["body"]`, `["body", "retry_policy"]`.
    at: Vec<String>,
    casing: Casing,
    /// Forms and queries: everything is text, numbers and booleans are written in it.
    text_only: bool,
    /// Whether a field came in the other spelling, and whether one came in the contract's own.
    spelled: (bool, bool),
    wrong: Vec<Detail>,
}

impl Fields {
    fn empty(at: &str, casing: Casing) -> Self {
        let at = vec![at.to_owned()];
        let (object, wrong) = (Map::new(), Vec::new());
        Self { object, at, casing, text_only: false, spelled: (false, false), wrong }
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let text = self.any_text(name)?;
        self.without_nul(name, text)
    }

    fn any_text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            None => self.refuse(name, "missing", "Field required"),
            // Forms and queries are decoded leniently: what was no UTF-8 must not become equal to something else.
            Some(Value::String(text)) if self.text_only && text.contains('\u{fffd}') => {
                self.refuse(name, "string_unicode", "Input should be valid UTF-8")
            }
            Some(Value::String(text)) => Some(text),
            Some(_) => self.refuse(name, "string_type", "Input should be a valid string"),
        }
    }

    /// No text of ours has the character that not every store can keep, and that ends a text elsewhere.
    fn without_nul(&mut self, name: &str, text: String) -> Option<String> {
        if text.contains('\0') {
            return self.refuse(name, "string_nul", "Input should not contain the NUL character");
        }
        Some(text)
    }

    /// A secret text that must be there. Of any characters: what is no secret of ours is refused as such.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.any_text(name).map(SecretString::from)
    }

    /// A text that must be there and has `min` to `max` characters.
    pub fn bounded_text(&mut self, name: &str, min: usize, max: usize) -> Option<String> {
        let text = self.text(name)?;
        self.within(name, text, min, max)
    }

    /// A text that may be absent or null and has at most `max` characters.
    pub fn optional_text(&mut self, name: &str, max: usize) -> Option<String> {
        self.optional_bounded_text(name, 0, max)
    }

    /// A text that may be absent or null and has `min` to `max` characters.
    pub fn optional_bounded_text(&mut self, name: &str, min: usize, max: usize) -> Option<String> {
        self.present(name)?;
        let text = self.text(name)?;
        self.within(name, text, min, max)
    }

    /// A secret text that may be absent or null.
    pub fn optional_secret(&mut self, name: &str) -> Option<SecretString> {
        self.present(name)?;
        self.secret(name)
    }

    /// A list of texts that must be there.
    pub fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        if self.present(name).is_none() {
            return self.refuse(name, "missing", "Field required");
        }
        self.optional_texts(name)
    }

    /// A list of texts that may be absent or null. In a form or a query: the name, once or several times.
    pub fn optional_texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.present(name)?;
        let items = match self.take(name)?? {
            Value::Array(items) => items,
            single if self.text_only => vec![single],
            _ => return self.refuse(name, "list_type", "Input should be a valid list"),
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else {
                return self.refuse(name, "string_type", "Every item should be a valid string");
            };
            texts.push(self.without_nul(name, text)?);
        }
        Some(texts)
    }

    /// A whole number that may be absent or null. `1.0` and `"1"` are no whole numbers, but in a query `1` is one.
    pub fn optional_int(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        self.present(name)?;
        let value = self.take(name)??;
        let value = match (&value, self.text_only) {
            (Value::String(text), true) => number(text).unwrap_or(value),
            _ => value,
        };
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

    /// A span in whole days that may be absent or null: from a day to a century, which is far beyond use, and no sum with
    /// it leaves the range of a timestamp.
    pub fn optional_days(&mut self, name: &str) -> Option<Duration> {
        const DAY_SECONDS: u64 = 24 * 60 * 60;
        const CENTURY: u64 = 36_500;
        let days = self.optional_int(name, 1, CENTURY)?;
        Some(Duration::from_secs(days.saturating_mul(DAY_SECONDS)))
    }

    /// A truth value that may be absent or null; in a form or a query written as such.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        self.present(name)?;
        match self.take(name)?? {
            Value::Bool(value) => return Some(value),
            Value::String(text) if self.text_only => match &*text.to_ascii_lowercase() {
                "true" | "1" | "yes" | "on" => return Some(true),
                "false" | "0" | "no" | "off" => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.refuse(name, "bool_type", "Input should be a valid boolean")
    }

    /// An object that may be absent or null, with fields of its own.
    pub fn optional_object<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Fields) -> Option<T>,
    ) -> Option<T> {
        let object = self.optional_map(name)?;
        let mut at = self.at.clone();
        at.push(name.to_owned());
        let mut inner = Fields { object, at, ..Fields::empty("", self.casing) };
        let found = read(&mut inner);
        let fits = inner.wrong.is_empty();
        self.spelled.0 |= inner.spelled.0;
        self.spelled.1 |= inner.spelled.1;
        self.wrong.append(&mut inner.wrong);
        found.filter(|_| fits)
    }

    /// A map that may be absent or null and goes on as it is: its names are the client's, never spelled anew.
    pub fn optional_map(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.present(name)?;
        match self.take(name)?? {
            Value::Object(map) => Some(map),
            _ => self.refuse(name, "dict_type", "Input should be a valid dictionary"),
        }
    }

    /// Everything nobody asked for yet: for a body that is itself a map.
    pub fn rest(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.object)
    }

    /// Whether any name so far came in the other spelling (`rememberMe`).
    pub fn any_camel(&self) -> bool {
        self.spelled.0
    }

    /// Whether any name of several words so far came in the contract's own spelling (`remember_me`).
    pub fn any_snake(&self) -> bool {
        self.spelled.1
    }

    /// Notes that a field does not fit.
    pub fn refuse<T>(&mut self, name: &str, kind: &str, msg: &str) -> Option<T> {
        self.wrong.push(Detail::at(&self.at, name, kind, msg));
        None
    }

    /// The value under a name, `Some(None)` where there is none. `None`: two spellings say different things.
    #[allow(clippy::option_option)]
    fn take(&mut self, name: &str) -> Option<Option<Value>> {
        let own = self.object.remove(name);
        if self.casing == Casing::Exact || !name.contains('_') {
            return Some(own);
        }
        let other = self.object.remove(&camel(name));
        self.spelled.0 |= other.is_some();
        self.spelled.1 |= own.is_some();
        if own.is_some() && other.is_some() && own != other {
            return self.refuse(name, "spelled_twice", "Given in two spellings that differ");
        }
        Some(own.or(other))
    }

    /// `None` for an absent or null field, and takes a null away.
    fn present(&mut self, name: &str) -> Option<()> {
        let given = |fields: &Self, name: &str| {
            fields.object.get(name).is_some_and(|value| !value.is_null())
        };
        let either = self.casing == Casing::Either && given(self, &camel(name));
        if given(self, name) || either {
            return Some(());
        }
        self.object.remove(name);
        None
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

/// A whole number written as digits, perhaps behind a minus.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse::<i64>().map_or(Value::from(u64::MAX), Value::from))
}

/// `remember_me` to `rememberMe`.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

#[cfg(test)]
mod tests;
