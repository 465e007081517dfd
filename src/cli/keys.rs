//! `key …`

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    accounts::pages,
    arguments::{GatewayArgs, KeyCommand, MountArg, OutputArg},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: KeyCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        KeyCommand::Create {
            owner,
            name,
            scopes,
            expires_days,
            allow_ips,
            rate_limit_per_hour,
            description,
            mount,
            output,
        } => {
            let body = json!({
                "mount": mount.mount,
                "owner": owner,
                "name": name,
                "description": description,
                "scopes": scopes,
                "expires_days": expires_days,
                "allowed_ips": allow_ips,
                "rate_limit_per_hour": rate_limit_per_hour,
            });
            let answer = Door::open(at)?.json(Method::POST, "/v1/keys", Content::Json(body))?;
            told(&answer, output)
        }
        KeyCommand::List { mount, output } => {
            let filter = mount.mount.as_deref().map(|mount| format!("&mount={}", quoted(mount)));
            let keys = pages(&Door::open(at)?, "/v1/keys", "keys", &filter.unwrap_or_default())?;
            if output.is_json() {
                return show::json(&json!({ "keys": keys }));
            }
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("MOUNT", "mount"),
                ("OWNER", "owner"),
                ("SCOPES", "scopes"),
                ("ACTIVE", "active"),
                ("EXPIRES", "expires_at"),
                ("LAST USED", "last_used_at"),
                ("USES", "usage_count"),
            ];
            show::table(&keys, &columns)
        }
        KeyCommand::Revoke { id, mount } => {
            let path = path_of(&id, "revoke", &mount);
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("key {id} revoked"))
        }
        KeyCommand::Rotate { id, overlap, mount, output } => {
            let path = path_of(&id, "rotate", &mount);
            let body = Content::Json(json!({ "overlap_seconds": overlap }));
            let answer = Door::open(at)?.json(Method::POST, &path, body)?;
            told(&answer, output)?;
            let until = answer.get("old_valid_until").and_then(Value::as_str);
            match until.filter(|_| !output.is_json()) {
                Some(until) => show::line(&format!("the old key is valid until {until}")),
                None => Ok(()),
            }
        }
    }
}

fn path_of(id: &str, verb: &str, mount: &MountArg) -> String {
    let query = mount.mount.as_deref().map(|mount| format!("?mount={}", quoted(mount)));
    format!("/v1/keys/{}/{verb}{}", quoted(id), query.unwrap_or_default())
}

fn told(answer: &Value, output: OutputArg) -> Result<(), Failure> {
    if output.is_json() {
        return show::json(answer);
    }
    let text = answer.get("api_key").and_then(Value::as_str).unwrap_or_default();
    show::line(&format!("key, shown this once: {text}"))
}
