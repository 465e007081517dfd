//! Patterns and the policy table against a model that is as simple as can be.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use portcullis::pipeline::{
    CanonicalPath, Policy,
    policy::{ActionRule, PathPattern, ResourceRule, ScopeRule},
};
use portcullis_fuzz::arcs;

fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() { Vec::new() } else { path.split('/').collect() }
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(last) = pattern.strip_prefix("**/") {
        return segments(path).last().is_some_and(|own| *own == segments(last)[0]);
    }
    let (wanted, given) = (segments(pattern), segments(path));
    let (fixed, open) = match wanted.split_last() {
        Some((&"**", fixed)) => (fixed, true),
        _ => (&wanted[..], false),
    };
    (given.len() == fixed.len() || (open && given.len() > fixed.len()))
        && fixed.iter().zip(&given).all(|(own, other)| {
            own == other || (own.starts_with('{') && own.ends_with('}') && !other.is_empty())
        })
}

/// Patterns are brought into the form of paths when they are read; the model knows only what is in that form already.
fn is_plain(pattern: &str) -> bool {
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.~*-".contains(&byte))
    };
    pattern.split('/').all(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        plain(name.unwrap_or(segment))
    })
}

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(pattern), Some(path), Some(more)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    if !is_plain(pattern) || !is_plain(more) {
        return;
    }
    let (Ok(own), Ok(canonical)) = (PathPattern::parse(pattern), CanonicalPath::parse(path)) else {
        return;
    };
    if canonical.has_empty_segment() {
        return;
    }
    let path = canonical.as_str();
    let fits = matches(pattern, path);
    assert_eq!(own.matches(path), fits, "{pattern} {path}");

    // One resource, one scope that is taken out of it again, one action for reading.
    let Ok(except) = PathPattern::parse(more) else { return };
    let policy = Policy {
        scopes: vec![ScopeRule {
            scope: "READ".into(),
            actions: arcs(&["read"]),
            methods: Vec::new(),
            paths: vec![own.clone()],
            except: vec![except.clone()],
        }],
        actions: vec![ActionRule { methods: vec![Method::GET], path: None, action: "read".into() }],
        resources: vec![ResourceRule {
            resource: "things".into(),
            paths: vec![own],
            grants: vec![("USER".into(), arcs(&["read"]))],
        }],
        ..Policy::default()
    };
    let flags = lines.next().unwrap_or_default();
    let (role, scope) = (flags.contains('r'), flags.contains('s'));
    let mut who = portcullis::model::Principal::clone(&nobody());
    who.roles = arcs(if role { &["USER"] } else { &["USERS"] });
    who.scopes = scope.then(|| portcullis::model::ScopeSet::new(["READ"]));
    let method = if flags.contains('p') { Method::POST } else { Method::GET };
    let may = fits && role && method == Method::GET && (!scope || !matches(more, path));
    assert_eq!(policy.authorize(&who, &method, path).is_ok(), may, "{text}");
});

fn nobody() -> portcullis::model::Principal {
    let claims =
        r#"{"iss":"issuer","aud":"audience","sub":"s","jti":"0123456789abcdef","exp":3000000000}"#;
    let token = portcullis_fuzz::signed(br#"{"alg":"HS256"}"#, claims.as_bytes());
    portcullis_fuzz::profile().verify(&token, portcullis_fuzz::NOW).expect("a good token")
}
