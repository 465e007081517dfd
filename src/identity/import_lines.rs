//! Reading an import file: JSON lines of accounts with password hashes. Pure; every bad line is named.
//!
//! Reasons never quote a value: a line holds a password hash, and a slip of the pen may put it in any field.

use std::{collections::HashSet, sync::Arc};

use serde_json::{Map, Value};

use super::{RealmRules, RefusedLine, password, rules};
use crate::store::fold_name;

/// One acceptable line.
#[derive(Clone, PartialEq)]
pub(super) struct Imported {
    /// From 1.
    pub(super) line: usize,
    /// Login name.
    pub(super) username: Option<String>,
    /// E-mail address.
    pub(super) email: Option<String>,
    /// Argon2id or bcrypt.
    pub(super) password_hash: String,
    /// Roles, the realm's default when the line names none.
    pub(super) roles: Vec<String>,
    /// Whole name.
    pub(super) full_name: Option<String>,
    /// Organisation or namespace.
    pub(super) tenant: Option<String>,
    /// Whether it may log in.
    pub(super) enabled: bool,
}

/// Reads all lines; blank ones are skipped.
pub(super) fn read(realm: &RealmRules, text: &str) -> (Vec<Imported>, Vec<RefusedLine>) {
    let mut seen = HashSet::new();
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        match read_line(realm, number, line).and_then(|new| unseen(&mut seen, new)) {
            Ok(new) => good.push(new),
            Err(why) => refused.push(RefusedLine { line: number, why }),
        }
    }
    (good, refused)
}

fn read_line(realm: &RealmRules, line: usize, text: &str) -> Result<Imported, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("not valid JSON (column {})", error.column()))?;
    let Value::Object(mut fields) = value else {
        return Err("not a JSON object".into());
    };
    let new = Imported {
        line,
        username: take_text(&mut fields, "username")?,
        email: take_text(&mut fields, "email")?,
        password_hash: take_text(&mut fields, "password_hash")?
            .ok_or("password_hash is missing")?,
        roles: take_roles(&mut fields, realm)?,
        full_name: take_text(&mut fields, "full_name")?,
        tenant: take_text(&mut fields, "agent_namespace")?,
        enabled: match fields.remove("enabled") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(enabled)) => enabled,
            Some(_) => return Err("enabled must be true or false".into()),
        },
    };
    if !fields.is_empty() {
        return Err(unknown_fields(&fields));
    }
    check(&new)?;
    Ok(new)
}

fn check(new: &Imported) -> Result<(), String> {
    if new.username.is_none() && new.email.is_none() {
        return Err("username or email is needed".into());
    }
    let faults = [
        new.username.as_deref().and_then(rules::username_fault),
        new.email.as_deref().and_then(rules::email_fault),
        new.full_name.as_deref().and_then(|text| rules::text_fault("full_name", text)),
        new.tenant.as_deref().and_then(|text| rules::text_fault("agent_namespace", text)),
    ];
    if let Some(fault) = faults.into_iter().flatten().next() {
        return Err(format!("{}: {}", fault.field, fault.message));
    }
    password::refused_import(&new.password_hash).map_or(Ok(()), |why| Err(why.into()))
}

fn take_roles(fields: &mut Map<String, Value>, realm: &RealmRules) -> Result<Vec<String>, String> {
    let list = match fields.remove("roles") {
        None | Some(Value::Null) => return Ok(vec![realm.default_role.to_string()]),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("roles must be a list of texts".into()),
    };
    let known = |role: Value| {
        let role = role.as_str().map(str::to_owned).ok_or("roles must be a list of texts")?;
        let found = realm.roles.iter().find(|known| known.eq_ignore_ascii_case(&role));
        Ok(found.ok_or("roles names a role that the realm does not have")?.to_string())
    };
    let roles: Vec<String> = list.into_iter().map(known).collect::<Result<_, String>>()?;
    if roles.is_empty() { Err("roles must not be empty".into()) } else { Ok(roles) }
}

