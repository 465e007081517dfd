//! `explain`: what becomes of a request, and why.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{GatewayArgs, OutputArg},
    door::{Content, Door, quoted, whereabouts},
    request::{self, ExplainArgs},
    show,
};
use crate::{
    edge::Explainer,
    model::MountName,
    pipeline::{Deny, explain::Question},
    telemetry::Metrics,
};

/// Fields of every line of a log, which say nothing of the request.
const OF_THE_LOG: [&str; 3] = ["level", "target", "request_id"];
/// As many as the operator API takes at once.
const AT_ONCE: usize = 1000;

pub(super) fn run(asked: &ExplainArgs, at: &GatewayArgs, output: OutputArg) -> Result<(), Failure> {
    if let Some(id) = &asked.request_id {
        return past(id, asked, at, output);
    }
    if let Some(file) = &asked.batch {
        return batch(file, asked, at);
    }
    let question = request::of_arguments(asked)?;
    let (told, evidence) = ask(&[request::as_json(&question)], Some(&question), asked, at)?;
    let answer = told.into_iter().next().unwrap_or_default();
    if output.is_json() {
        show::json(&answer)?;
    } else {
        print(&answer, evidence)?;
    }
    outcome(&answer)
}

/// The answers, and on whose evidence they are given.
fn ask(
    requests: &[Value],
    only: Option<&Question>,
    asked: &ExplainArgs,
    at: &GatewayArgs,
) -> Result<(Vec<Value>, &'static str), Failure> {
    if let (true, Some(question)) = (asked.offline, only) {
        let told = offline(at)?.block_on(question)?;
        return Ok((vec![told], "the configuration alone"));
    }
    let body = Content::Json(json!({ "requests": requests }));
    let reply = Door::open(at)?.json(Method::POST, "/v1/explain", body)?;
    let running = reply.get("evidence").and_then(Value::as_str) == Some("running");
    if running {
        warn_if_other(&reply, at);
    }
    let answers = reply.get("answers").and_then(Value::as_array).cloned().unwrap_or_default();
    let evidence = if running { "the running gateway" } else { "the store; every limit is unused" };
    Ok((answers, evidence))
}

/// Says so where the file is not what the running gateway has.
fn warn_if_other(reply: &Value, at: &GatewayArgs) {
    let Ok(config) = whereabouts(at) else { return };
    let running = reply.get("config_hash").and_then(Value::as_str);
    if at.socket.is_none() && running.is_some_and(|hash| hash != config.hash) {
        let file = at.config.display();
        let _ = writeln!(
            io::stderr(),
            "portcullis: the running gateway has another configuration than {file}, and answers by its own: \
             --offline asks the file"
        );
    }
}

/// An explainer of the configuration file alone. Made-up secrets will do: what would need real ones is undetermined.
pub(super) struct OfFile {
    explainer: Explainer,
    runtime: tokio::runtime::Runtime,
}

pub(super) fn offline(at: &GatewayArgs) -> Result<OfFile, Failure> {
    let config = whereabouts(at)?;
    let compiled = config
        .compile(&|_: &MountName| Vec::new())
        .map_err(|report| Failure::Failed(report.to_string()))?;
    let metrics = Metrics::new().map_err(|error| Failure::Failed(error.to_string()))?;
    let explainer = Explainer::offline(config.boot().edge, Arc::new(compiled.snapshot), metrics)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(OfFile { explainer, runtime })
}

impl OfFile {
    pub(super) fn block_on(&self, question: &Question) -> Result<Value, Failure> {
        let told = self.runtime.block_on(self.explainer.explain(question));
        serde_json::to_value(told).map_err(|error| Failure::Failed(error.to_string()))
    }
}

