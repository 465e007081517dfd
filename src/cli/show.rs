//! Answers for people: tables and sentences; and for programs: JSON as it came.

use std::io::{self, Write};

use serde_json::Value;

use super::Failure;

/// Prints one line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Prints a JSON value, indented.
pub(super) fn json(value: &Value) -> Result<(), Failure> {
    // A `Value` always has a text form.
    line(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Prints rows of JSON objects as a table. A column is a heading and the key it shows.
pub(super) fn table(rows: &[Value], columns: &[(&str, &str)]) -> Result<(), Failure> {
    let cells: Vec<Vec<String>> =
        std::iter::once(columns.iter().map(|(head, _)| (*head).to_owned()).collect())
            .chain(
                rows.iter().map(|row| columns.iter().map(|(_, key)| cell(row.get(*key))).collect()),
            )
            .collect();
    let width = |at: usize| {
        cells
            .iter()
            .filter_map(|row: &Vec<String>| row.get(at))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in &cells {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    Ok(io::stdout().write_all(out.as_bytes())?)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        // Control characters of stored names must not reach the terminal.
        Some(Value::String(text)) => {
            text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
        }
        Some(Value::Array(items)) if items.is_empty() => "-".into(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(",")
        }
        Some(Value::Bool(true)) => "yes".into(),
        Some(Value::Bool(false)) => "no".into(),
        Some(other) => other.to_string(),
    }
}
