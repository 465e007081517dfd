//! One thing that is wrong with a configuration, and the report of all of them at once.

use std::{cell::RefCell, fmt, path::PathBuf, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; both counted from 1, the column in characters.
    File {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// In a `--set` argument: its key. The value is never repeated.
    Set(Arc<str>),
}

impl Place {
    /// The very beginning of the file, for what is missing as a whole.
    pub const START: Place = Place::File { line: 1, column: 1 };

    /// The place in words inside a sentence: `line 12`, `--set a.b`.
    pub fn in_words(&self) -> String {
        match self {
            Place::File { line, .. } => format!("line {line}"),
            Place::Set(text) => format!("--set {text}"),
        }
    }
}

/// One error: place, what, why, fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Path of the key, in the spelling `--set` takes: `mount.tmws.realm`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// Why it cannot be accepted.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// The nearest valid name, where a name was not known.
    pub nearest: Option<String>,
}

/// Collects problems while reading goes on.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds one.
    pub fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// Adds one without a nearest name.
    pub fn say(
        &self,
        place: &Place,
        key: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Problem {
            place: place.clone(),
            key: key.into(),
            what: what.into(),
            why: why.into(),
            fix: fix.into(),
            nearest: None,
        });
    }

    /// Adds an unknown name, with the nearest of the known ones.
    pub fn unknown<'n>(
        &self,
        place: &Place,
        key: impl Into<String>,
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
        otherwise: &str,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let nearest = nearest(name, known.iter().copied());
        let why = if known.is_empty() {
            format!("there is no {kind} at all")
        } else {
            format!("known: {}", known.join(", "))
        };
        let fix = match nearest {
            Some(near) => format!("write \"{near}\", or {otherwise}"),
            None => otherwise.to_owned(),
        };
        self.add(Problem {
            place: place.clone(),
            key: key.into(),
            what: format!("unknown {kind} \"{name}\""),
            why,
            fix,
            nearest: nearest.map(str::to_owned),
        });
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them in the order of the file, each once.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.place, &a.key).cmp(&(&b.place, &b.key)));
        all.dedup();
        all
    }
}

/// The known name most like `name`, if one is near enough to be a slip of the fingers.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let folded = name.to_ascii_lowercase();
    // One slip (two swapped letters count as one) in a short word, two in a longer one, or much alike as a whole.
    let slips = if folded.len() < 5 { 1 } else { 2 };
    let likeness = |known: &str| {
        let known = known.to_ascii_lowercase();
        let slipped = strsim::damerau_levenshtein(&folded, &known) <= slips;
        strsim::jaro_winkler(&folded, &known) + f64::from(u8::from(slipped))
    };
    known
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness >= 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Every problem of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file as the operator named it.
    pub file: PathBuf,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            match &problem.place {
                Place::File { line, column } => {
                    write!(f, "{}:{line}:{column}: ", self.file.display())?;
                }
                Place::Set(text) => write!(f, "--set {text}: ")?,
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            writeln!(f, "{}", problem.what)?;
            if !problem.why.is_empty() {
                writeln!(f, "    why: {}", problem.why)?;
            }
            if !problem.fix.is_empty() {
                writeln!(f, "    fix: {}", problem.fix)?;
            }
        }
        let count = self.problems.len();
        write!(f, "{count} error{} in {}", if count == 1 { "" } else { "s" }, self.file.display())
    }
}

impl std::error::Error for Report {}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = self.file.display().to_string();
        serializer.collect_seq(self.problems.iter().map(|problem| Row { file: &file, problem }))
    }
}

struct Row<'a> {
    file: &'a str,
    problem: &'a Problem,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let problem = self.problem;
        let mut map = serializer.serialize_map(None)?;
        match &problem.place {
            Place::File { line, column } => {
                map.serialize_entry("file", self.file)?;
                map.serialize_entry("line", line)?;
                map.serialize_entry("column", column)?;
            }
            Place::Set(text) => map.serialize_entry("set", text)?,
        }
        map.serialize_entry("key", &problem.key)?;
        map.serialize_entry("what", &problem.what)?;
        map.serialize_entry("why", &problem.why)?;
        map.serialize_entry("fix", &problem.fix)?;
        map.serialize_entry("nearest", &problem.nearest)?;
        map.end()
    }
}
