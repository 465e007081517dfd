//! Reading one table: each key is asked for once, faults are collected, what nobody asked for is an unknown key.
//!
//! While reading, the section writes down every value it returned, defaults included. That record is the effective
//! configuration, so it cannot drift from what is really in force.

use toml::{Table as Record, Value as Toml};

use super::{
    document::{Entry, Node, Table, Value},
    problem::{Place, Problem, Problems, nearest},
    shape::{Fault, Shape},
};

/// A table being read.
pub struct Section<'a> {
    /// Path of the table in `--set` spelling; empty for the root.
    pub path: String,
    /// Where the table begins.
    pub place: Place,
    /// Where faults go.
    pub problems: &'a Problems,
    table: Option<&'a Table>,
    asked: Vec<&'static str>,
    record: Record,
}

impl<'a> Section<'a> {
    /// Reads from `table`; `None` stands for a table that was not written, in which all keys have their defaults.
    pub fn new(table: Option<&'a Table>, path: &str, place: Place, problems: &'a Problems) -> Self {
        let path = path.to_owned();
        Self { path, place, problems, table, asked: Vec::new(), record: Record::new() }
    }

    /// The full path of a key of this table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the key is written.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Where the key's value is written, else where the table begins.
    pub fn place_of(&self, key: &str) -> Place {
        self.find(key).map_or_else(|| self.place.clone(), |entry| entry.node.place.clone())
    }

    /// Reports something about a key.
    pub fn fault(&self, key: &str, fault: Fault) {
        let Fault { what, why, fix } = fault;
        self.problems.say(&self.place_of(key), self.key(key), what, why, fix);
    }

    /// A value that may be absent; nothing is recorded then.
    pub fn maybe<T: Shape>(&mut self, key: &'static str) -> Option<T> {
        let entry = self.ask(key)?;
        match T::read(&entry.node) {
            Ok(value) => {
                self.record.insert(key.into(), value.write());
                Some(value)
            }
            Err(fault) => {
                self.fault(key, fault);
                None
            }
        }
    }

    /// A value with a default.
    pub fn or<T: Shape>(&mut self, key: &'static str, default: T) -> T {
        let value = self.maybe(key).unwrap_or(default);
        self.record.insert(key.into(), value.write());
        value
    }

    /// A value with a default that must also pass `check`.
    pub fn checked<T: Shape>(
        &mut self,
        key: &'static str,
        default: T,
        check: impl FnOnce(&T) -> Result<(), Fault>,
    ) -> T {
        let value = self.or(key, default);
        if let Err(fault) = check(&value) {
            self.fault(key, fault);
        }
        value
    }

    /// A value that must be there.
    pub fn need<T: Shape>(&mut self, key: &'static str) -> Option<T> {
        if !self.has(key) {
            self.asked.push(key);
            self.missing(key, T::EXPECTED);
            return None;
        }
        self.maybe(key)
    }

    /// Reports a key that must be there and is not.
    pub fn missing(&self, key: &str, expected: &str) {
        let problem = Problem {
            place: self.place.clone(),
            key: self.key(key),
            what: "missing key".into(),
            why: "it has no default".into(),
            fix: format!("add {key} = {expected}"),
            nearest: None,
        };
        self.problems.add(problem);
    }

    /// An inner table; an absent one reads as empty.
    pub fn inner(&mut self, key: &'static str) -> Section<'a> {
        let path = self.key(key);
        let Some(entry) = self.ask(key) else {
            return Section::new(None, &path, self.place.clone(), self.problems);
        };
        let Value::Table(table) = &entry.node.value else {
            self.fault(key, wrong_table(&entry.node));
            return Section::new(None, &path, self.place.clone(), self.problems);
        };
        Section::new(Some(table), &path, entry.node.place.clone(), self.problems)
    }

    /// An inner table that `false` switches off. `None`: it is off.
    pub fn inner_or_off(&mut self, key: &'static str, on_by_default: bool) -> Option<Section<'a>> {
        let entry = self.find(key);
        let off = match entry {
            None => !on_by_default,
            Some(entry) => matches!(entry.node.value, Value::Bool(false)),
        };
        if off {
            self.asked.push(key);
            self.record.insert(key.into(), Toml::Boolean(false));
            return None;
        }
        Some(self.inner(key))
    }

    /// The entries of a list of tables, each with its place. Names in paths come from `name_key`, where written.
    pub fn list(&mut self, key: &'static str, name_key: &str) -> Vec<Section<'a>> {
        let path = self.key(key);
        let Some(entry) = self.ask(key) else { return Vec::new() };
        let Value::List(items) = &entry.node.value else {
            let what = format!("expected a list of tables, found {}", entry.node.value.kind());
            let fix = format!("write [[{path}]] in double brackets");
            self.fault(key, Fault::new(what, "the value has the wrong type", fix));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Value::Table(table) = &item.value else {
                let fault = wrong_table(item);
                let (what, why, fix) = (fault.what, fault.why, fault.fix);
                self.problems.say(&item.place, format!("{path}.{index}"), what, why, fix);
                continue;
            };
            let name = match table.get(name_key).map(|entry| &entry.node.value) {
                Some(Value::Text(name)) => name.clone(),
                _ => index.to_string(),
            };
            let path = format!("{path}.{name}");
            sections.push(Section::new(Some(table), &path, item.place.clone(), self.problems));
        }
        sections
    }

    /// The raw value of a key, for shapes that take several forms. The caller records what it understood.
    pub fn raw(&mut self, key: &'static str) -> Option<&'a Node> {
        self.ask(key).map(|entry| &entry.node)
    }

    /// The raw entries of an inner table with free keys, such as methods or role names.
    pub fn free_keys(&mut self, key: &'static str) -> Vec<(&'a str, &'a Node)> {
        let Some(entry) = self.ask(key) else { return Vec::new() };
        let Value::Table(table) = &entry.node.value else {
            self.fault(key, wrong_table(&entry.node));
            return Vec::new();
        };
        table.iter().map(|(name, entry)| (name.as_str(), &entry.node)).collect()
    }

    /// Records a value that was not read by a shape.
    pub fn note(&mut self, key: &str, value: Toml) {
        self.record.insert(key.into(), value);
    }

    /// Ends the reading: whatever was not asked for is an unknown key. Hands out the record.
    pub fn finish(self) -> Record {
        for (key, entry) in self.table.into_iter().flatten() {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let near = nearest(key, self.asked.iter().copied());
            let mut known = self.asked.clone();
            known.sort_unstable();
            let whole = if self.path.is_empty() { "the file" } else { self.path.as_str() };
            self.problems.add(Problem {
                place: entry.key_place.clone(),
                key: self.key(key),
                what: format!("unknown key \"{key}\""),
                why: format!("{whole} knows: {}", known.join(", ")),
                fix: match near {
                    Some(near) => format!("write \"{near}\", or remove it"),
                    None => "remove it".into(),
                },
                nearest: near.map(str::to_owned),
            });
        }
        self.record
    }

    fn find(&self, key: &str) -> Option<&'a Entry> {
        self.table.and_then(|table| table.get(key))
    }

    fn ask(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        self.find(key)
    }
}

fn wrong_table(node: &Node) -> Fault {
    let what = format!("expected a table, found {}", node.value.kind());
    Fault::new(what, "the value has the wrong type", "write { key = value } or a [table]")
}