fn take_text(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, String> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

fn unknown_fields(fields: &Map<String, Value>) -> String {
    let sane = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let shown: Vec<_> = fields
        .keys()
        .map(|name| if name.len() <= 32 && name.chars().all(sane) { name } else { "…" })
        .collect();
    format!("unknown field {}", shown.join(", "))
}

fn unseen(seen: &mut HashSet<Arc<str>>, new: Imported) -> Result<Imported, String> {
    let names = [("username", &new.username), ("email", &new.email)];
    for (field, name) in names {
        let Some(name) = name else { continue };
        if !seen.insert(format!("{field} {}", fold_name(name)).into()) {
            return Err(format!("{field} stands in an earlier line already"));
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{LoginThrottle, PasswordRule};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                        AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn realm() -> RealmRules {
        RealmRules {
            password: PasswordRule {
                min_length: 12,
                max_length: 256,
                upper: true,
                lower: true,
                digit: true,
                symbols: "!".into(),
                only_listed: false,
                forbidden: Vec::new(),
            },
            lockout: None,
            throttle: LoginThrottle::default(),
            roles: vec!["ADMIN".into(), "USER".into()],
            default_role: "USER".into(),
            ..RealmRules::strict()
        }
    }

    fn why(line: &str) -> String {
        let (good, refused) = read(&realm(), line);
        assert!(good.is_empty());
        refused[0].why.clone()
    }

    #[test]
    fn good_lines_are_read_with_their_defaults() {
        let text = format!(
            "{{\"username\":\"ada\",\"password_hash\":\"{HASH}\"}}\n\n\
             {{\"email\":\"b@x.org\",\"password_hash\":\"{HASH}\",\"roles\":[\"admin\"],\
             \"full_name\":\"B\",\"agent_namespace\":\"team\",\"enabled\":false}}\n"
        );
        let (good, refused) = read(&realm(), &text);
        assert_eq!(refused, []);
        assert_eq!((good[0].line, good[0].enabled), (1, true));
        assert_eq!(good[0].roles, ["USER"]);
        assert_eq!((good[1].line, good[1].enabled), (3, false));
        assert_eq!(good[1].roles, ["ADMIN"]);
        assert_eq!(good[1].tenant.as_deref(), Some("team"));
    }

    #[test]
    fn each_bad_line_is_named_with_its_reason() {
        assert!(why("{").starts_with("not valid JSON"));
        assert_eq!(why("[]"), "not a JSON object");
        assert_eq!(why("{\"username\":\"ada\"}"), "password_hash is missing");
        let with = |rest: &str| why(&format!("{{\"password_hash\":\"{HASH}\"{rest}}}"));
        assert_eq!(with(""), "username or email is needed");
        assert_eq!(with(",\"username\":\"ada\",\"shoe\":1"), "unknown field shoe");
        assert_eq!(with(",\"username\":7"), "username must be a text");
        assert!(with(",\"username\":\"a\"").starts_with("username:"));
        assert!(with(",\"email\":\"a\"").starts_with("email:"));
        assert!(with(",\"username\":\"ada\",\"roles\":[\"KING\"]").contains("role"));
        assert_eq!(with(",\"username\":\"ada\",\"roles\":[]"), "roles must not be empty");
        assert_eq!(with(",\"username\":\"ada\",\"enabled\":1"), "enabled must be true or false");
        assert!(why("{\"username\":\"ada\",\"password_hash\":\"x\"}").contains("neither"));
    }

    #[test]
    fn a_name_given_twice_in_any_case_is_refused_the_second_time() {
        let line =
            |name: &str| format!("{{\"username\":\"{name}\",\"password_hash\":\"{HASH}\"}}\n");
        let (good, refused) = read(&realm(), &(line("Ada") + &line("ada")));
        assert_eq!(good.len(), 1);
        assert_eq!(refused[0].line, 2);
    }

    #[test]
    fn reasons_never_repeat_the_hash() {
        let odd = "$2b$12$secretsecret";
        for line in [
            format!("{{\"password_hash\":\"{odd}\",\"username\":\"ada\"}}"),
            format!("{{\"{odd}\":1,\"password_hash\":\"{HASH}\"}}"),
            format!("{{\"username\":\"{odd}\",\"password_hash\":\"{HASH}\"}}"),
            format!("{{\"roles\":[\"{odd}\"],\"password_hash\":\"{HASH}\"}}"),
            format!("\"{odd}\""),
        ] {
            assert!(!why(&line).contains("secret"), "{line}");
        }
    }
}
