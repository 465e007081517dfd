//! Rows, and the indexed grants against a model that looks at every grant one after another.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn facts(value: Value) -> Facts {
    let Value::Object(map) = value else { panic!("an object") };
    map
}

fn grant(resource: &str, action: &str, conditions: Value) -> Grant {
    Grant {
        resource: resource.into(),
        action: action.into(),
        conditions: Arc::new(facts(conditions)),
    }
}

fn permit(grants: &Grants, resource: &str, action: &str, context: Value) -> bool {
    grants.permit(&Question { resource, action, context: &facts(context) })
}

#[test]
fn rows() {
    let own = json!({"department": "sales"});
    let rows = [
        // resource, action, conditions, asked resource, action, context, answer
        (("docs", "read", json!({})), ("docs", "read", json!({})), true),
        (("docs", "read", json!({})), ("docs", "read", json!({"any": 1})), true),
        (("docs", "read", json!({})), ("docs", "write", json!({})), false),
        (("docs", "read", json!({})), ("mail", "read", json!({})), false),
        (("docs", "*", json!({})), ("docs", "delete", json!({})), true),
        (("docs", "*", json!({})), ("docsx", "delete", json!({})), false),
        (("*", "read", json!({})), ("mail", "read", json!({})), true),
        (("*", "read", json!({})), ("mail", "send", json!({})), false),
        (("*", "*", json!({})), ("", "", json!({})), true),
        (("docs", "read", json!({})), ("*", "*", json!({})), false),
        (("docs", "read", json!({})), ("Docs", "read", json!({})), false),
        (("docs", "read", own.clone()), ("docs", "read", json!({})), false),
        (("docs", "read", own.clone()), ("docs", "read", json!({"department": "hr"})), false),
        (("docs", "read", own.clone()), ("docs", "read", own.clone()), true),
        (
            ("docs", "read", own.clone()),
            ("docs", "read", json!({"department": "sales", "x": 1})),
            true,
        ),
        (("docs", "read", own.clone()), ("docs", "read", json!({"Department": "sales"})), false),
        (
            ("docs", "read", own),
            ("docs", "read", json!({"context": {"department": "sales"}})),
            false,
        ),
        (("docs", "read", json!({"a": 1, "b": 2})), ("docs", "read", json!({"a": 1})), false),
        (
            ("docs", "read", json!({"a": 1, "b": 2})),
            ("docs", "read", json!({"a": 1, "b": 2})),
            true,
        ),
        (("docs", "read", json!({"a": null})), ("docs", "read", json!({})), false),
        (("docs", "read", json!({"a": null})), ("docs", "read", json!({"a": null})), true),
        (("docs", "read", json!({"a": 1})), ("docs", "read", json!({"a": "1"})), false),
        (("docs", "read", json!({"a": 1})), ("docs", "read", json!({"a": 1.0})), false),
        (("docs", "read", json!({"a": true})), ("docs", "read", json!({"a": 1})), false),
        (("docs", "read", json!({"a": [1, 2]})), ("docs", "read", json!({"a": [1, 2]})), true),
        (("docs", "read", json!({"a": [1, 2]})), ("docs", "read", json!({"a": [2, 1]})), false),
        (("docs", "read", json!({"a": {"b": 1}})), ("docs", "read", json!({"a": {"b": 1}})), true),
        (
            ("docs", "read", json!({"a": {"b": 1}})),
            ("docs", "read", json!({"a": {"b": 1, "c": 2}})),
            false,
        ),
    ];
    for ((resource, action, conditions), (on, what, context), answer) in rows {
        let grants: Grants = [grant(resource, action, conditions.clone())].into_iter().collect();
        let row = format!("{resource}:{action} {conditions} / {on}:{what} {context}");
        assert_eq!(permit(&grants, on, what, context), answer, "{row}");
    }
}

#[test]
fn nothing_granted_permits_nothing() {
    assert!(!permit(&Grants::default(), "docs", "read", json!({})));
    assert!(!permit(&Grants::default(), "*", "*", json!({})));
}

#[test]
fn one_grant_whose_conditions_hold_is_enough() {
    let grants: Grants =
        [grant("docs", "read", json!({"team": "a"})), grant("docs", "read", json!({"team": "b"}))]
            .into_iter()
            .collect();
    assert_eq!(grants.len(), 2);
    assert!(permit(&grants, "docs", "read", json!({"team": "b"})));
    assert!(!permit(&grants, "docs", "read", json!({"team": "c"})));
}

#[test]
fn scopes_reach_whole_words() {
    for (scope, resource, action, reaches) in [
        ("*", "docs", "read", true),
        ("docs:*", "docs", "read", true),
        ("docs:read", "docs", "read", true),
        ("docs:read", "docs", "write", false),
        ("docs:*", "docsx", "read", false),
        ("*:read", "docs", "read", false),
        ("docs", "docs", "read", false),
        ("docs:", "docs", "read", false),
        ("", "docs", "read", false),
        ("DOCS:READ", "docs", "read", false),
        ("a:b:read", "a:b", "read", true),
    ] {
        assert_eq!(scope_reaches(scope, resource, action), reaches, "{scope} {resource}:{action}");
    }
    assert_eq!(scope_parts("a:b:c"), Some(("a:b", "c")));
    assert_eq!(scope_parts("*"), Some((ANY, ANY)));
    for odd in ["", ":", "a:", ":a", "a"] {
        assert_eq!(scope_parts(odd), None, "{odd}");
    }
}

/// Looks at every grant, as one would write it down first.
fn model(grants: &[Grant], question: &Question<'_>) -> bool {
    let fits = |own: &str, asked: &str| own == "*" || own == asked;
    grants.iter().any(|grant| {
        let mut met = true;
        for (name, wanted) in grant.conditions.iter() {
            match question.context.get(name) {
                Some(given) if given == wanted => {}
                _ => met = false,
            }
        }
        fits(&grant.resource, question.resource) && fits(&grant.action, question.action) && met
    })
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("*"), Just("a"), Just("b"), Just("A"), Just("")].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        Just(json!("x")),
        Just(json!(["x"])),
        Just(json!({"k": 1})),
    ]
}

fn map() -> impl Strategy<Value = Facts> {
    proptest::collection::vec((word(), value()), 0..3).prop_map(|rows| rows.into_iter().collect())
}

proptest! {
    #[test]
    fn the_index_answers_as_the_model(
        grants in proptest::collection::vec((word(), word(), map()), 0..8),
        resource in word(),
        action in word(),
        context in map(),
    ) {
        let grants: Vec<Grant> = grants
            .into_iter()
            .map(|(resource, action, conditions)| Grant {
                resource,
                action,
                conditions: Arc::new(conditions),
            })
            .collect();
        let question = Question { resource: &resource, action: &action, context: &context };
        let indexed: Grants = grants.iter().cloned().collect();
        prop_assert_eq!(indexed.permit(&question), model(&grants, &question));
    }

    #[test]
    fn more_context_never_takes_away_what_was_permitted(
        conditions in map(),
        context in map(),
        more in map(),
    ) {
        let mut wider = more;
        wider.extend(context.clone());
        prop_assert!(!hold(&conditions, &context) || hold(&conditions, &wider));
    }
}
