//! Names of organisations, groups and permissions: what is acceptable, and what is made where none is given. Pure.

use crate::identity::FieldError;

/// Longest name of an organisation or group (contract inkpass: 2 to 100 characters).
pub(super) const LONGEST_NAME: usize = 100;
/// Longest description.
pub(super) const LONGEST_TEXT: usize = 500;
/// Longest resource or action.
const LONGEST_WORD: usize = 128;
/// Longest conditions of a permission, as JSON text.
pub(super) const LONGEST_CONDITIONS: usize = 4096;
/// Longest slug.
const LONGEST_SLUG: usize = 60;
/// Numbers tried behind a slug that is taken.
const NUMBERS: usize = 9;

/// What is wrong with a name that people read.
pub(super) fn name_fault(field: &'static str, name: &str, least: usize) -> Option<FieldError> {
    let length = name.trim().chars().count();
    if length < least {
        let message = format!("At least {least} characters are needed");
        return Some(FieldError { field, kind: "too_short", message });
    }
    too_long_or_odd(field, name, LONGEST_NAME)
}

/// What is wrong with the name somebody gives an organisation. A blank one is none.
pub(in crate::identity) fn organisation_fault(name: &str) -> Option<FieldError> {
    if name.trim().is_empty() { None } else { name_fault("organization_name", name, 2) }
}

/// What is wrong with a longer text that people read.
pub(super) fn text_fault(field: &'static str, text: &str) -> Option<FieldError> {
    too_long_or_odd(field, text, LONGEST_TEXT)
}

/// What is wrong with a resource or an action.
pub(super) fn word_fault(field: &'static str, word: &str) -> Option<FieldError> {
    if word.is_empty() {
        let message = "At least 1 character is needed".to_owned();
        return Some(FieldError { field, kind: "too_short", message });
    }
    too_long_or_odd(field, word, LONGEST_WORD)
}

/// The name of an organisation that nobody named: from the first name, else from the address's domain.
pub(super) fn default_name(first_name: Option<&str>, email: Option<&str>) -> String {
    if let Some(first) = first_name.map(str::trim).filter(|name| !name.is_empty()) {
        return format!("{first}'s Organization");
    }
    let domain = email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    let label = domain.and_then(|domain| domain.split('.').next()).unwrap_or_default();
    let mut letters = label.chars();
    match letters.next() {
        Some(first) => {
            let capital: String = first.to_uppercase().collect();
            format!("{capital}{} Organization", letters.as_str().to_lowercase())
        }
        None => "Organization".to_owned(),
    }
}

/// Slugs for a name in order of preference: plain, with a small number, and with a part of the id, which nobody else has.
pub(super) fn slugs(name: &str, id: &str) -> Vec<String> {
    let base = slug(name);
    let unique: String = id.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let mut all = vec![base.clone()];
    all.extend((1..=NUMBERS).map(|number| format!("{base}-{number}")));
    all.push(format!("{base}-{unique}"));
    all
}

fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= LONGEST_SLUG {
            break;
        }
    }
    let out = out.trim_matches('-');
    if out.is_empty() { "organization".to_owned() } else { out.to_owned() }
}

fn too_long_or_odd(field: &'static str, text: &str, most: usize) -> Option<FieldError> {
    if text.chars().count() > most {
        let message = format!("At most {most} characters");
        return Some(FieldError { field, kind: "too_long", message });
    }
    if text.chars().any(char::is_control) {
        let message = "Control characters are not allowed".to_owned();
        return Some(FieldError { field, kind: "invalid", message });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_the_last_one_is_unique() {
        for (name, wanted) in [
            ("Acme, Inc.", "acme-inc"),
            ("  Ada's Organization ", "ada-s-organization"),
            ("Организация", "organization"),
            ("", "organization"),
            ("--A--B--", "a-b"),
        ] {
            assert_eq!(slug(name), wanted, "{name}");
        }
        assert!(slug(&"x".repeat(500)).len() <= LONGEST_SLUG);
        let all = slugs("Acme", "6c1c3c3e-0000-4000-8000-000000000001");
        assert_eq!(all.first().map(String::as_str), Some("acme"));
        assert_eq!(all.get(1).map(String::as_str), Some("acme-1"));
        assert_eq!(all.last().map(String::as_str), Some("acme-6c1c3c3e00004000"));
    }

    #[test]
    fn an_organisation_that_nobody_named_has_a_name_all_the_same() {
        for (first, email, wanted) in [
            (Some("Ada"), Some("ada@example.com"), "Ada's Organization"),
            (None, Some("ada@example.com"), "Example Organization"),
            (Some(" "), Some("ada@ACME.co.uk"), "Acme Organization"),
            (None, None, "Organization"),
        ] {
            assert_eq!(default_name(first, email), wanted);
        }
    }

    #[test]
    fn names_and_words_are_bounded() {
        assert_eq!(name_fault("name", "Acme & Co., Ltd. - Zürich", 2), None);
        assert_eq!(name_fault("name", " a ", 2).unwrap().kind, "too_short");
        assert_eq!(name_fault("name", &"x".repeat(101), 2).unwrap().kind, "too_long");
        assert_eq!(name_fault("name", "a\u{0}b", 2).unwrap().kind, "invalid");
        assert_eq!(word_fault("resource", "*"), None);
        assert_eq!(word_fault("resource", "").unwrap().kind, "too_short");
        assert_eq!(word_fault("resource", &"x".repeat(129)).unwrap().kind, "too_long");
    }
}