/// One answer per line, for programs.
fn batch(file: &Path, asked: &ExplainArgs, at: &GatewayArgs) -> Result<(), Failure> {
    if asked.offline {
        return Err(request::usage("--batch asks a gateway or the store, not --offline"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| request::unread(file, &error))?;
    let mut requests = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = serde_json::from_str::<Value>(line);
        requests.push(
            read.map_err(|error| {
                Failure::Failed(format!("{}:{}: {error}", file.display(), at + 1))
            })?,
        );
    }
    let mut out = String::new();
    for part in requests.chunks(AT_ONCE) {
        for answer in ask(part, None, asked, at)?.0 {
            // Writing to a String does not fail.
            let _ = writeln!(out, "{answer}");
        }
    }
    Ok(io::stdout().write_all(out.as_bytes())?)
}

/// What became of a request, from a log or from the memory of the running gateway.
fn past(id: &str, asked: &ExplainArgs, at: &GatewayArgs, output: OutputArg) -> Result<(), Failure> {
    let found = match &asked.log {
        Some(file) => in_log(id, file)?,
        None => {
            let door = Door::running(at)?.ok_or_else(|| {
                Failure::Unreachable("no gateway is running here: name a log with --log".into())
            })?;
            door.json(Method::GET, &format!("/v1/refusals/{}", quoted(id)), Content::Nothing)?
        }
    };
    let reason = word(&found, "reason");
    let known = Deny::every().into_iter().find(|deny| deny.reason() == reason);
    let (meaning, needed) = known.map_or(("", ""), |deny| deny.explained());
    if output.is_json() {
        let mut told = found.clone();
        if let Some(fields) = told.as_object_mut() {
            fields.insert("meaning".into(), meaning.into());
            fields.insert("needed".into(), needed.into());
        }
        show::json(&told)?;
        return outcome(&found);
    }
    let mut out = String::new();
    let first = ["timestamp", "method", "host", "path", "client", "listener", "mount", "route"];
    let then = ["status", "outcome", "reason", "rule", "missing", "subject", "auth"];
    let known: Vec<&str> = first.into_iter().chain(then).collect();
    // What a log says beside that: where it went, how long it took, what ran and was ended.
    let own = found.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    let more = own.filter(|key| !known.contains(key) && !OF_THE_LOG.contains(key));
    for key in known.iter().copied().chain(more) {
        match found.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => line(&mut out, key, text),
            Some(other) => line(&mut out, key, &other.to_string()),
        }
    }
    if !meaning.is_empty() {
        line(&mut out, "meaning", meaning);
        line(&mut out, "needed", needed);
    }
    out.push_str("\nNo log holds credentials: ask again with METHOD URL and --token-file, --key-file or --as.\n");
    io::stdout().write_all(out.as_bytes())?;
    outcome(&found)
}

/// The access line of a request.
fn in_log(id: &str, file: &Path) -> Result<Value, Failure> {
    let text = std::fs::read(file).map_err(|error| request::unread(file, &error))?;
    let lines = text.split(|byte| *byte == b'\n').rev();
    let parsed = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let is_it = |line: &Value| {
        word(line, "request_id") == id && line.get("outcome").is_some_and(Value::is_string)
    };
    parsed
        .into_iter()
        .find(is_it)
        .ok_or_else(|| Failure::Failed(format!("{}: no access line of {id}", file.display())))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Into the exit code.
fn outcome(answer: &Value) -> Result<(), Failure> {
    match word(answer, "outcome") {
        "permitted" => Ok(()),
        "refused" => Err(Failure::Told),
        _ => Err(Failure::Undetermined),
    }
}

fn print(answer: &Value, evidence: &str) -> Result<(), Failure> {
    let mut out = String::new();
    for stage in answer.get("stages").and_then(Value::as_array).into_iter().flatten() {
        let saw = stage.get("saw").and_then(Value::as_array);
        let saw: Vec<&str> = saw.into_iter().flatten().filter_map(Value::as_str).collect();
        let verdict = word(stage, "verdict");
        let _ = writeln!(out, "{:15} {verdict:12} {}", word(stage, "stage"), saw.join("; "));
    }
    out.push('\n');
    let status = answer.get("status").and_then(Value::as_u64);
    let status = status.map(|status| format!(" with {status}")).unwrap_or_default();
    let verdict = format!("{}{status} ({})", word(answer, "outcome"), word(answer, "reason"));
    line(&mut out, "verdict", &verdict);
    for key in ["rule", "missing", "meaning", "needed"] {
        if !word(answer, key).is_empty() {
            line(&mut out, key, word(answer, key));
        }
    }
    for rule in answer.get("would_refuse").and_then(Value::as_array).into_iter().flatten() {
        line(&mut out, "in the shadow", rule.as_str().unwrap_or_default());
    }
    if let Some(sent) = answer.get("upstream") {
        line(&mut out, "goes to", &format!("{} as {}", word(sent, "to"), word(sent, "path")));
        for field in sent.get("set").and_then(Value::as_array).into_iter().flatten() {
            let part = |at: usize| field.get(at).and_then(Value::as_str).unwrap_or_default();
            line(&mut out, "  sets", &format!("{}: {}", part(0), part(1)));
        }
        let removed = sent.get("removed").and_then(Value::as_array);
        let removed: Vec<&str> = removed.into_iter().flatten().filter_map(Value::as_str).collect();
        if !removed.is_empty() {
            line(&mut out, "  removes", &removed.join(", "));
        }
    }
    line(&mut out, "by", evidence);
    Ok(io::stdout().write_all(out.as_bytes())?)
}

/// One fact. Control characters of a request must not reach the terminal.
fn line(out: &mut String, key: &str, text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let _ = writeln!(out, "{key:15} {text}");
}
