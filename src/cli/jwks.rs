//! `jwks …`: keys of issuers outside.

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{GatewayArgs, JwksCommand},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: JwksCommand, at: &GatewayArgs) -> Result<(), Failure> {
    let none = || Failure::Unreachable("no gateway is running here".into());
    let door = Door::running(at)?.ok_or_else(none)?;
    match command {
        JwksCommand::List { output } => {
            let found = issuers(&door)?;
            if output.is_json() {
                return show::json(&json!({ "issuers": found }));
            }
            let columns = [
                ("NAME", "name"),
                ("STATE", "state"),
                ("KEYS", "kids"),
                ("FETCHED", "fetched_at"),
                ("NEXT IN (S)", "next_in_seconds"),
                ("ERROR", "error"),
                ("URL", "url"),
            ];
            show::table(&found.into_iter().map(with_kids).collect::<Vec<_>>(), &columns)
        }
        JwksCommand::Refresh { name } => {
            let names = match name {
                Some(name) => vec![name],
                None => issuers(&door)?.iter().filter_map(name_of).collect(),
            };
            if names.is_empty() {
                return show::line("no issuer is asked for keys");
            }
            let mut failed = Vec::new();
            for name in names {
                let path = format!("/v1/issuers/{}/refresh", quoted(&name));
                match door.json(Method::POST, &path, Content::Nothing) {
                    Ok(_) => show::line(&format!("keys of {name} fetched"))?,
                    Err(failure) => failed.push(failure.to_string()),
                }
            }
            if failed.is_empty() { Ok(()) } else { Err(Failure::Failed(failed.join("; "))) }
        }
    }
}

fn issuers(door: &Door) -> Result<Vec<Value>, Failure> {
    let answer = door.json(Method::GET, "/v1/issuers", Content::Nothing)?;
    Ok(answer.get("issuers").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn name_of(issuer: &Value) -> Option<String> {
    issuer.get("name").and_then(Value::as_str).map(str::to_owned)
}

/// The row with its keys in one cell.
fn with_kids(mut row: Value) -> Value {
    let word =
        |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let keys = row.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let kids: Vec<String> =
        keys.iter().map(|key| format!("{} {}", word(key, "kid"), word(key, "alg"))).collect();
    if let Some(row) = row.as_object_mut() {
        row.insert("kids".into(), json!(kids));
    }
    row
}
