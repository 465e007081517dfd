//! What an agent may be granted: types, the roles that may run them, and what a task must be like, as data.
//!
//! The rule: granted is what was asked for, and the type has, and the account's roles may pass on, and the task's context
//! is accepted for. The rest is denied. The order in which it was asked for is kept.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Stands for all types or all capabilities.
const ANY: &str = "*";

/// The whole table of a mount.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentPolicy {
    /// Types that exist.
    pub types: Vec<AgentType>,
    /// Which roles may run which types; `*` is all.
    pub runs: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// The most that agents of a role may have, whatever their type; a role without a row has no such bound.
    pub bounds: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

/// One type of agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentType {
    /// Name on the wire.
    pub name: Arc<str>,
    /// What it may have at most.
    pub capabilities: Vec<Arc<str>>,
    /// Told to the agent as they are: `file_paths`, `git_branches`, …
    pub restrictions: Map<String, Value>,
    /// What the task must be like.
    pub context: Vec<ContextRule>,
}

/// Accepts a task by one member of its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextRule {
    /// Capabilities that hang on it; empty: all.
    pub capabilities: Vec<Arc<str>>,
    /// Member of the context.
    pub key: Arc<str>,
    /// Texts that are accepted; `*` at the end stands for any rest. Of a list every member must fit.
    pub values: Vec<Arc<str>>,
    /// Whether the member must be there.
    pub required: bool,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentGrant {
    /// Granted, in order.
    pub granted: Vec<String>,
    /// Denied, in order.
    pub denied: Vec<String>,
    /// Restrictions of the type.
    pub restrictions: Map<String, Value>,
}

impl AgentPolicy {
    /// Judges a request of an account with these roles. `None`: none of them may run that type, or there is no such type.
    pub fn grant(
        &self,
        roles: &[String],
        kind: &str,
        asked: &[String],
        context: &Map<String, Value>,
    ) -> Option<AgentGrant> {
        let found = self.types.iter().find(|known| *known.name == *kind)?;
        let runs = |role: &&String| rows(&self.runs, role).is_some_and(|types| names(types, kind));
        let running: Vec<&String> = roles.iter().filter(runs).collect();
        if running.is_empty() {
            return None;
        }
        // A role that may not run the type passes nothing on either.
        let passes = |capability: &str| {
            running
                .iter()
                .any(|role| rows(&self.bounds, role).is_none_or(|bound| names(bound, capability)))
        };
        let mut seen: Vec<&String> = Vec::new();
        let mut grant = AgentGrant {
            granted: Vec::new(),
            denied: Vec::new(),
            restrictions: found.restrictions.clone(),
        };
        for capability in asked {
            if seen.contains(&capability) {
                continue;
            }
            seen.push(capability);
            let good = names(&found.capabilities, capability)
                && passes(capability)
                && found.accepts(capability, context);
            let list = if good { &mut grant.granted } else { &mut grant.denied };
            list.push(capability.clone());
        }
        Some(grant)
    }

    /// Names of the types that an account with these roles may run.
    pub fn runnable(&self, roles: &[String]) -> Vec<&str> {
        let runs = |kind: &&str| {
            roles.iter().any(|role| rows(&self.runs, role).is_some_and(|types| names(types, kind)))
        };
        self.kinds().filter(runs).collect()
    }

    /// Names of all types.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(|kind| &*kind.name)
    }
}

impl AgentType {
    fn accepts(&self, capability: &str, context: &Map<String, Value>) -> bool {
        let concerns = |rule: &&ContextRule| {
            rule.capabilities.is_empty() || names(&rule.capabilities, capability)
        };
        self.context.iter().filter(concerns).all(|rule| rule.accepts(context))
    }
}

impl ContextRule {
    fn accepts(&self, context: &Map<String, Value>) -> bool {
        match context.get(&*self.key) {
            None | Some(Value::Null) => !self.required,
            Some(Value::String(text)) => self.fits(text),
            Some(Value::Array(list)) => {
                list.iter().all(|item| item.as_str().is_some_and(|text| self.fits(text)))
            }
            // What is no text can be compared with none.
            Some(_) => false,
        }
    }

    fn fits(&self, text: &str) -> bool {
        self.values.iter().any(|value| match value.strip_suffix('*') {
            // `src/../secrets` begins with `src/` and is somewhere else.
            Some(start) => text.starts_with(start) && !text.split('/').any(|part| part == ".."),
            None => **value == *text,
        })
    }
}

