//! The proven caller as header fields toward an upstream.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::IdentityHeaders;
use crate::model::Principal;

/// What is escaped in every value: nothing but visible ASCII reaches an upstream, and an escape means itself only.
const TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
/// In members of a list also the separators, so that one role cannot look like two.
const MEMBER: &AsciiSet = &TEXT.add(b',');

/// Adds one field for every fact that is known.
pub(super) fn set(
    out: &mut Vec<(HeaderName, HeaderValue)>,
    names: &IdentityHeaders,
    who: &Principal,
) {
    out.push((names.method.clone(), HeaderValue::from_static(who.method.as_str())));
    let mut add = |name: &HeaderName, text: &str| {
        push(out, name, &Cow::from(utf8_percent_encode(text, TEXT)));
    };
    add(&names.subject, who.subject.as_str());
    add(&names.realm, who.realm.as_str());
    if let Some(username) = &who.username {
        add(&names.username, username);
    }
    if let Some(tenant) = &who.tenant {
        add(&names.tenant, tenant);
    }
    if let Some(key) = &who.key {
        add(&names.key_id, key.as_str());
    }
    if !who.roles.is_empty() {
        push(out, &names.roles, &joined(who.roles.iter().map(|role| &**role), ","));
    }
    if let Some(scopes) = who.scopes.as_ref().filter(|scopes| !scopes.is_empty()) {
        push(out, &names.scopes, &joined(scopes.iter(), " "));
    }
}

fn push(out: &mut Vec<(HeaderName, HeaderValue)>, name: &HeaderName, text: &str) {
    // Only visible ASCII and separators are left, so this always makes a value; a fact lost would be safe all the same.
    if let Ok(value) = HeaderValue::from_str(text) {
        out.push((name.clone(), value));
    }
}

fn joined<'a>(members: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let mut out = String::new();
    for (at, member) in members.enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        out.extend(utf8_percent_encode(member, MEMBER));
    }
    out
}
