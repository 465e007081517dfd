//! Rules for what people choose: passwords, names, addresses. Pure; applied at creation and change, never at login.

use super::{FieldError, PasswordRule};

/// Longest login name in characters.
const LONGEST_NAME: usize = 64;
/// Longest e-mail address (RFC 5321 section 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;
/// Longest other text about a person.
const LONGEST_TEXT: usize = 200;

/// Every reason why `password` is not acceptable under `rule`; empty when it is.
pub(super) fn password_faults(rule: &PasswordRule, password: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut weak = |message: String| {
        faults.push(FieldError { field: "password", kind: "weak", message });
    };
    let length = password.chars().count();
    if length < rule.min_length {
        weak(format!("Password must be at least {} characters long", rule.min_length));
    }
    if length > rule.max_length {
        weak(format!("Password must be at most {} characters long", rule.max_length));
    }
    if rule.upper && !password.chars().any(char::is_uppercase) {
        weak("Password must contain an upper-case letter".into());
    }
    if rule.lower && !password.chars().any(char::is_lowercase) {
        weak("Password must contain a lower-case letter".into());
    }
    if rule.digit && !password.chars().any(|c| c.is_ascii_digit()) {
        weak("Password must contain a digit".into());
    }
    if !rule.symbols.is_empty() && !password.chars().any(|c| rule.symbols.contains(c)) {
        weak(format!("Password must contain one of {}", rule.symbols));
    }
    let listed = |c: char| c.is_ascii_alphanumeric() || rule.symbols.contains(c);
    if rule.only_listed && !password.chars().all(listed) {
        weak(format!("Password may hold only a-z, A-Z, 0-9 and {}", rule.symbols));
    }
    let folded = password.to_lowercase();
    for text in &rule.forbidden {
        if folded.contains(&text.to_lowercase()) {
            weak(format!("Password must not contain \"{text}\""));
        }
    }
    faults
}

/// What is wrong with a login name. `@` is not in the set, so that no name can look like somebody's address.
pub(super) fn username_fault(name: &str) -> Option<FieldError> {
    let fault = |kind, message: &str| {
        Some(FieldError { field: "username", kind, message: message.to_owned() })
    };
    let length = name.chars().count();
    if length < 2 {
        return fault("too_short", "Username must be at least 2 characters long");
    }
    if length > LONGEST_NAME {
        return fault("too_long", "Username must be at most 64 characters long");
    }
    let sane = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if !name.chars().all(sane) || !name.starts_with(char::is_alphanumeric) {
        let text = "Username may hold letters, digits, '.', '_', '-' and '+', and starts with a \
                    letter or digit";
        return fault("invalid", text);
    }
    None
}

/// What is wrong with an e-mail address. Only mail that arrives proves one; this keeps out what cannot be one.
pub(super) fn email_fault(address: &str) -> Option<FieldError> {
    let fault = |kind, message: &str| {
        Some(FieldError { field: "email", kind, message: message.to_owned() })
    };
    if address.len() > LONGEST_EMAIL {
        return fault("too_long", "E-mail address is too long");
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || "<>()[]\\,;:\"".contains(c);
    let plausible = match address.rsplit_once('@') {
        None => false,
        Some((local, domain)) => {
            !local.is_empty()
                && local.len() <= 64
                && !local.contains('@')
                && !address.contains(odd)
                && !domain.is_empty()
                && domain.split('.').all(is_label)
        }
    };
    if plausible { None } else { fault("invalid", "E-mail address is not valid") }
}

/// What is wrong with a free text about a person.
pub(super) fn text_fault(field: &'static str, text: &str) -> Option<FieldError> {
    if text.chars().count() > LONGEST_TEXT {
        let message = format!("At most {LONGEST_TEXT} characters");
        return Some(FieldError { field, kind: "too_long", message });
    }
    if text.chars().any(char::is_control) {
        let message = "Control characters are not allowed".to_owned();
        return Some(FieldError { field, kind: "invalid", message });
    }
    None
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tmws() -> PasswordRule {
        PasswordRule {
            min_length: 12,
            max_length: 256,
            upper: true,
            lower: true,
            digit: true,
            symbols: "!@#$%^&*()_+-=[]{}\\|;:,.<>?".into(),
            only_listed: false,
            forbidden: ["password", "123456", "qwerty", "admin", "user"].map(Into::into).into(),
        }
    }

    fn messages(password: &str) -> Vec<String> {
        password_faults(&tmws(), password).into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn a_password_that_meets_the_rule_has_no_fault() {
        assert_eq!(messages("Str0ng!Enough-x"), Vec::<String>::new());
        assert_eq!(messages("Ünïcode-Wörter-9"), Vec::<String>::new());
    }

    #[test]
    fn every_reason_is_reported_at_once() {
        assert_eq!(messages("").len(), 5);
        assert_eq!(messages("aaa").len(), 4);
        assert_eq!(messages("MyPASSword-99-AdMiN").len(), 2, "forbidden words in any case");
        assert_eq!(messages(&format!("Aa1!{}", "x".repeat(253))).len(), 1, "refused, never cut");
    }

    #[test]
    fn where_a_contract_lists_the_characters_no_other_is_taken() {
        let rule = PasswordRule {
            symbols: "@$!%*?&".into(),
            only_listed: true,
            ..PasswordRule::at_least(8)
        };
        let faults = |password| password_faults(&rule, password).len();
        assert_eq!(faults("Abcdef1!"), 0);
        for odd in ["Abcdef1!#", "Abcdef1! ", "Abcdef1!ü", "Abcdef1!\u{661}"] {
            assert_eq!(faults(odd), 1, "{odd:?}");
        }
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert_eq!(messages("Äöü1!Äöü1!Ä").len(), 1, "eleven characters");
        assert_eq!(messages("Äöü1!Äöü1!Äö").len(), 0, "twelve characters");
    }

    #[test]
    fn names_are_sane_and_never_look_like_addresses() {
        for fine in ["ab", "admin", "a.b-c_d+e", "x1", "jürgen"] {
            assert_eq!(username_fault(fine), None, "{fine}");
        }
        for odd in ["", "a", " ab", "a b", "a@b.c", "a/b", "-ab", "a\u{0}b", &"x".repeat(65)] {
            assert!(username_fault(odd).is_some(), "{odd:?}");
        }
    }

    #[test]
    fn addresses_are_plausible() {
        for fine in ["a@b.co", "admin@example.com", "a+b@x-y.example", "root@localhost"] {
            assert_eq!(email_fault(fine), None, "{fine}");
        }
        for odd in ["", "a", "@b.c", "a@", "a@b..c", "a b@c.d", "a@b@c.d", "a@-b.c", "<a@b.c>"] {
            assert!(email_fault(odd).is_some(), "{odd:?}");
        }
    }
}
