//! `audit …`

use http::Method;
use serde_json::Value;

use super::{
    Failure,
    arguments::{AuditCommand, GatewayArgs, OutputArg},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: AuditCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        AuditCommand::Tail { limit, output } => tail(&Door::open(at)?, limit, output),
        AuditCommand::Export { since, until, after, node } => {
            let (door, span) = (Door::open(at)?, (since.as_deref(), until.as_deref()));
            export_all(&door, span, after, node)
        }
        AuditCommand::Verify { output } => verify(&Door::open(at)?, output),
    }
}

fn tail(door: &Door, limit: u32, output: OutputArg) -> Result<(), Failure> {
    let path = format!("/v1/audit?limit={limit}");
    let mut answer = door.json(Method::GET, &path, Content::Nothing)?;
    if output.is_json() {
        return show::json(&answer);
    }
    let events = answer.get_mut("events").map(Value::take);
    let mut events = events.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    // The newest last, next to the prompt.
    events.reverse();
    let columns = [
        ("NODE", "node"),
        ("SEQ", "seq"),
        ("TIME", "timestamp"),
        ("EVENT", "event_type"),
        ("REALM", "realm"),
        ("MOUNT", "mount"),
        ("USER", "user_id"),
        ("ADDRESS", "ip_address"),
        ("DETAILS", "details"),
    ];
    show::table(&events, &columns)
}

/// From when until when.
type Span<'a> = (Option<&'a str>, Option<&'a str>);

/// Every node has a chain of its own, also one that is gone for good.
fn export_all(
    door: &Door,
    span: Span<'_>,
    after: u64,
    node: Option<String>,
) -> Result<(), Failure> {
    let wanted = match node {
        Some(node) => vec![node],
        None => {
            let path = "/v1/audit/export?limit=1";
            let answer = door.json(Method::GET, path, Content::Nothing)?;
            let nodes = answer.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default();
            nodes.iter().filter_map(|node| node.as_str().map(str::to_owned)).collect()
        }
    };
    if after > 0 && wanted.len() > 1 {
        let why = format!(
            "--after is a place in one chain: say which with --node ({})",
            wanted.join(", ")
        );
        return Err(Failure::Failed(why));
    }
    wanted.iter().try_for_each(|node| export(door, node, span, after))
}

/// Page by page, so that a log of any length fits; each line is whole.
fn export(
    door: &Door,
    node: &str,
    (since, until): Span<'_>,
    mut after: u64,
) -> Result<(), Failure> {
    let node = quoted(node);
    loop {
        let mut path = format!("/v1/audit/export?limit=1000&node={node}&after={after}");
        for (name, value) in [("since", since), ("until", until)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", quoted(value)));
            }
        }
        let answer = door.json(Method::GET, &path, Content::Nothing)?;
        let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        for event in &events {
            show::line(&event.to_string())?;
        }
        let last = events.last().and_then(|event| event.get("seq")).and_then(Value::as_u64);
        match (last, answer.get("more")) {
            (Some(last), Some(Value::Bool(true))) => after = last,
            _ => return Ok(()),
        }
    }
}

fn verify(door: &Door, output: OutputArg) -> Result<(), Failure> {
    let answer = door.json(Method::GET, "/v1/audit/verify", Content::Nothing)?;
    let fault = answer.get("fault").and_then(Value::as_str).map(str::to_owned);
    if output.is_json() {
        show::json(&answer)?;
        return if fault.is_some() { Err(Failure::Told) } else { Ok(()) };
    }
    match fault {
        Some(fault) => Err(Failure::Failed(format!("the audit log was tampered with: {fault}"))),
        None => {
            let checked = answer.get("checked").and_then(Value::as_u64).unwrap_or(0);
            show::line(&format!("the audit log is whole: {checked} events"))
        }
    }
}
