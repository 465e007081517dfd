//! The kinds in `authn` of a route: how they are written, and which of them its mount can prove.

use toml::{Table as Record, Value as Toml};

use super::{KINDS, MountConfig, Section, Value};
use crate::{
    config::{
        document::Node,
        shape::{Fault, Shape},
    },
    pipeline::CredentialKind,
};

/// What stands for no credential at all.
pub(super) const PUBLIC: &str = "public";

/// One entry of `authn`.
pub(super) struct Asked {
    pub(super) word: String,
    /// Judged beside the others; refuses nothing.
    pub(super) shadow: bool,
}

impl Shape for Asked {
    const EXPECTED: &'static str =
        "a kind such as \"jwt\", or { kind = \"jwt\", mode = \"shadow\" }";

    fn read(node: &Node) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::new(what, "it is no kind of credential", Self::EXPECTED);
        let table = match &node.value {
            Value::Text(word) => return Ok(Self { word: word.clone(), shadow: false }),
            Value::Table(table) => table,
            other => return Err(wrong(format!("found {}", other.kind()))),
        };
        if let Some(key) = table.keys().find(|key| !matches!(key.as_str(), "kind" | "mode")) {
            return Err(wrong(format!("unknown key \"{key}\"")));
        }
        let text = |key: &str| match table.get(key).map(|entry| &entry.node.value) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        match (text("kind"), text("mode")) {
            (Some(word), Some("shadow")) => Ok(Self { word: word.to_owned(), shadow: true }),
            (Some(word), Some("enforce")) => Ok(Self { word: word.to_owned(), shadow: false }),
            _ => Err(wrong("a table without kind or mode".to_owned())),
        }
    }

    fn write(&self) -> Toml {
        if !self.shadow {
            return Toml::String(self.word.clone());
        }
        let fields = [("kind", self.word.as_str()), ("mode", "shadow")];
        let fields = fields.map(|(key, value)| (key.to_owned(), Toml::String(value.to_owned())));
        Toml::Table(Record::from_iter(fields))
    }
}

/// Reads words as kinds; each stands once.
pub(super) fn read_kinds(section: &Section<'_>, words: &[Asked], kinds: &mut Vec<CredentialKind>) {
    for Asked { word, .. } in words {
        match KINDS.iter().find(|(known, _)| known == word) {
            Some((_, kind)) if kinds.contains(kind) => {
                let what = format!("credential kind \"{word}\" stands twice");
                section.fault("authn", Fault::new(what, "once is enough", "remove one"));
            }
            Some((_, kind)) => kinds.push(*kind),
            None => section.problems.unknown(
                &section.place_of("authn"),
                section.key("authn"),
                "credential kind",
                word,
                KINDS.iter().map(|(name, _)| *name).chain([PUBLIC]),
                "remove it",
            ),
        }
    }
}

/// Says which kinds the mount cannot prove.
pub(super) fn fitting(
    section: &Section<'_>,
    mount: Option<&MountConfig>,
    plain: bool,
    kinds: &[CredentialKind],
) {
    if plain {
        let why = "tokens and keys belong to a mount, and this route names none";
        let fix = "add mount = \"…\", or write authn = [\"public\"]";
        section.fault("authn", Fault::new("credentials on a route without a mount", why, fix));
    }
    if let Some(mount) = mount
        && mount.api_key_format.is_none()
        && mount.static_keys.is_empty()
        && kinds.contains(&CredentialKind::ApiKey)
    {
        let what = format!("api_key on mount \"{}\"", mount.name);
        let why = "its contract has no API keys, and the mount has no static_key";
        section.fault("authn", Fault::new(what, why, "remove \"api_key\""));
    }
    if let Some(mount) = mount
        && mount.agents.is_none()
        && kinds.contains(&CredentialKind::Agent)
    {
        let what = format!("agent on mount \"{}\"", mount.name);
        let why = "its contract has no agents, or they are switched off";
        section.fault("authn", Fault::new(what, why, "remove \"agent\""));
    }
    if let Some(mount) = mount
        && kinds.contains(&CredentialKind::Session)
        && mount.session_carrier().is_none()
    {
        let what = format!("session on mount \"{}\"", mount.name);
        let why = "the mount says nowhere which cookie or header carries it";
        let fix = "add [mount.oidc_login], or session = { cookie = \"…\" } where the contract has sessions";
        section.fault("authn", Fault::new(what, why, fix));
    }
    if let Some(mount) = mount
        && mount.client_certs.is_empty()
        && kinds.contains(&CredentialKind::ClientCert)
    {
        let what = format!("client_cert on mount \"{}\"", mount.name);
        let why = "the mount says of no certificate whom it stands for";
        let fix = "add [[mount.client_cert]] with name and match";
        section.fault("authn", Fault::new(what, why, fix));
    }
}