fn rows<'a>(table: &'a [(Arc<str>, Vec<Arc<str>>)], role: &str) -> Option<&'a [Arc<str>]> {
    table.iter().find(|(name, _)| **name == *role).map(|(_, list)| list.as_slice())
}

fn names(list: &[Arc<str>], wanted: &str) -> bool {
    list.iter().any(|name| **name == *wanted || **name == *ANY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|text| Arc::from(*text)).collect()
    }

    fn policy() -> AgentPolicy {
        let implementer = AgentType {
            name: "code_implementer".into(),
            capabilities: texts(&["file:read", "file:write", "git:commit"]),
            restrictions: json!({ "file_paths": ["src/**"] }).as_object().unwrap().clone(),
            context: vec![ContextRule {
                capabilities: texts(&["git:commit"]),
                key: "branch".into(),
                values: texts(&["feature/*", "main"]),
                required: true,
            }],
        };
        let auditor = AgentType {
            name: "security_auditor".into(),
            capabilities: texts(&["*"]),
            ..AgentType::default()
        };
        AgentPolicy {
            types: vec![implementer, auditor],
            runs: vec![
                ("admin".into(), texts(&["*"])),
                ("user".into(), texts(&["code_implementer"])),
            ],
            bounds: vec![("user".into(), texts(&["file:read", "git:commit"]))],
        }
    }

    fn ask(role: &str, kind: &str, asked: &[&str], context: Value) -> Option<AgentGrant> {
        let asked: Vec<String> = asked.iter().map(|text| (*text).to_owned()).collect();
        let context = context.as_object().unwrap().clone();
        policy().grant(&[role.to_owned()], kind, &asked, &context)
    }

    #[test]
    fn granted_is_what_type_role_and_context_all_allow_and_order_is_kept() {
        let all = ["shell:execute", "git:commit", "file:write", "file:read", "file:read"];
        let cases: &[(&str, Value, &[&str], &[&str])] = &[
            (
                "admin",
                json!({"branch": "feature/x"}),
                &["git:commit", "file:write", "file:read"],
                &["shell:execute"],
            ),
            (
                "admin",
                json!({"branch": "release"}),
                &["file:write", "file:read"],
                &["shell:execute", "git:commit"],
            ),
            ("admin", json!({}), &["file:write", "file:read"], &["shell:execute", "git:commit"]),
            (
                "user",
                json!({"branch": ["main", "feature/y"]}),
                &["git:commit", "file:read"],
                &["shell:execute", "file:write"],
            ),
            (
                "user",
                json!({"branch": ["main", 7]}),
                &["file:read"],
                &["shell:execute", "git:commit", "file:write"],
            ),
            (
                "user",
                json!({"branch": "feature/../main"}),
                &["file:read"],
                &["shell:execute", "git:commit", "file:write"],
            ),
            (
                "user",
                json!({"branch": {"main": true}}),
                &["file:read"],
                &["shell:execute", "git:commit", "file:write"],
            ),
        ];
        for (role, context, granted, denied) in cases {
            let grant = ask(role, "code_implementer", &all, context.clone()).unwrap();
            assert_eq!(grant.granted, *granted, "{role} {context}");
            assert_eq!(grant.denied, *denied, "{role} {context}");
            assert_eq!(grant.restrictions["file_paths"], json!(["src/**"]));
        }
    }

    #[test]
    fn all_denied_is_a_grant_of_nothing() {
        let grant = ask("user", "code_implementer", &["shell:execute"], json!({})).unwrap();
        assert_eq!((grant.granted.len(), grant.denied.len()), (0, 1));
        let nothing = ask("user", "code_implementer", &[], json!({})).unwrap();
        assert!(nothing.granted.is_empty() && nothing.denied.is_empty());
    }

    #[test]
    fn unknown_types_and_roles_that_may_not_run_one_are_refused_alike() {
        assert_eq!(ask("user", "security_auditor", &["file:read"], json!({})), None);
        assert_eq!(ask("user", "nonsense", &["file:read"], json!({})), None);
        assert_eq!(ask("guest", "code_implementer", &["file:read"], json!({})), None);
        let any = ask("admin", "security_auditor", &["what:ever"], json!({})).unwrap();
        assert_eq!(any.granted, ["what:ever"]);
    }
}
