//! Holds the walls of the house: which room may import which, which crates stay in which files, how long a file may be.
//!
//! The tables are those of `docs/architecture.md`: the page is the law, this test its keeper. The source is read as text:
//! `use crate::room::...` and `crate::room::` in code. Comments and test modules do not count.

// A test may panic; clippy knows that of `#[test]` functions, but not of what they call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// The tables of `docs/architecture.md`.
struct Law {
    /// Room, and the rooms it may import. Whoever is not listed may import nothing.
    rooms: Vec<(String, Vec<String>)>,
    /// From a room, only these names of another.
    only: Vec<(String, String, Vec<String>)>,
    /// A crate, and where its types may be named: a path in `src`, `*` standing for one segment.
    homes: Vec<(String, Vec<String>)>,
}

static LAW: LazyLock<Law> = LazyLock::new(|| {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    Law::read(&fs::read_to_string(page).unwrap())
});

impl Law {
    fn read(page: &str) -> Self {
        let rows = |heading| table(page, heading);
        let mut rooms = Vec::new();
        for [names, allowed, ..] in &rows("### Who may import whom") {
            rooms.extend(words_in(names).into_iter().map(|room| (room, allowed.clone())));
        }
        let all: Vec<String> = rooms.iter().map(|(room, _)| room.clone()).collect();
        let allowed = |cell: &str| if cell == "everything" { all.clone() } else { words_in(cell) };
        let rooms = rooms.into_iter().map(|(room, cell)| (room, allowed(&cell))).collect();
        let only = rows("### Only these names");
        let only = only.iter().map(|[from, of, names]| {
            (words_in(from).concat(), words_in(of).concat(), words_in(names))
        });
        let homes = rows("### Where crates live");
        let homes =
            homes.iter().map(|[name, homes, ..]| (words_in(name).concat(), words_in(homes)));
        Self { rooms, only: only.collect(), homes: homes.collect() }
    }

    fn has_room(&self, name: &str) -> bool {
        self.rooms.iter().any(|(room, _)| room == name)
    }
}

/// The first three cells of each row of the table behind a heading.
fn table(page: &str, heading: &str) -> Vec<[String; 3]> {
    let section = page.split(heading).nth(1).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows: Vec<_> = rows
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        })
        .collect();
    assert!(!rows.is_empty(), "no table behind {heading:?}");
    rows
}

/// The words of a cell that stand in backquotes.
fn words_in(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Lines of code, without tests, comments and blank lines.
const LONGEST: usize = 400;
const REASON: &str = "Reason for length:";

struct Source {
    /// Relative to `src`, with slashes.
    path: String,
    text: String,
    /// Code without comments and without test modules.
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let faults: BTreeSet<String> = sources()
        .iter()
        .flat_map(|source| {
            imports(&source.code).into_iter().filter_map(|import| fault(source, &import))
        })
        .collect();
    assert_none(&faults);
}

fn fault(source: &Source, (to, name): &(String, String)) -> Option<String> {
    let from = source.room();
    if from == to || !LAW.has_room(to) {
        return None;
    }
    let own = LAW.rooms.iter().find(|(room, _)| room == from);
    if !own.is_some_and(|(_, rooms)| rooms.contains(to)) {
        return Some(format!("{}: {from} must not import {to} ({name})", source.path));
    }
    let (_, _, only) = LAW.only.iter().find(|(room, other, _)| room == from && other == to)?;
    (!only.contains(name))
        .then(|| format!("{}: of {to}, {from} may import {only:?}, not {name}", source.path))
}

#[test]
fn third_party_types_stay_home() {
    let mut faults = BTreeSet::new();
    for source in sources() {
        for (name, homes) in &LAW.homes {
            let named = words(&source.code).any(|(word, next)| word == *name && next == "::");
            if named && !homes.iter().any(|home| lives_in(&source.path, home)) {
                faults.insert(format!("{}: {name} belongs in {homes:?}", source.path));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let faults = sources()
        .iter()
        .filter(|source| {
            let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
            let head = source.text.lines().take_while(|line| line.starts_with("//!"));
            lines > LONGEST && !head.into_iter().any(|line| line.contains(REASON))
        })
        .map(|source| {
            format!("{}: more than {LONGEST} lines of code and no \"{REASON}\"", source.path)
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn every_module_says_what_it_is_for() {
    let faults = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| format!("{}: does not begin with //!", source.path))
        .collect();
    assert_none(&faults);
}

#[test]
fn no_stub_is_left_over() {
    let faults = sources()
        .iter()
        .filter(|source| ["unimplemented!", "todo!"].iter().any(|word| source.code.contains(word)))
        .map(|source| format!("{}: a stub", source.path))
        .collect();
    assert_none(&faults);
}

#[track_caller]
fn assert_none(faults: &BTreeSet<String>) {
    let lines: Vec<&str> = faults.iter().map(String::as_str).collect();
    assert!(lines.is_empty(), "{} found:\n{}", lines.len(), lines.join("\n"));
}

/// Every file of the product but test files.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .into_iter()
        .filter_map(|file| {
            let relative = file.strip_prefix(&root).ok()?.to_str()?.replace('\\', "/");
            let text = fs::read_to_string(&file).ok()?;
            let code = without_tests(&without_comments(&text));
            Some(Source { path: relative, text, code })
        })
        .filter(|source| !is_test_file(&source.path))
        .collect();
    assert!(sources.len() > 10, "the source was not found at {}", root.display());
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `x/tests.rs` and what is below `x/tests/`.
fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "testing.rs"))
}

/// Blanks comments, and the inside of string literals: neither imports anything. Keeps the lines.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if rest.starts_with("r#\"") => {
                rest.get(3..).and_then(|r| r.find("\"#")).map_or(rest.len(), |end| end + 5)
            }
            // A quote as a character would look like the begin of a string.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            _ => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Cuts `#[cfg(test)]` items out, whatever follows them.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[item_length(rest)..];
    }
    kept.push_str(rest);
    kept
}

