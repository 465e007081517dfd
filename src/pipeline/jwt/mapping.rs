//! What the claims of an issuer outside mean here: whose they are, which of its roles and scopes are which of ours.
//!
//! Every claim that is used is typed exactly; a wrong type is never "absent".

use std::sync::Arc;

use serde_json::Value;

use super::{
    Claims,
    claims::{MAX_LIST, MAX_TEXT, is_id},
};
use crate::model::ScopeSet;

/// Longest `sub` (OpenID Connect Core, section 2), and longest role or scope.
const MAX_SUBJECT: usize = 255;
const MAX_NAME: usize = 128;

/// Where in the claims something stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<Box<str>>);

impl ClaimPath {
    /// The claim of this name.
    pub fn of(name: &str) -> Self {
        Self(vec![name.into()])
    }

    /// Reads the name of a claim as it is, or, behind a `/`, a JSON pointer (RFC 6901). `None`: neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return None;
        }
        let Some(pointer) = text.strip_prefix('/') else { return Some(Self::of(text)) };
        let step = |step: &str| {
            let sound = !step.replace("~0", "").replace("~1", "").contains('~');
            sound.then(|| step.replace("~1", "/").replace("~0", "~").into_boxed_str())
        };
        pointer.split('/').map(step).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The value there. Members only: no claim of a principal is one of a list.
    pub fn find<'c>(&self, claims: &'c Claims) -> Option<&'c Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(&**first)?, |value, step| value.as_object()?.get(&**step))
    }
}

/// Names of an issuer, and what each is here.
pub type Names = Vec<(Arc<str>, Vec<Arc<str>>)>;

/// What is taken from the claims of an issuer, and how it is understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimMap {
    /// Who it is: a text of visible ASCII.
    pub subject: ClaimPath,
    /// Login name, to be told to upstreams.
    pub username: Option<ClaimPath>,
    /// E-mail address.
    pub email: Option<ClaimPath>,
    /// Organisation.
    pub tenant: Option<ClaimPath>,
    /// Scopes, one text with blanks or a list. `None`: the token narrows nothing; with it, a token without is one without
    /// scopes.
    pub scopes: Option<ClaimPath>,
    /// Which of its scopes are which of ours; `None`: they have the same names.
    pub scope_names: Option<Names>,
    /// Roles, one text with blanks or a list.
    pub roles: Option<ClaimPath>,
    /// Which of its roles are which of ours. Whatever stands not here is none.
    pub role_names: Names,
    /// Roles that every caller of the issuer has.
    pub base_roles: Vec<Arc<str>>,
}

impl ClaimMap {
    pub(super) fn subject_of<'c>(&self, claims: &'c Claims) -> Option<&'c str> {
        self.subject.find(claims)?.as_str().filter(|text| is_id(text, MAX_SUBJECT))
    }

    pub(super) fn roles_of(&self, claims: &Claims) -> Option<Vec<Arc<str>>> {
        let given = match &self.roles {
            Some(path) => words(path.find(claims))?,
            None => Vec::new(),
        };
        let mut roles = self.base_roles.clone();
        for role in translated(&given, &self.role_names) {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        Some(roles)
    }

    /// Inner `None`: the token says nothing of scopes, because nobody asks it.
    pub(super) fn scopes_of(&self, claims: &Claims, exact: bool) -> Option<Option<ScopeSet>> {
        let Some(path) = &self.scopes else { return Some(None) };
        let given = words(path.find(claims))?;
        let names: Vec<&str> = match &self.scope_names {
            Some(names) => translated(&given, names).map(|name| &**name).collect(),
            None => given,
        };
        Some(Some(if exact { ScopeSet::exact(names) } else { ScopeSet::new(names) }))
    }
}

/// A text where one is wanted: outer `None` is a wrong type or length, inner `None` an absent claim.
pub(super) fn text(path: Option<&ClaimPath>, claims: &Claims) -> Option<Option<Arc<str>>> {
    match path.and_then(|path| path.find(claims)) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.len() <= MAX_TEXT => Some(Some(text.as_str().into())),
        Some(_) => None,
    }
}

/// One text with blanks (RFC 6749 section 3.3) or a list of texts.
fn words(value: Option<&Value>) -> Option<Vec<&str>> {
    let found: Vec<&str> = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let fits = found.len() <= MAX_LIST && found.iter().all(|word| is_id(word, MAX_NAME));
    fits.then_some(found)
}

fn translated<'n>(given: &[&str], names: &'n Names) -> impl Iterator<Item = &'n Arc<str>> {
    let known = names.iter().filter(|(name, _)| given.contains(&&**name));
    known.flat_map(|(_, ours)| ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_path_is_a_name_as_it_stands_or_a_pointer() {
        let claims = claims(json!({
            "scope": 1, "https://example.org/roles": 2, "a.b": 3,
            "realm_access": { "roles": 4 }, "x/y": { "~z": 5 }, "list": [6], "": { "": 7 },
        }));
        for (path, found) in [
            ("scope", Some(1)),
            ("https://example.org/roles", Some(2)),
            ("a.b", Some(3)),
            ("/realm_access/roles", Some(4)),
            ("realm_access.roles", None),
            ("/x~1y/~0z", Some(5)),
            ("/list/0", None),
            ("//", Some(7)),
            ("/scope", Some(1)),
            ("/realm_access/roles/x", None),
        ] {
            let path = ClaimPath::parse(path).unwrap();
            assert_eq!(path.find(&claims).and_then(Value::as_u64), found, "{path:?}");
        }
        for odd in ["", "/a~2", "/~"] {
            assert_eq!(ClaimPath::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn lists_are_texts_with_blanks_or_lists_of_texts_and_nothing_else() {
        for (value, found) in [
            (json!("read  write"), Some(vec!["read", "write"])),
            (json!(["read", "write"]), Some(vec!["read", "write"])),
            (json!(""), Some(vec![])),
            (Value::Null, Some(vec![])),
            (json!([]), Some(vec![])),
            (json!(["read", 1]), None),
            (json!(["read write"]), None),
            (json!([""]), None),
            (json!({ "read": true }), None),
            (json!(true), None),
            (json!("r\u{e9}ad"), None),
            (json!("x".repeat(129)), None),
            (json!(vec!["x"; 65]), None),
        ] {
            assert_eq!(words(Some(&value)), found, "{value}");
        }
        assert_eq!(words(None), Some(vec![]));
    }
}
