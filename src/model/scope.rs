//! Scope names: whole words, compared exactly (RFC 6749 section 3.3), kept in upper case unless a contract tells case
//! apart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A set of scope names, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(Vec<Arc<str>>);

impl ScopeSet {
    /// Collects names; case is folded to upper, repeats fall together.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut names: Vec<Arc<str>> =
            names.into_iter().map(|name| name.as_ref().to_ascii_uppercase().into()).collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Collects names as they are written, for contracts that tell case apart; repeats fall together.
    pub fn exact<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut names: Vec<Arc<str>> = names.into_iter().map(|name| name.as_ref().into()).collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Whether exactly this name is in the set.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| &**own == name)
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|name| &**name)
    }

    /// The names in order, as texts of their own.
    pub fn names(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Whether no scope is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names separated by one blank, as OAuth writes a scope list.
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_words_in_upper_case() {
        let set = ScopeSet::new(["read", "ADMIN", "Read"]);
        assert_eq!(set.joined(), "ADMIN READ");
        assert!(set.contains("ADMIN"));
        assert!(!set.contains("ADMINX"));
        assert!(!set.contains("ADM"));
    }

    #[test]
    fn names_may_be_kept_as_they_are() {
        let set = ScopeSet::exact(["users:view", "Users:view", "users:view"]);
        assert_eq!(set.joined(), "Users:view users:view");
        assert!(!set.contains("USERS:VIEW"));
    }
}
