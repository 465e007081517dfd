//! What letters say: templates of the product, replaced by the operator's where there are some.
//!
//! A template is a text whose first line is `Subject: …`, then an empty line, then the body, in the language of Jinja. In the
//! operator's folder `NAME.txt` is for every mount and `MOUNT/NAME.txt` for one. Each is tried out when it is loaded.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value, json};

/// Every letter there is, with the product's own text.
pub const ALL: [(&str, &str); 2] = [
    ("reset_password", include_str!("templates/reset_password.txt")),
    ("verify_email", include_str!("templates/verify_email.txt")),
];

/// Longest subject; the rest is cut.
const LONGEST_SUBJECT: usize = 200;

/// Templates that were tried out.
#[derive(Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
}

/// A rendered letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct TemplateFault {
    /// Which file.
    pub name: String,
    /// Why it cannot be used.
    pub why: String,
}

impl Templates {
    /// The product's own templates, and those that `read` finds: it is asked for paths within the operator's folder.
    pub fn load(
        mounts: &[String],
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, TemplateFault> {
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        for (name, own) in ALL {
            sources.insert(name.to_owned(), own.to_owned());
            let folders = std::iter::once(None).chain(mounts.iter().map(Some));
            for mount in folders {
                let key = mount.map_or_else(|| name.to_owned(), |mount| format!("{mount}/{name}"));
                let file = format!("{key}.txt");
                match read(Path::new(&file)) {
                    Ok(text) => {
                        sources.insert(key, text);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(TemplateFault { name: file, why: error.to_string() }),
                }
            }
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (key, text) in sources {
            add(&mut environment, &key, &text).map_err(|why| {
                let name = format!("{key}.txt");
                TemplateFault { name, why }
            })?;
        }
        let all = Self { environment: Arc::new(environment) };
        all.try_out(mounts)?;
        Ok(all)
    }

    /// Renders a letter of a mount. An error names no value.
    pub fn render(
        &self,
        mount: &str,
        name: &str,
        with: &Map<String, Value>,
    ) -> Result<Text, String> {
        let own = format!("{mount}/{name}");
        let known = self.environment.get_template(&format!("{own}#subject")).is_ok();
        let key = if known { own.as_str() } else { name };
        let values: minijinja::Value = serde_json::from_value(Value::Object(with.clone()))
            .map_err(|_| "values that no template can say".to_owned())?;
        let part = |part: &str| {
            let template = self.environment.get_template(&format!("{key}#{part}"));
            template.and_then(|template| template.render(&values)).map_err(|error| told(&error))
        };
        let line: String = part("subject")?
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_SUBJECT)
            .collect();
        Ok(Text { subject: line.trim().to_owned(), body: part("body")? + "\n" })
    }

    /// Renders everything once, so that a slip is found at load and not by somebody who waits for a code.
    fn try_out(&self, mounts: &[String]) -> Result<(), TemplateFault> {
        let sample =
            json!({ "code": "123456", "email": "a@example.org", "name": null, "minutes": 10 });
        let Value::Object(sample) = sample else { return Ok(()) };
        let everywhere = std::iter::once("").chain(mounts.iter().map(String::as_str));
        for mount in everywhere {
            for (name, _) in ALL {
                let text = self.render(mount, name, &sample);
                let fault = match text {
                    Err(why) => Some(why),
                    Ok(text) if !text.body.contains("123456") => {
                        Some("the body does not say {{ code }}".to_owned())
                    }
                    Ok(_) => None,
                };
                if let Some(why) = fault {
                    let name = if mount.is_empty() {
                        format!("{name}.txt")
                    } else {
                        format!("{mount}/{name}.txt or {name}.txt")
                    };
                    return Err(TemplateFault { name, why });
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}

fn add(environment: &mut Environment<'static>, key: &str, text: &str) -> Result<(), String> {
    let text = text.replace("\r\n", "\n");
    let (first, body) = text.split_once('\n').unwrap_or((&text, ""));
    let subject = first
        .strip_prefix("Subject:")
        .ok_or_else(|| "the first line must be \"Subject: …\"".to_owned())?;
    let body = body.strip_prefix('\n').ok_or_else(|| "the second line must be empty".to_owned())?;
    for (part, source) in [("subject", subject.trim()), ("body", body)] {
        environment
            .add_template_owned(format!("{key}#{part}"), source.to_owned())
            .map_err(|error| told(&error))?;
    }
    Ok(())
}

/// Kind and line of an error; what it quotes may be a value.
fn told(error: &minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("{} (line {line} of its part)", error.kind()),
        None => error.kind().to_string(),
    }
}
