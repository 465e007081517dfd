//! The file as a tree in which every key and value still knows where it was written.

use std::{borrow::Cow, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problem};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// String.
    Text(String),
    /// Integer in 64 bits.
    Integer(i64),
    /// Anything numeric that is no such integer.
    Float(String),
    /// Boolean.
    Bool(bool),
    /// A date or time.
    Date(String),
    /// Array.
    List(Vec<Node>),
    /// Table.
    Table(Table),
}

/// A table, keys in alphabetical order.
pub type Table = BTreeMap<String, Entry>;

/// One key of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key is written.
    pub key_place: Place,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Bool(_) => "a boolean",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// What can be read of a text that may have syntax errors: good for finding one's way, never for serving.
pub fn parse_what_can_be(text: &str) -> Table {
    let lines = Lines::of(text);
    let (root, _) = DeTable::parse_recoverable(text);
    table(root.into_inner(), &|at| lines.place(at))
}

/// Reads a file's text. Syntax errors come all at once.
pub fn parse(text: &str) -> Result<Table, Vec<Problem>> {
    let lines = Lines::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let place = |at| lines.place(at);
        return Ok(table(root.into_inner(), &place));
    }
    let mut problems: Vec<Problem> = errors
        .into_iter()
        .map(|error| Problem {
            place: lines.place(error.span().map_or(0, |span| span.start)),
            key: String::new(),
            what: format!("not valid TOML: {}", error.message()),
            why: "the file cannot be read any further".into(),
            fix: "correct the syntax (https://toml.io)".into(),
            nearest: None,
        })
        .collect();
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Err(problems)
}

/// Reads the value of a `--set` argument: a TOML value, or else the text itself.
pub fn parse_value(text: &str, place: &Place) -> Node {
    match DeValue::parse(text) {
        Ok(found) => node(found, &|_| place.clone()),
        Err(_) => Node { value: Value::Text(text.to_owned()), place: place.clone() },
    }
}

fn table(table: DeTable<'_>, place: &dyn Fn(usize) -> Place) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let key_place = place(key.span().start);
            (key.into_inner().into_owned(), Entry { key_place, node: node(value, place) })
        })
        .collect()
}

fn node(found: Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Place) -> Node {
    let at = place(found.span().start);
    let value = match found.into_inner() {
        DeValue::String(text) => Value::Text(Cow::into_owned(text)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Float(number.to_string()), Value::Integer),
        DeValue::Float(number) => Value::Float(number.to_string()),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, place)).collect())
        }
        DeValue::Table(entries) => Value::Table(table(entries, place)),
    };
    Node { value, place: at }
}

/// Byte offsets to lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied();
        let column = self.text.get(start.unwrap_or(0)..at).map_or(0, |part| part.chars().count());
        Place::File { line, column: column + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let root = parse("a = 1\n[[route]]\nname = \"é\" \nmatch = { path = 7 }\n").unwrap();
        assert_eq!(root["a"].node.place, Place::File { line: 1, column: 5 });
        let Value::List(routes) = &root["route"].node.value else { panic!() };
        assert_eq!(routes[0].place, Place::File { line: 2, column: 1 });
        let Value::Table(route) = &routes[0].value else { panic!() };
        let Value::Table(found) = &route["match"].node.value else { panic!() };
        assert_eq!(found["path"].key_place, Place::File { line: 4, column: 11 });
        assert_eq!(found["path"].node.place, Place::File { line: 4, column: 18 });
    }

    #[test]
    fn all_syntax_errors_come_with_their_lines() {
        let errors = parse("a = \nb = = 2\n").unwrap_err();
        assert!(errors.len() >= 2, "{errors:?}");
        assert_eq!(errors[0].place, Place::File { line: 1, column: 5 });
    }
}
