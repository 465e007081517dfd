//! What a provider says about a person.

use serde_json::{Value, json};

/// Longest id of a person (contract hh, `hh_user_id`).
pub(super) const LONGEST_SUBJECT: usize = 100;
/// Longest text kept of a profile.
const LONGEST: usize = 320;

/// The parts that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) subject: String,
    pub(super) email: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
}

impl Profile {
    /// Reads a reply. `None`: it does not say who.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let reply: Value = serde_json::from_slice(body).ok()?;
        // A text at hh.ru; elsewhere often a number.
        let subject = match reply.get("id").or_else(|| reply.get("sub"))? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => return None,
        };
        if !is_subject(&subject) {
            return None;
        }
        let text = |name: &str| {
            let text = reply.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| text.chars().take(LONGEST).collect())
        };
        Some(Self {
            subject,
            email: text("email"),
            first_name: text("first_name"),
            last_name: text("last_name"),
        })
    }

    /// First and last name.
    pub(super) fn full_name(&self) -> Option<String> {
        let names: Vec<&str> =
            [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    /// As the store keeps it.
    pub(super) fn kept(&self) -> Value {
        json!({ "email": self.email, "full_name": self.full_name() })
    }
}

/// Whether a text can be a person's id.
pub(super) fn is_subject(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_SUBJECT).contains(&length) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_text_or_number_and_must_be_there() {
        let subject = |text: &str| Profile::read(text.as_bytes()).map(|profile| profile.subject);
        assert_eq!(subject(r#"{"id":"174714255"}"#).as_deref(), Some("174714255"));
        assert_eq!(subject(r#"{"id":174714255}"#).as_deref(), Some("174714255"));
        for text in
            [r#"{"id":1.5}"#, r#"{"id":""}"#, r#"{"id":null}"#, "{}", "[]", "x", r#"{"id":" "}"#]
        {
            assert_eq!(subject(text), None, "{text}");
        }
        assert_eq!(subject(&json!({ "id": "9".repeat(101) }).to_string()), None);
    }

    #[test]
    fn the_whole_name_is_first_and_last() {
        let name = |text: &str| Profile::read(text.as_bytes()).unwrap().full_name();
        let both = r#"{"id":"1","first_name":"Иван","last_name":"Петров","email":null}"#;
        assert_eq!(name(both).as_deref(), Some("Иван Петров"));
        assert_eq!(name(r#"{"id":"1","last_name":"Петров"}"#).as_deref(), Some("Петров"));
        assert_eq!(name(r#"{"id":"1","first_name":" "}"#), None);
    }
}
