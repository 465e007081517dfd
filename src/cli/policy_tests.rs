//! `test`: requests and who sends them, held against the verdicts that are expected. All cases run; nothing is asked but the
//! configuration.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use super::{
    Failure,
    arguments::{ConfigArgs, GatewayArgs, OutputArg},
    explain::{OfFile, offline},
    request, show,
};
use crate::pipeline::explain::{Assumed, Question};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Spanned<Case>>,
}

/// One request with its expected verdict.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `GET https://api.example.org/v1/tasks`
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    client: Option<std::net::IpAddr>,
    listener: Option<String>,
    server_name: Option<String>,
    /// Who is taken for proven; without it nobody is.
    identity: Option<Identity>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(default = "jwt")]
    by: String,
    #[serde(default = "somebody")]
    user: String,
    username: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    capabilities: Vec<String>,
}

/// What is not named may be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: Option<String>,
    status: Option<u16>,
    reason: Option<String>,
    mount: Option<String>,
    route: Option<String>,
    rule: Option<String>,
    missing: Option<String>,
    upstream: Option<String>,
    path: Option<String>,
    /// Fields that the gateway sets for the upstream.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Fields that it must not set.
    #[serde(default)]
    without: Vec<String>,
}

fn jwt() -> String {
    "jwt".into()
}

fn somebody() -> String {
    "somebody".into()
}

/// How a case differs.
struct Difference {
    what: String,
    expected: String,
    found: String,
}

pub(super) fn run(file: &Path, config: &ConfigArgs, output: OutputArg) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| request::unread(file, &error))?;
    let cases: File = toml::from_str(&text)
        .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    if cases.case.is_empty() {
        return Err(Failure::Failed(format!("{}: there is no [[case]] in it", file.display())));
    }
    let (config, set) = (config.config.clone(), config.sets());
    let explainer = offline(&GatewayArgs { config, set, socket: None })?;

    let (mut told, mut differing) = (Vec::new(), 0);
    for spanned in &cases.case {
        let case = spanned.get_ref();
        let place = format!("{}:{}", file.display(), line_of(&text, &spanned.span()));
        let (found, answer) = case
            .differences(&explainer)
            .map_err(|failure| Failure::Failed(format!("{place}: \"{}\": {failure}", case.name)))?;
        differing += usize::from(!found.is_empty());
        if output.is_json() {
            told.push(as_json(case, &place, &found, &answer));
        } else {
            tell(case, &place, &found, &answer)?;
        }
    }
    let all = cases.case.len();
    if output.is_json() {
        show::json(&json!({ "cases": told, "differ": differing }))?;
    } else {
        show::line(&format!("{all} cases, {differing} differ"))?;
    }
    if differing == 0 { Ok(()) } else { Err(Failure::Told) }
}

impl Case {
    fn question(&self) -> Result<Question, Failure> {
        let Some((method, url)) = self.request.split_once(' ') else {
            return Err(Failure::Failed("request is written \"METHOD URL\"".into()));
        };
        let headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut question = request::of_url(method, url.trim(), &headers)?;
        if let Some(client) = self.client {
            question.peer = client;
        }
        question.listener.clone_from(&self.listener);
        if self.server_name.is_some() {
            question.server_name.clone_from(&self.server_name);
        }
        question.assumed = self.identity.as_ref().map(Identity::read).transpose()?;
        Ok(question)
    }

    fn differences(&self, of_file: &OfFile) -> Result<(Vec<Difference>, Value), Failure> {
        let answer = of_file.block_on(&self.question()?)?;
        let mut found = Vec::new();
        let expected = &self.expect;
        let words = [
            ("outcome", &expected.outcome),
            ("reason", &expected.reason),
            ("mount", &expected.mount),
            ("route", &expected.route),
            ("rule", &expected.rule),
            ("missing", &expected.missing),
        ];
        for (key, wanted) in words {
            hold(&mut found, key, wanted.as_deref(), answer.get(key));
        }
        let status = expected.status.map(|status| status.to_string());
        hold(&mut found, "status", status.as_deref(), answer.get("status"));
        let sent = answer.get("upstream");
        let part = |key: &str| sent.and_then(|sent| sent.get(key));
        hold(&mut found, "upstream", expected.upstream.as_deref(), part("to"));
        hold(&mut found, "path", expected.path.as_deref(), part("path"));
        for (name, wanted) in &expected.headers {
            hold(&mut found, &format!("header {name}"), Some(wanted), field(sent, name));
        }
        for name in &expected.without {
            if let Some(value) = field(sent, name) {
                let (what, expected) = (format!("header {name}"), "none".to_owned());
                found.push(Difference { what, expected, found: as_text(Some(value)) });
            }
        }
        Ok((found, answer))
    }
}

impl Identity {
    fn read(&self) -> Result<Assumed, Failure> {
        Ok(Assumed {
            method: request::method(&self.by)?,
            subject: self.user.clone(),
            username: self.username.clone(),
            tenant: self.tenant.clone(),
            roles: self.roles.clone(),
            scopes: self.scopes.clone(),
            capabilities: self.capabilities.clone(),
        })
    }
}

/// A field that the gateway sets.
fn field<'a>(sent: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    let all = sent?.get("set")?.as_array()?;
    let is_it = |pair: &&Value| {
        let own = pair.get(0).and_then(Value::as_str);
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    all.iter().find(is_it)?.get(1)
}

fn hold(found: &mut Vec<Difference>, what: &str, wanted: Option<&str>, is: Option<&Value>) {
    let Some(wanted) = wanted else { return };
    let is = as_text(is);
    if is != wanted {
        found.push(Difference { what: what.to_owned(), expected: wanted.to_owned(), found: is });
    }
}

fn as_text(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1)
}

fn tell(case: &Case, place: &str, found: &[Difference], answer: &Value) -> Result<(), Failure> {
    for Difference { what, expected, found } in found {
        let name = &case.name;
        show::line(&format!("{place}: \"{name}\": {what}: expected {expected}, found {found}"))?;
    }
    if !found.is_empty() {
        let last = answer.get("stages").and_then(Value::as_array).and_then(|all| all.last());
        let word = |key: &str| as_text(last.and_then(|last| last.get(key)));
        show::line(&format!("    it ended at {}: {}", word("stage"), word("verdict")))?;
        if let Some(needed) = answer.get("needed").and_then(Value::as_str) {
            show::line(&format!("    {needed}"))?;
        }
    }
    Ok(())
}

fn as_json(case: &Case, place: &str, found: &[Difference], answer: &Value) -> Value {
    let differences: Vec<Value> = found
        .iter()
        .map(|one| json!({ "what": one.what, "expected": one.expected, "found": one.found }))
        .collect();
    json!({ "name": case.name, "place": place, "differences": differences, "answer": answer })
}
