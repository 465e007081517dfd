//! Permissions with conditions: whether what an account was granted covers a question.
//!
//! A permission names a resource and an action; `*` is any. Its conditions are a map, each member of which must stand in
//! the context of the question with an equal value (JSON equality: `1` is neither `"1"` nor `1.0`). What nobody granted
//! is refused.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

/// Any resource, or any action.
pub const ANY: &str = "*";

/// What stands between resource and action in a scope of an API key.
const SEPARATOR: char = ':';

/// Facts that conditions are held against, and conditions themselves.
pub type Facts = Map<String, Value>;

/// May this be done?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// On what.
    pub resource: &'a str,
    /// What.
    pub action: &'a str,
    /// Under which circumstances.
    pub context: &'a Facts,
}

/// One permission as it was granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Resource; `*` is any.
    pub resource: String,
    /// Action; `*` is any.
    pub action: String,
    /// Conditions; empty: always.
    pub conditions: Arc<Facts>,
}

/// Everything one account was granted, laid out so that a question costs four look-ups however many grants there are.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    by_resource: HashMap<String, HashMap<String, Vec<Arc<Facts>>>>,
    count: usize,
}

impl Grants {
    /// Whether one of the grants covers the question.
    pub fn permit(&self, question: &Question<'_>) -> bool {
        [question.resource, ANY].into_iter().any(|resource| {
            self.by_resource.get(resource).is_some_and(|actions| {
                [question.action, ANY].into_iter().any(|action| {
                    actions
                        .get(action)
                        .is_some_and(|all| all.iter().any(|own| hold(own, question.context)))
                })
            })
        })
    }

    /// How many grants there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        let mut out = Self::default();
        for grant in grants {
            let actions = out.by_resource.entry(grant.resource).or_default();
            actions.entry(grant.action).or_default().push(grant.conditions);
            out.count += 1;
        }
        out
    }
}

/// Whether every condition stands in the context with an equal value.
pub fn hold(conditions: &Facts, context: &Facts) -> bool {
    conditions.iter().all(|(name, wanted)| context.get(name) == Some(wanted))
}

/// Whether a scope of an API key reaches: `*`, `resource:*` or `resource:action`, whole words.
pub fn scope_reaches(scope: &str, resource: &str, action: &str) -> bool {
    if scope == ANY {
        return true;
    }
    // A name may itself hold the separator; an action does not, so the last one counts.
    let Some((on, what)) = scope.rsplit_once(SEPARATOR) else { return false };
    on == resource && (what == ANY || what == action)
}

/// The resource and action that a scope names, `None` if it names none.
pub fn scope_parts(scope: &str) -> Option<(&str, &str)> {
    if scope == ANY {
        return Some((ANY, ANY));
    }
    scope
        .rsplit_once(SEPARATOR)
        .filter(|(resource, action)| !resource.is_empty() && !action.is_empty())
}

#[cfg(test)]
mod tests;
