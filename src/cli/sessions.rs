//! `session …`

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{GatewayArgs, SessionCommand},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: SessionCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        SessionCommand::List { user, realm, output } => {
            let mut path = "/v1/sessions?limit=1000".to_owned();
            for (key, value) in [("user", &user), ("realm", &realm.realm)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{key}={}", quoted(value)));
                }
            }
            let answer = Door::open(at)?.json(Method::GET, &path, Content::Nothing)?;
            let sessions = answer.get("sessions").and_then(Value::as_array).cloned();
            let sessions = sessions.unwrap_or_default();
            let more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
            if output.is_json() {
                return show::json(&json!({ "sessions": sessions, "more": more }));
            }
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
            show::table(&sessions, &columns)?;
            if more {
                let newest = sessions.len();
                show::line(&format!("these are the newest {newest}; narrow the list with --user"))?;
            }
            Ok(())
        }
        SessionCommand::End { id } => {
            let path = format!("/v1/sessions/{}/end", quoted(&id));
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("session {id} ended"))
        }
    }
}
