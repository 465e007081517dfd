//! Holds the documentation to the code: generated parts, names of files, metrics and keys, commands as typed, links.
//!
//! `PORTCULLIS_BLESS=1 cargo test --test docs` writes the generated parts anew. They stand between two comments:
//! `<!-- generated: NAME -->` and `<!-- end -->`; everything around them is written by hand.

// A test may panic; clippy knows that of `#[test]` functions, but not of what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

mod docs {
    mod config_keys;
    mod generated;
    mod requirements;
    mod traps;
}

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page, by its path in the repository.
fn pages() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in ["", "docs", "docs/contracts"] {
        for entry in fs::read_dir(file(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(file("")).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.len() > 10, "{:?}", found.keys());
    found
}

/// Every source file of the product, tests left out, by its path in `src`.
fn sources() -> BTreeMap<String, String> {
    fn collect(folder: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(file("src")).unwrap().to_str().unwrap().to_owned();
                into.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&file("src"), &mut found);
    let tests = ["tests", "tests.rs", "testing.rs", "test_kit.rs", "fixture.rs"];
    found.retain(|path, _| !path.split('/').any(|part| tests.contains(&part)));
    found
}

/// Words of a text over the characters given and ASCII letters and digits.
fn words<'t>(text: &'t str, more: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !more.contains(c))
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} found:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn source_files_named_on_a_page_exist() {
    let mut faults = Vec::new();
    for (page, text) in pages() {
        for word in words(&text, "_/.-").filter(|word| word.ends_with(".rs") && *word != ".rs") {
            let places = [word.to_owned(), format!("src/{word}")];
            // `https://docs.rs` is no file.
            if word != "//docs.rs" && !places.iter().any(|place| file(place).is_file()) {
                faults.push(format!("{page}: there is no {word}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    let mut faults = Vec::new();
    for (page, text) in &pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let own = Path::new(page);
            let there = match path {
                "" => own.to_owned(),
                path => own.parent().unwrap().join(path),
            };
            if !file(there.to_str().unwrap()).exists() {
                faults.push(format!("{page}: {target} is not there"));
            } else if !anchor.is_empty()
                && !headings(&fs::read_to_string(file(there.to_str().unwrap())).unwrap())
                    .contains(anchor)
            {
                faults.push(format!("{page}: {target} has no such heading"));
            }
        }
    }
    assert_none(&faults);
}

/// Headings in the form of anchors.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    lines
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn metrics_named_on_a_page_exist() {
    let metrics = portcullis::telemetry::Metrics::new().unwrap();
    let known: BTreeSet<&str> = metrics.families().iter().map(|own| own.name.as_str()).collect();
    let mut faults = Vec::new();
    for (page, text) in pages() {
        for word in words(&text, "_").filter(|word| word.starts_with("portcullis_")) {
            let family =
                ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
            if !known.contains(word) && !family.is_some_and(|family| known.contains(family)) {
                faults.push(format!("{page}: there is no metric {word}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn commands_on_pages_can_be_typed() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for (page, text) in pages() {
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        // In a sentence, a command with its arguments stands in backquotes.
        let spoken = text.split('`').skip(1).step_by(2).filter(|word| word.contains(' '));
        let lines: Vec<&str> = blocks.flat_map(str::lines).chain(spoken).collect();
        for line in lines.into_iter().filter(|line| line.starts_with("portcullis ")) {
            seen += 1;
            let typed = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let typed = typed.take_while(|word| !matches!(*word, "#" | "&" | "|" | ">"));
            let typed: Vec<String> = typed.map(|word| word.replace(['"', '\''], "")).collect();
            if let Err(error) = portcullis::cli::command().try_get_matches_from(typed) {
                let shown = matches!(error.kind(), clap::error::ErrorKind::DisplayHelp);
                if !shown {
                    faults.push(format!("{page}: {line}\n{error}"));
                }
            }
        }
    }
    assert!(seen > 10, "{seen}");
    assert_none(&faults);
}

#[test]
fn every_relaxation_is_explained() {
    let code = read("src/config/check.rs") + &read("src/config/check/oauth.rs");
    let page = read("docs/security.md");
    let ids = |text: &str| -> BTreeSet<String> {
        let ids = words(text, "-").filter(|word| word.len() > 2 && word.starts_with("R-"));
        ids.map(str::to_owned).collect()
    };
    assert!(ids(&code).len() > 10);
    assert_eq!(ids(&code), ids(&page));
}

#[test]
fn every_dependency_is_justified_and_no_other() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let names = ["dependencies", "dev-dependencies"].iter();
    let wanted: BTreeSet<String> =
        names.flat_map(|key| manifest[*key].as_table().unwrap().keys().cloned()).collect();
    let page = read("docs/dependencies.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let found: BTreeSet<String> = rows
        .filter(|cell| *cell != "Crate")
        .flat_map(|cell| {
            // What stands in brackets are features.
            let bare: String =
                cell.split('(').map(|part| part.rsplit(')').next().unwrap()).collect();
            bare.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty() && !name.starts_with('-'))
        .collect();
    assert_eq!(found, wanted);
}
