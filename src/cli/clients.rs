//! `client …` and `signing-key …`

use std::{fs, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    accounts::pages,
    arguments::{ClientCommand, GatewayArgs, MountArg, OutputArg, SigningKeyCommand},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: ClientCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        ClientCommand::Create {
            name,
            grants,
            scopes,
            roles,
            resources,
            redirect_uris,
            jwks,
            expires_days,
            mount,
            output,
        } => {
            let body = json!({
                "mount": mount.mount,
                "name": name,
                "grants": grants,
                "scopes": scopes,
                "roles": roles,
                "resources": resources,
                "redirect_uris": redirect_uris,
                "jwks": jwks.as_deref().map(keys).transpose()?,
                "expires_days": expires_days,
            });
            let answer = Door::open(at)?.json(Method::POST, "/v1/clients", Content::Json(body))?;
            told(&answer, output)
        }
        ClientCommand::List { mount, output } => {
            let filter = mount.mount.as_deref().map(|mount| format!("&mount={}", quoted(mount)));
            let filter = filter.unwrap_or_default();
            let clients = pages(&Door::open(at)?, "/v1/clients", "clients", &filter)?;
            if output.is_json() {
                return show::json(&json!({ "clients": clients }));
            }
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("MOUNT", "mount"),
                ("GRANTS", "grants"),
                ("SCOPES", "scopes"),
                ("ROLES", "roles"),
                ("ACTIVE", "active"),
                ("EXPIRES", "expires_at"),
            ];
            show::table(&clients, &columns)
        }
        ClientCommand::RotateSecret { id, overlap, mount, output } => {
            let path = path_of(&id, "/rotate-secret", &mount);
            let body = Content::Json(json!({ "overlap_seconds": overlap }));
            told(&Door::open(at)?.json(Method::POST, &path, body)?, output)
        }
        ClientCommand::Disable { id, mount } => {
            let path = path_of(&id, "/disable", &mount);
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("client {id} disabled; its tokens and logins have ended"))
        }
        ClientCommand::Enable { id, mount } => {
            let path = path_of(&id, "/enable", &mount);
            Door::open(at)?.json(Method::POST, &path, Content::Nothing)?;
            show::line(&format!("client {id} enabled"))
        }
        ClientCommand::Remove { id, mount } => {
            let path = path_of(&id, "", &mount);
            Door::open(at)?.json(Method::DELETE, &path, Content::Nothing)?;
            show::line(&format!("client {id} removed; its tokens and logins have ended"))
        }
    }
}

pub(super) fn signing_keys(command: SigningKeyCommand, at: &GatewayArgs) -> Result<(), Failure> {
    let of = |mount: &MountArg| {
        mount.mount.as_deref().map(|mount| format!("?mount={}", quoted(mount))).unwrap_or_default()
    };
    match command {
        SigningKeyCommand::List { mount, output } => {
            let path = format!("/v1/signing-keys{}", of(&mount));
            let answer = Door::open(at)?.json(Method::GET, &path, Content::Nothing)?;
            if output.is_json() {
                return show::json(&answer);
            }
            let keys = answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
            let columns = [
                ("MOUNT", "mount"),
                ("OF", "of"),
                ("KID", "kid"),
                ("ALGORITHM", "algorithm"),
                ("SIGNS", "signs"),
                ("VERIFIES UNTIL", "verifies_until"),
            ];
            show::table(&keys, &columns)
        }
        SigningKeyCommand::Rotate { mount, login, output } => {
            let of = if login { "login" } else { "issuer" };
            let body = Content::Json(json!({ "mount": mount.mount, "of": of }));
            let answer = Door::open(at)?.json(Method::POST, "/v1/signing-keys/rotate", body)?;
            if output.is_json() {
                return show::json(&answer);
            }
            let kid = answer.get("kid").and_then(Value::as_str).unwrap_or_default();
            show::line(&format!("key {kid} is published; tokens of the old one stay good"))
        }
    }
}

fn keys(path: &Path) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::Failed(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(format!("no JSON: {error}")))
}

fn path_of(id: &str, verb: &str, mount: &MountArg) -> String {
    let query = mount.mount.as_deref().map(|mount| format!("?mount={}", quoted(mount)));
    format!("/v1/clients/{}{verb}{}", quoted(id), query.unwrap_or_default())
}

fn told(answer: &Value, output: OutputArg) -> Result<(), Failure> {
    if output.is_json() {
        return show::json(answer);
    }
    let id = answer.pointer("/client/id").and_then(Value::as_str).unwrap_or_default();
    show::line(&format!("client_id: {id}"))?;
    match answer.get("client_secret").and_then(Value::as_str) {
        Some(secret) => show::line(&format!("client_secret, shown this once: {secret}")),
        None => show::line("it proves itself with its key"),
    }
}
