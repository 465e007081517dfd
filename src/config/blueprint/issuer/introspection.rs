//! `introspection` of an issuer: asking it about tokens that nobody else can read.

use std::{sync::Arc, time::Duration};

use toml::Value as Toml;

use super::fetch::{authorities, between, url};
use crate::{
    config::{
        blueprint::{Context, process::secret},
        section::Section,
    },
    issuer::Asking,
};

const CACHE: Duration = Duration::from_secs(30);
const LONGEST_CACHE: Duration = Duration::from_secs(300);

/// How an issuer is asked.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// Where, as whom, and how long an answer holds.
    pub asking: Asking,
    /// Whether an answer must name one of our audiences.
    pub needs_audience: bool,
}

pub(super) fn read(section: &mut Section<'_>, context: &Context<'_>) -> Option<Introspection> {
    if !section.has("introspection") {
        section.raw("introspection");
        return None;
    }
    let mut inner = section.inner("introspection");
    let address = inner.need::<String>("url").and_then(|text| url(&inner, "url", &text));
    let client_id = inner.need::<Arc<str>>("client_id");
    let secret = if inner.has("secret") {
        secret(&mut inner, "secret", context)
    } else {
        inner.raw("secret");
        inner.missing("secret", "\"file:PATH\", \"env:NAME\" or \"cred:NAME\"");
        None
    };
    let cache = inner.checked("cache", CACHE, |span| between(*span, Duration::ZERO, LONGEST_CACHE));
    let needs_audience = inner.or("require_aud", true);
    let authorities = authorities(&mut inner, context);
    section.note("introspection", Toml::Table(inner.finish()));
    let (url, client_id, secret) = (address?, client_id?, secret?);
    let asking = Asking { url, client_id, secret, cache, authorities };
    Some(Introspection { asking, needs_audience })
}
