//! Turns a tracing event into one line of JSON, with no value able to break out of its string.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    fmt::{self, Write},
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer};

use super::writer::Writer;
use crate::pipeline::scan;

thread_local! {
    /// Taken while a line is made. A value that logs while it is printed finds an empty one, and all is well.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
    static SECOND: RefCell<Second> = const { RefCell::new(Second { number: i64::MIN, text: String::new() }) };
}

/// A long line must not keep its memory for ever.
const KEPT_CAPACITY: usize = 16 * 1024;

/// The layer that writes every event as a line. Spans are not used in this program.
pub(super) struct Lines {
    writer: Writer,
    now: fn() -> SystemTime,
}

impl Lines {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, now: SystemTime::now }
    }

    #[cfg(test)]
    pub(super) fn with_clock(writer: Writer, now: fn() -> SystemTime) -> Self {
        Self { writer, now }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Events that came through `log` carry their true origin in fields.
        let normalized = event.normalized_metadata();
        let meta = normalized.as_ref().unwrap_or_else(|| event.metadata());
        with_line(|line| {
            line.push_str("{\"timestamp\":\"");
            push_time(line, (self.now)());
            line.push_str("\",\"level\":\"");
            line.push_str(meta.level().as_str());
            line.push_str("\",\"target\":\"");
            push_escaped(line, meta.target());
            line.push('"');
            event.record(&mut Fields { line });
            line.push_str("}\n");
            // What only a developer asks for may wait to be written together; the rest is rare and wanted at once.
            let mut writer = &self.writer;
            if *meta.level() > Level::INFO {
                writer.push(line.as_bytes());
            } else {
                // The queue takes every line or counts it as dropped; there is no error to handle.
                let _ = writer.write(line.as_bytes());
            }
        });
    }
}

/// Lends this thread's buffer for one line.
pub(in crate::telemetry) fn with_line(make: impl FnOnce(&mut String)) {
    let mut line = LINE.take();
    line.clear();
    make(&mut line);
    if line.capacity() <= KEPT_CAPACITY {
        LINE.set(line);
    }
}

struct Fields<'l> {
    line: &'l mut String,
}

impl Fields<'_> {
    /// Writes the name, unless the field is one of the bridge's own.
    fn name(&mut self, field: &Field) -> bool {
        let name = field.name();
        if name.starts_with("log.") {
            return false;
        }
        // Names are literals of some program's code; nobody writes a quote into one.
        self.line.push_str(",\"");
        self.line.push_str(name);
        self.line.push_str("\":");
        true
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.name(field) {
            // Writing to a String does not fail.
            let _ = self.line.write_fmt(value);
        }
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.name(field) {
            self.line.push('"');
            // Fails only if a value's own formatting does; the line stays well-formed.
            let _ = Escaped(self.line).write_fmt(value);
            self.line.push('"');
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.name(field) {
            self.line.push('"');
            push_escaped(self.line, value);
            self.line.push('"');
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    /// Three decimals: our numbers with fractions are milliseconds.
    fn record_f64(&mut self, field: &Field, value: f64) {
        let thousandths = (value * 1e3).round();
        if (0.0..1e15).contains(&thousandths) {
            // The range was just tested. Integers print several times faster than fractions do.
            let thousandths = thousandths as u64;
            self.plain(field, format_args!("{}.{:03}", thousandths / 1000, thousandths % 1000));
        } else if value.is_finite() {
            self.plain(field, format_args!("{value}"));
        } else {
            self.plain(field, format_args!("null"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, format_args!("{}", Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// An error with its causes.
struct Chain<'e>(&'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Escaped<'l>(&'l mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

/// Escapes what JSON demands, and DEL, the C1 controls, other line ends and marks that turn the direction of writing too: a
/// log is often read in a terminal.
pub(in crate::telemetry) fn push_escaped(line: &mut String, text: &str) {
    let fits =
        |byte: u8| (byte >= 0x20) & !matches!(byte, b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2);
    if scan::all(text.as_bytes(), fits) {
        line.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() || turns(c) => {
                // Writing to a String does not fail.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// Line and paragraph separators, and what makes text read in another order than it is written (UAX 9).
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A second that has been spelled out once.
struct Second {
    number: i64,
    text: String,
}

/// RFC 3339 in UTC with microseconds. The part down to the second is kept, for it serves thousands of lines.
pub(in crate::telemetry) fn push_time(line: &mut String, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    SECOND.with_borrow_mut(|second| {
        if second.number != number {
            let instant = jiff::Timestamp::from_second(number).unwrap_or(jiff::Timestamp::MAX);
            second.text = instant.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            second.number = number;
        }
        line.push_str(&second.text);
    });
    line.push('.');
    let mut unit = 100_000;
    while unit > 0 {
        // A digit each; the general formatting costs as much as all of them.
        let digit = since.subsec_micros() / unit % 10;
        line.push(char::from_digit(digit, 10).unwrap_or('0'));
        unit /= 10;
    }
    line.push('Z');
}
