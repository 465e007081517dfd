//! `session …` and `token …`

use http::Method;
use serde_json::{Map, Value};

use super::{
    Failure,
    arguments::{GatewayArgs, OutputArg, RealmArg, SessionCommand, TokenCommand},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: SessionCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        SessionCommand::List { user, realm, output } => {
            let columns = [
                ("ID", "id"),
                ("MOUNT", "mount"),
                ("USER", "name"),
                ("ADDRESS", "address"),
                ("OPENED", "created_at"),
                ("LAST SEEN", "last_seen_at"),
                ("EXPIRES", "expires_at"),
                ("CLIENT", "user_agent"),
            ];
            list("sessions", user.as_deref(), &realm, output, &columns, at)
        }
        SessionCommand::End { id } => {
            let path = format!("/v1/sessions/{}/end", quoted(&id));
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("session {id} ended"))
        }
    }
}

pub(super) fn tokens(command: TokenCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        TokenCommand::List { user, realm, output } => {
            let columns = [
                ("ID", "id"),
                ("MOUNT", "mount"),
                ("USER", "name"),
                ("AGENT", "agent"),
                ("CLIENT", "client"),
                ("ISSUED", "created_at"),
                ("EXPIRES", "expires_at"),
            ];
            list("tokens", user.as_deref(), &realm, output, &columns, at)
        }
        TokenCommand::Revoke { id } => {
            let path = format!("/v1/tokens/{}/revoke", quoted(&id));
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("token {id} revoked"))
        }
    }
}

/// The newest of what lives.
fn list(
    what: &str,
    user: Option<&str>,
    realm: &RealmArg,
    output: OutputArg,
    columns: &[(&str, &str)],
    at: &GatewayArgs,
) -> Result<(), Failure> {
    let mut path = format!("/v1/{what}?limit=1000");
    for (key, value) in [("user", user), ("realm", realm.realm.as_deref())] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", quoted(value)));
        }
    }
    let answer = Door::open(at)?.json(Method::GET, &path, Content::Nothing)?;
    let found = answer.get(what).and_then(Value::as_array).cloned().unwrap_or_default();
    let more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
    if output.is_json() {
        let all = [(what.to_owned(), found.into()), ("more".to_owned(), more.into())];
        return show::json(&Value::Object(Map::from_iter(all)));
    }
    show::table(&found, columns)?;
    if more {
        let newest = found.len();
        show::line(&format!("these are the newest {newest}; narrow the list with --user"))?;
    }
    Ok(())
}