/// Up to the `;` or the closing brace of the item.
fn item_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every `crate::room::name` of the code, also out of nested braces.
fn imports(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for marker in ["crate::", "portcullis::"] {
        for (at, _) in code.match_indices(marker) {
            // `my_crate::` is another word.
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
                expand(&code[at + marker.len()..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Follows one path or group. Returns what is left behind it.
fn expand<'t>(text: &'t str, path: &mut Vec<String>, found: &mut Vec<(String, String)>) -> &'t str {
    let mut rest = text.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        rest = group;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return rest;
            }
            if let Some(end) = rest.strip_prefix('}') {
                return end;
            }
            let depth = path.len();
            rest = expand(rest, path, found);
            path.truncate(depth);
            rest = rest.find([',', '}']).map_or("", |at| &rest[at..]);
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    path.push(rest[..end].to_owned());
    rest = &rest[end..];
    if let Some(next) = rest.strip_prefix("::")
        && path.len() < 2
    {
        return expand(next, path, found);
    }
    let name = path.get(1).cloned().unwrap_or_default();
    found.push((path[0].clone(), name));
    // A longer path goes on with names that do not matter, perhaps with a group.
    if let Some(group) = rest.find('{').filter(|at| rest[..*at].chars().all(is_path)) {
        return expand(&rest[group..], &mut vec![String::new(); 2], &mut Vec::new());
    }
    rest
}

fn is_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':')
}

/// Words of the code, each with the two characters behind it.
fn words(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let start = rest.find(|c: char| c.is_alphanumeric() || c == '_')?;
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some((word, behind.get(..2).unwrap_or_default()))
    })
}

fn lives_in(path: &str, home: &str) -> bool {
    let mut parts = path.split('/');
    home.split('/').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

mod the_reader {
    use super::*;

    fn seen(code: &str) -> Vec<String> {
        let code = without_tests(&without_comments(code));
        imports(&code).into_iter().map(|(room, name)| format!("{room}/{name}")).collect()
    }

    #[test]
    fn follows_groups() {
        let code =
            "use crate::{model::Id, store::{Store, sql::{A, B}}, limit};\nuse crate::a::b::{c, d};";
        assert_eq!(seen(code), ["model/Id", "store/Store", "store/sql", "limit/", "a/b"]);
    }

    #[test]
    fn sees_paths_in_code_but_not_in_comments_strings_or_tests() {
        let code = r##"
            // crate::comment::x
            fn f() { crate::code::call(); my_crate::no::no(); "crate::text::x \" crate::text::y"; '"'; }
            #[cfg(test)]
            mod tests { use crate::hidden::x; fn g() { {} } }
            #[cfg(test)]
            use crate::hidden::y;
            fn h() { crate::after::z() }
        "##;
        assert_eq!(seen(code), ["code/call", "after/z"]);
    }

    #[test]
    fn reads_the_tables_of_the_page() {
        let page = "### Who may import whom\n\ntext\n\n| Room | May |\n|--|--|\n| `a` | nothing |\n\
                    | `b`, `c` | everything |\n\n### Only these names\n| F | O | N |\n|--|--|--|\n\
                    | `b` | `a` | `X`, `Y` |\n### Where crates live\n| C | H |\n|--|--|\n| `k` | `a/*` |\n";
        let law = Law::read(page);
        assert_eq!(law.rooms[0], ("a".to_owned(), vec![]));
        assert_eq!(law.rooms[2].1, ["a", "b", "c"]);
        assert_eq!(law.only[0].2, ["X", "Y"]);
        assert_eq!(law.homes[0], ("k".to_owned(), vec!["a/*".to_owned()]));
    }

    #[test]
    fn the_law_knows_every_room() {
        for source in sources() {
            assert!(LAW.has_room(source.room()), "{}: no row for its room", source.path);
        }
    }

    #[test]
    fn knows_homes() {
        assert!(lives_in("dialects/tmws/routes.rs", "dialects/*/routes.rs"));
        assert!(lives_in("store/sql.rs", "store"));
        assert!(!lives_in("dialects/tmws/wire.rs", "dialects/*/routes.rs"));
        assert!(!lives_in("storehouse.rs", "store"));
    }
}
