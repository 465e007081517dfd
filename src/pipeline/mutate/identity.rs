//! The proven caller as header fields toward an upstream.

use std::{ops::Deref, sync::Arc};

use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{IdentityHeaders, fields::Fields};
use crate::model::Principal;

/// What is escaped in every value: nothing but visible ASCII reaches an upstream, and an escape means itself only.
const TEXT: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
/// In members of a list also the separators, so that one role cannot look like two.
const MEMBER: &AsciiSet = &TEXT.add(b',');

/// The fields that tell an upstream of one caller. They are the same for all its requests, so an edge may keep them with
/// the credential; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFields(Arc<[(HeaderName, HeaderValue)]>);

impl IdentityFields {
    /// Writes them under these names.
    pub fn of(names: &IdentityHeaders, who: &Principal) -> Self {
        let (mut fields, mut out) = (Fields::with_capacity(512), Vec::with_capacity(8));
        set(&mut fields, names, who);
        fields.written().each(|name, value| out.push((name.clone(), value)));
        Self(out.into())
    }
}

impl Deref for IdentityFields {
    type Target = [(HeaderName, HeaderValue)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Adds one field for every fact that is known.
fn set(out: &mut Fields, names: &IdentityHeaders, who: &Principal) {
    out.put(&names.method, |out| out.push_str(who.method.as_str()));
    let mut add = |name: &HeaderName, text: &str| {
        out.put(name, |out| out.extend(utf8_percent_encode(text, TEXT)));
    };
    add(&names.subject, who.subject.as_str());
    add(&names.realm, who.realm.as_str());
    if let Some(username) = &who.username {
        add(&names.username, username);
    }
    if let Some(tenant) = &who.tenant {
        add(&names.tenant, tenant);
    }
    if let Some(issuer) = &who.issuer {
        add(&names.issuer, &issuer.url);
    }
    if let Some(key) = &who.key {
        add(&names.key_id, key.as_str());
    }
    out.put(&names.roles, |out| join(out, who.roles.iter().map(|role| &**role), ","));
    if let Some(scopes) = &who.scopes {
        out.put(&names.scopes, |out| join(out, scopes.iter(), " "));
    }
}

fn join<'a>(out: &mut String, members: impl Iterator<Item = &'a str>, separator: &str) {
    for (at, member) in members.enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        out.extend(utf8_percent_encode(member, MEMBER));
    }
}
