//! `user …`

use std::{
    io::{self, Read},
    path::Path,
};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{GatewayArgs, OutputArg, PasswordArgs, PersonArgs, RealmArg, UserCommand},
    door::{Content, Door, quoted},
    show,
};

pub(super) fn run(command: UserCommand, at: &GatewayArgs) -> Result<(), Failure> {
    match command {
        UserCommand::Add { username, email, roles, full_name, tenant, password, realm, output } => {
            let body = json!({
                "realm": realm.realm,
                "username": username,
                "email": email,
                "password": given(password)?,
                "roles": if roles.is_empty() { None } else { Some(roles) },
                "full_name": full_name,
                "tenant": tenant,
                "bypass_policy": password.bypass_policy,
            });
            let answer = Door::open(at)?.json(Method::POST, "/v1/users", Content::Json(body))?;
            told_password(&answer, &format!("account \"{username}\" made"), output)
        }
        UserCommand::List { realm, output } => list(&Door::open(at)?, &realm, output),
        UserCommand::Disable { user, realm } => {
            set(at, &user, "disable", &realm)?;
            show::line(&format!("account \"{user}\" disabled; its sessions have ended"))
        }
        UserCommand::Enable { user, realm } => {
            set(at, &user, "enable", &realm)?;
            show::line(&format!("account \"{user}\" enabled"))
        }
        UserCommand::ResetFactor { user, realm } => {
            set(at, &user, "reset-factor", &realm)?;
            show::line(&format!("second factor of \"{user}\" switched off"))
        }
        UserCommand::Passwd { user, password, realm, output } => {
            let body =
                json!({ "password": given(password)?, "bypass_policy": password.bypass_policy });
            let path = path_of(&user, "password", &realm);
            let answer = Door::open(at)?.json(Method::POST, &path, Content::Json(body))?;
            told_password(&answer, &format!("password of \"{user}\" set"), output)
        }
        UserCommand::Roles { user, roles, realm } => {
            let path = path_of(&user, "roles", &realm);
            let body = Content::Json(json!({ "roles": roles }));
            Door::open(at)?.json(Method::POST, &path, body)?;
            show::line(&format!("roles of \"{user}\" set; its sessions have ended"))
        }
        UserCommand::Links { user, realm, output } => {
            let path = path_of(&user, "links", &realm);
            let answer = Door::open(at)?.json(Method::GET, &path, Content::Nothing)?;
            if output.is_json() {
                return show::json(&answer);
            }
            let links = answer.get("links").and_then(Value::as_array);
            let columns = [("ISSUER", "issuer"), ("SUB", "sub"), ("LAST LOGIN", "updated_at")];
            show::table(links.map(Vec::as_slice).unwrap_or_default(), &columns)
        }
        UserCommand::Link { user, person, realm } => {
            person_of(at, &user, "link", person, &realm)?;
            show::line(&format!("account \"{user}\" joined to that person"))
        }
        UserCommand::Unlink { user, person, realm } => {
            person_of(at, &user, "unlink", person, &realm)?;
            let sentence = "is not that person any more; sessions of its logins have ended";
            show::line(&format!("account \"{user}\" {sentence}"))
        }
        UserCommand::Import { file, realm, output } => import(at, &file, &realm, output),
    }
}

fn set(at: &GatewayArgs, user: &str, verb: &str, realm: &RealmArg) -> Result<Value, Failure> {
    Door::open(at)?.json(Method::POST, &path_of(user, verb, realm), Content::Nothing)
}

fn person_of(
    at: &GatewayArgs,
    user: &str,
    verb: &str,
    person: PersonArgs,
    realm: &RealmArg,
) -> Result<Value, Failure> {
    let body = Content::Json(json!({ "issuer": person.issuer, "sub": person.sub }));
    Door::open(at)?.json(Method::POST, &path_of(user, verb, realm), body)
}

fn path_of(user: &str, verb: &str, realm: &RealmArg) -> String {
    let query = realm.realm.as_deref().map(|realm| format!("?realm={}", quoted(realm)));
    format!("/v1/users/{}/{verb}{}", quoted(user), query.unwrap_or_default())
}

/// The password of standard input, or none: then the gateway makes one up.
fn given(password: PasswordArgs) -> Result<Option<String>, Failure> {
    if !password.password_stdin {
        return Ok(None);
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']).to_owned();
    if line.is_empty() {
        return Err(Failure::Failed("standard input has no password in its first line".into()));
    }
    Ok(Some(line))
}

fn told_password(answer: &Value, sentence: &str, output: OutputArg) -> Result<(), Failure> {
    if output.is_json() {
        return show::json(answer);
    }
    show::line(sentence)?;
    match answer.get("generated_password").and_then(Value::as_str) {
        Some(text) => show::line(&format!("password, shown this once: {text}")),
        None => Ok(()),
    }
}

fn list(door: &Door, realm: &RealmArg, output: OutputArg) -> Result<(), Failure> {
    let filter = realm.realm.as_deref().map(|realm| format!("&realm={}", quoted(realm)));
    let users = pages(door, "/v1/users", "users", &filter.unwrap_or_default())?;
    if output.is_json() {
        return show::json(&json!({ "users": users }));
    }
    let columns = [
        ("REALM", "realm"),
        ("USERNAME", "username"),
        ("EMAIL", "email"),
        ("ROLES", "roles"),
        ("ENABLED", "enabled"),
        ("CREATED", "created_at"),
        ("LAST LOGIN", "last_login_at"),
        ("ID", "id"),
    ];
    show::table(&users, &columns)
}

/// All entries of a list, part by part.
pub(super) fn pages(
    door: &Door,
    path: &str,
    key: &str,
    filter: &str,
) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let whole = format!("{path}?limit=1000{filter}{after}");
        let mut part = door.json(Method::GET, &whole, Content::Nothing)?;
        if let Some(Value::Array(items)) = part.get_mut(key).map(Value::take) {
            all.extend(items);
        }
        match part.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", quoted(next)),
            None => return Ok(all),
        }
    }
}

fn import(
    at: &GatewayArgs,
    file: &Path,
    realm: &RealmArg,
    output: OutputArg,
) -> Result<(), Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        text
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?
    };
    let query = realm.realm.as_deref().map(|realm| format!("?realm={}", quoted(realm)));
    let path = format!("/v1/users/import{}", query.unwrap_or_default());
    let answer = Door::open(at)?.json(Method::POST, &path, Content::Lines(text))?;
    if output.is_json() {
        return show::json(&answer);
    }
    let count = answer.get("imported").and_then(Value::as_u64).unwrap_or(0);
    show::line(&format!("{count} accounts imported"))
}
