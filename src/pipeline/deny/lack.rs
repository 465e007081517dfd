//! What a proven caller lacked: the rule that refused, and what would have satisfied it. For logs and explanations; what
//! a client is told is its contract's affair.

use std::{borrow::Cow, fmt, sync::Arc};

use super::Deny;

/// Beside [`Deny::Forbidden`], written by the rule that refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lack {
    /// `resource tasks`, `policy scopes`, `route rule`, ….
    pub rule: Cow<'static, str>,
    /// Scopes, of which one is missing.
    pub scopes: Vec<Arc<str>>,
    /// Roles, of which one is missing.
    pub roles: Vec<Arc<str>>,
    /// The capability that an agent is missing.
    pub capability: Option<Arc<str>>,
    /// Whether scope or role is enough, where both are named.
    pub either: bool,
}

impl Lack {
    /// The refusal of a rule that nothing of the caller could satisfy.
    pub fn of(rule: impl Into<Cow<'static, str>>) -> Self {
        Self { rule: rule.into(), ..Self::default() }
    }

    /// Whether there is something that would have been enough.
    pub fn is_curable(&self) -> bool {
        !(self.scopes.is_empty() && self.roles.is_empty() && self.capability.is_none())
    }
}

/// What is missing: `scope WRITE`, `role ADMIN or EDITOR`, `capability file:read`; nothing where nothing would help.
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let capability = self.capability.as_slice();
        for (kind, names) in
            [("scope", &*self.scopes), ("role", &*self.roles), ("capability", capability)]
        {
            if !names.is_empty() {
                write!(f, "{between}{kind} {}", names.join(" or "))?;
                between = if self.either { " or " } else { " and " };
            }
        }
        Ok(())
    }
}

impl Deny {
    /// A refusal for what the caller is, without more about it.
    pub fn forbidden(action: impl Into<Cow<'static, str>>) -> Self {
        Deny::Forbidden { action: action.into(), lack: None }
    }

    /// The same refusal, told which rule it comes from.
    #[must_use]
    pub fn because(self, why: Lack) -> Self {
        match self {
            Deny::Forbidden { action, .. } => Deny::Forbidden { action, lack: Some(Box::new(why)) },
            other => other,
        }
    }

    /// What the caller lacked, where a rule refused it.
    pub fn lack(&self) -> Option<&Lack> {
        match self {
            Deny::Forbidden { lack, .. } => lack.as_deref(),
            _ => None,
        }
    }

    /// The rule that refused, where one has a name: of the policy, of the route, or a limit.
    pub fn rule(&self) -> Option<Cow<'_, str>> {
        match self {
            Deny::RateLimited(toll) => Some(Cow::Owned(format!("limit {}", toll.name))),
            _ => self.lack().map(|lack| Cow::Borrowed(&*lack.rule)),
        }
    }

    /// What would have been enough; `None`: nothing the caller could have, or no rule refused.
    pub fn missing(&self) -> Option<String> {
        self.lack().filter(|lack| lack.is_curable()).map(Lack::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_words() {
        let names = |list: &[&str]| list.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
        let both = Lack {
            rule: "route rule".into(),
            scopes: names(&["WRITE"]),
            roles: names(&["ADMIN", "EDITOR"]),
            ..Lack::default()
        };
        assert_eq!(both.to_string(), "scope WRITE and role ADMIN or EDITOR");
        let either = Lack { either: true, ..both };
        assert_eq!(either.to_string(), "scope WRITE or role ADMIN or EDITOR");
        let agent = Lack { capability: Some("file:read".into()), ..Lack::of("route rule") };
        assert_eq!(agent.to_string(), "capability file:read");
    }

    #[test]
    fn only_what_could_help_is_called_missing() {
        let deny = Deny::forbidden("create").because(Lack::of("no resource"));
        assert_eq!((deny.rule().as_deref(), deny.missing()), (Some("no resource"), None));
        assert_eq!(Deny::forbidden("create").rule(), None);
        assert_eq!(Deny::NoRoute.because(Lack::of("x")), Deny::NoRoute);
    }
}
