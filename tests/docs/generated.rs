//! The parts of pages that code writes: metrics, reason codes, commands, the layout of the source.

use std::{collections::BTreeSet, fmt::Write, fs};

use clap::Command;
use portcullis::{
    cli, dialects::tmws::wire::Refusal, identity::IdentityError, pipeline::Deny, telemetry::Metrics,
};

use crate::{file, read, sources};

/// Compares the generated part of a page with what the code says now, or writes it anew.
#[track_caller]
pub(super) fn holds(page: &str, name: &str, wanted: &str) {
    let text = read(page);
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page}: no {begin}"));
    let (found, after) = rest.split_once(end).unwrap_or_else(|| panic!("{page}: no {end}"));
    let wanted = format!("\n{}\n\n", wanted.trim());
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        fs::write(file(page), format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "{page}: the part \"{name}\" is out of date; PORTCULLIS_BLESS=1 cargo test --test docs writes it anew"
    );
}

/// A cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn metrics() {
    let mut out =
        String::from("| Name | Type | Labels | What it tells |\n| --- | --- | --- | --- |\n");
    for family in Metrics::new().unwrap().families() {
        let labels: Vec<String> = family.labels.iter().map(|name| format!("`{name}`")).collect();
        let (labels, help) = (labels.join(", "), cell(&family.help));
        writeln!(out, "| `{}` | {} | {labels} | {help} |", family.name, family.kind).unwrap();
    }
    holds("docs/metrics.md", "metrics", &out);
}

/// One test for both, since both write the same page.
#[test]
fn reasons() {
    let edge = Deny::every()
        .into_iter()
        .map(|deny| (deny.reason(), deny.status().as_u16(), deny.explained()));
    holds("docs/reasons.md", "edge", &reason_table(edge));
    let identity = IdentityError::every()
        .into_iter()
        .map(|error| (error.reason(), Refusal::from(&error).status.as_u16(), error.explained()));
    holds("docs/reasons.md", "identity", &reason_table(identity));
}

type Reason = (&'static str, u16, (&'static str, &'static str));

fn reason_table(reasons: impl Iterator<Item = Reason>) -> String {
    let mut out =
        String::from("| Reason | Status | Meaning | What to do |\n| --- | --- | --- | --- |\n");
    for (reason, status, (meaning, todo)) in reasons {
        writeln!(out, "| `{reason}` | {status} | {} | {} |", cell(meaning), cell(todo)).unwrap();
    }
    out
}

/// The codes that the exhaustive `match` of `fn reason` in a file can give.
fn codes_in(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let body = text.split("fn reason(").nth(1).unwrap();
    let body = body.split("\n    }\n").next().unwrap();
    body.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_lists_of_reasons_are_complete() {
    let edge: BTreeSet<String> =
        Deny::every().iter().map(|deny| deny.reason().to_owned()).collect();
    assert_eq!(edge, codes_in("src/pipeline/deny.rs"));
    let identity: BTreeSet<String> =
        IdentityError::every().iter().map(|error| error.reason().to_owned()).collect();
    let mut codes = codes_in("src/identity/error.rs");
    codes.extend(codes_in("src/identity/oauth/fault.rs"));
    codes.extend(codes_in("src/identity/authorization_server/fault.rs"));
    codes.extend(codes_in("src/identity/oidc/fault.rs"));
    assert_eq!(identity, codes);
}

#[test]
fn commands() {
    let mut whole = cli::command().term_width(100);
    whole.build();
    let mut out = String::new();
    describe(&mut whole, "portcullis", &mut out);
    holds("docs/commands.md", "commands", &out);
}

fn describe(command: &mut Command, path: &str, out: &mut String) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(out, "## {path}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()).unwrap();
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        let path = format!("{path} {}", inner.get_name());
        describe(inner, &path, out);
    }
}

#[test]
fn layout() {
    const ROOMS: [&str; 18] = [
        "model",
        "pipeline",
        "limit",
        "link",
        "courier",
        "mail",
        "fleet",
        "issuer",
        "store",
        "telemetry",
        "identity",
        "dialects",
        "admin",
        "edge",
        "config",
        "run",
        "cli",
        "demo",
    ];
    let sources = sources();
    let room_of = |path: &str| path.split_once('/').map_or("", |(room, _)| room).to_owned();
    let known = |path: &str| room_of(path).is_empty() || ROOMS.contains(&&*room_of(path));
    assert!(sources.keys().all(|path| known(path)), "a room is missing in the list above");

    let mut out = String::new();
    for room in [""].into_iter().chain(ROOMS) {
        let title = if room.is_empty() { "The root" } else { room };
        writeln!(out, "### {title}\n\n| File | What it is for |\n| --- | --- |").unwrap();
        let mut own: Vec<_> = sources.iter().filter(|(path, _)| room_of(path) == room).collect();
        // The room's own head first.
        own.sort_by_key(|(path, _)| (**path != format!("{room}/mod.rs"), path.as_str()));
        for (path, text) in own {
            // Links of rustdoc lead nowhere from here.
            let line = first_sentence(text).replace("[`", "`").replace("`]", "`");
            writeln!(out, "| `{path}` | {} |", cell(&line)).unwrap();
        }
        out.push('\n');
    }
    holds("docs/architecture.md", "layout", &out);
}

/// The first sentence of a file's head comment.
fn first_sentence(text: &str) -> String {
    let head: Vec<&str> =
        text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let paragraph: Vec<&str> = head.into_iter().take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    paragraph.split_once(". ").map_or(paragraph.clone(), |(first, _)| format!("{first}."))
}
