//! Path patterns of routes and policy rules: `/a/b`, `/a/{id}`, `/a/**`. One reader, so that both mean the same.

use super::path::CanonicalPath;

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// This text, in canonical spelling.
    Literal(Box<str>),
    /// Any one segment that is not empty; its name is for the reader only.
    Parameter,
}

/// A pattern that begins at the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    /// Ends in `**`: everything below, and the path above the `**` itself.
    pub(super) open: bool,
}

impl Pattern {
    /// Reads a pattern, or tells what is wrong with it. A trailing slash says nothing, as in requests.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_prefix('/').ok_or("it must begin with `/`")?;
        let body = body.strip_suffix('/').unwrap_or(body);
        let mut pattern = Self { segments: Vec::new(), open: false };
        let mut names: Vec<&str> = Vec::new();
        if body.is_empty() {
            return Ok(pattern);
        }
        for segment in body.split('/') {
            if pattern.open {
                return Err("`**` may only be the last segment".into());
            }
            if segment == "**" {
                pattern.open = true;
            } else if let Some(name) = parameter(segment) {
                check_name(name)?;
                if names.contains(&name) {
                    return Err(format!("the parameter `{{{name}}}` stands twice"));
                }
                names.push(name);
                pattern.segments.push(Segment::Parameter);
            } else {
                pattern.segments.push(Segment::Literal(literal(segment)?));
            }
        }
        Ok(pattern)
    }

    /// Whether a canonical path fits.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut rest = segments(path);
        for segment in &self.segments {
            match (segment, rest.next()) {
                (Segment::Literal(own), Some(given)) if **own == *given => {}
                (Segment::Parameter, Some(given)) if !given.is_empty() => {}
                _ => return false,
            }
        }
        self.open || rest.next().is_none()
    }
}

/// The segments of a path, without a trailing slash; none for the root.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let body = trimmed(path);
    body.into_iter().flat_map(|body| body.split('/'))
}

/// A path without its first and one last slash; `None` for the root.
pub(super) fn trimmed(path: &str) -> Option<&str> {
    let body = path.strip_prefix('/').unwrap_or(path);
    let body = body.strip_suffix('/').unwrap_or(body);
    (!body.is_empty()).then_some(body)
}

/// `{name}`, but not the escaped brace of `{{name}}`.
fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.starts_with('{'))
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(format!("`{{{name}}}` is not a parameter: use letters, digits and `_`"));
    }
    Ok(())
}

/// Brings literal text into the canonical spelling that requests are compared in. `{{` and `}}` stand for braces.
fn literal(segment: &str) -> Result<Box<str>, String> {
    if segment.is_empty() {
        return Err("an empty segment (`//`) never matches".into());
    }
    if segment.contains('*') {
        return Err(format!("`{segment}`: `*` stands only in a last segment `**`"));
    }
    let plain = segment.replace("{{", "\u{0}").replace("}}", "\u{1}");
    if plain.contains(['{', '}']) {
        return Err(format!(
            "`{segment}`: a parameter is a whole segment; write `{{{{` for a brace"
        ));
    }
    let plain = format!("/{}", plain.replace('\u{0}', "{").replace('\u{1}', "}"));
    match CanonicalPath::parse(&plain) {
        Ok(path) => Ok(path.as_str().trim_start_matches('/').into()),
        Err(_) => Err(format!("`{segment}` is not a path segment a request could have")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, path, fits) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/a", "/a/", true),
            ("/a/", "/a", true),
            ("/a", "/ab", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a/{id}", "/a/7", true),
            ("/a/{id}", "/a", false),
            ("/a/{id}", "/a/7/8", false),
            ("/a/{id}/b", "/a//b", false),
            ("/a/**", "/a//b", true),
            ("/a%7e", "/a~", true),
            ("/{{x}}", "/%7Bx%7D", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(path), fits, "{pattern} on {path}");
        }
    }

    #[test]
    fn odd_patterns_are_told() {
        for text in [
            "", "a", "/**/a", "/a*", "/*", "/{}", "/{a b}", "/x{a}", "/{a}/{a}", "//a", "/a/../b",
            "/ä", "/{a",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
