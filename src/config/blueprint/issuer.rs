//! `[[issuer]]`: whose tokens are taken beside those of our own logins, what verifies them, and what they mean here.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::Value as Json;

use super::{Context, Declared, each};
use crate::{
    config::{
        section::Section,
        shape::{Fault, Shape},
    },
    issuer::Fetching,
    pipeline::jwt::{ClaimMap, ClaimPath, KeySet},
};

mod claims;
mod fetch;
mod introspection;
mod keys;

/// One issuer outside.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Name.
    pub name: Arc<str>,
    /// Its `iss`.
    pub issuer: Arc<str>,
    /// Of these one must be in `aud`.
    pub audiences: Vec<Arc<str>>,
    /// Of these one must be `typ`.
    pub types: Vec<Arc<str>>,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// What verifies its tokens.
    pub keys: IssuerKeys,
    /// How it is asked about tokens.
    pub introspection: Option<introspection::Introspection>,
    /// Claims that must be there.
    pub required: Vec<(ClaimPath, Option<Json>)>,
    /// What its claims mean.
    pub claims: ClaimMap,
    /// Difference of clocks that is forgiven.
    pub leeway: Duration,
    /// Longest life of a token.
    pub longest: Duration,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// From the configuration and its files.
    Fixed(Arc<KeySet>),
    /// From the issuer itself.
    Fetched(Box<Fetching>),
    /// Nowhere: the issuer is asked about each token.
    None,
}

/// Longest leeway (RFC 8725 section 3.8 asks for a small one).
const MAX_LEEWAY: Duration = Duration::from_secs(60);
const LEEWAY: Duration = Duration::from_secs(30);
/// Longest life of a token.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const LONGEST_AT_ALL: Duration = Duration::from_secs(366 * 24 * 3600);
/// `typ` of an access token that can be nothing else (RFC 9068).
pub const STRICT_TYPE: &str = "at+jwt";
/// Longest `iss` and `aud`.
const MAX_NAME: usize = 1024;

pub(super) fn read(
    top: &mut Section<'_>,
    context: &Context<'_>,
) -> Vec<Declared<Arc<IssuerConfig>>> {
    each(top, "issuer", |name, section| one(name, section, context).map(Arc::new))
}

fn one(name: &str, section: &mut Section<'_>, context: &Context<'_>) -> Option<IssuerConfig> {
    let issuer = section.need::<Arc<str>>("issuer");
    if let Some(issuer) = issuer.as_ref().filter(|text| !is_plain(text)) {
        let what = format!("bad issuer \"{issuer}\"");
        let why = "it is compared with the claim iss of each token, character by character";
        let fix = "write what the provider's tokens say, such as \"https://login.example.org\"";
        section.fault("issuer", Fault::new(what, why, fix));
    }
    let audiences = section.need::<Vec<Arc<str>>>("audiences");
    if let Some(audiences) = &audiences {
        check_list(section, "audiences", audiences, "a token that is for somebody else would pass");
    }
    let types = section.or("typ", vec![Arc::from(STRICT_TYPE)]);
    check_list(section, "typ", &types, "ID tokens are signed with the same keys");
    let introspection = introspection::read(section, context);
    let is_asked = section.has("introspection");
    let (algorithms, keys) = keys::read(section, context, issuer.as_ref(), is_asked);
    let (required, claims) = claims::read(section);
    let leeway = section.checked("leeway", LEEWAY, |span| {
        if *span <= MAX_LEEWAY {
            return Ok(());
        }
        let why = "tokens would be good for longer than their issuer says";
        Err(Fault::new("longer than 60s", why, "write \"60s\" or less, and set the clocks"))
    });
    let longest = section.checked("max_life", LONGEST, |span| {
        if (Duration::from_secs(1)..=LONGEST_AT_ALL).contains(span) {
            return Ok(());
        }
        let why = "it must be between 1s and 366d";
        Err(Fault::new("out of range", why, "write a duration such as \"24h\""))
    });
    Some(IssuerConfig {
        name: name.into(),
        issuer: issuer?,
        audiences: audiences?,
        types,
        algorithms,
        keys: keys?,
        introspection,
        required,
        claims,
        leeway,
        longest,
    })
}

/// `issuer`, `algorithms`, `origins` and `ca` of a provider through which people log in.
pub(super) fn of_login(section: &mut Section<'_>, context: &Context<'_>) -> Option<Fetching> {
    let issuer = section.need::<Arc<str>>("issuer");
    let algorithms = keys::algorithms(section, false);
    fetch::of_login(section, context, issuer.as_ref(), &algorithms)
}

fn check_list(section: &Section<'_>, key: &'static str, list: &[Arc<str>], why: &str) {
    if list.is_empty() {
        section.fault(key, Fault::new("an empty list", why, "name at least one"));
    }
    for text in list.iter().filter(|text| !is_plain(text)) {
        let what = format!("bad value \"{text}\"");
        let why = "it is compared with what tokens say";
        section.fault(key, Fault::new(what, why, "use visible ASCII characters"));
    }
}

fn is_plain(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `issuers` of a mount: those whose tokens it takes beside its own.
pub(super) fn of_mount(
    section: &mut Section<'_>,
    context: &Context<'_>,
    issuers: &[Declared<Arc<IssuerConfig>>],
    ours: &[&str],
) -> Vec<Arc<IssuerConfig>> {
    let mut found: Vec<Arc<IssuerConfig>> = Vec::new();
    for name in section.or("issuers", Vec::<Arc<str>>::new()) {
        if !context.names.has("issuer", &name) {
            section.problems.unknown(
                &section.place_of("issuers"),
                section.key("issuers"),
                "issuer",
                &name,
                context.names.of("issuer"),
                "add an [[issuer]] of this name",
            );
        }
        // One with faults of its own has been told already.
        let Some(issuer) = issuers.iter().find(|known| known.is.name == name) else { continue };
        let issuer = &issuer.is;
        let same = found.iter().find(|other| other.issuer == issuer.issuer);
        if let Some(other) = same {
            let what = format!("\"{name}\" and \"{}\" have the same iss", other.name);
            let why = "a token could not tell by whose rules it is to be judged";
            section.fault("issuers", Fault::new(what, why, "name one of them"));
        } else if ours.contains(&&*issuer.issuer) {
            let what = format!("\"{name}\" has the iss of the mount's own tokens");
            let why = "a token could not tell by whose rules it is to be judged";
            section.fault("issuers", Fault::new(what, why, "give the mount another issuer"));
        } else if let Some(other) = found
            .iter()
            .find(|other| other.introspection.is_some() && issuer.introspection.is_some())
        {
            let what = format!("\"{name}\" and \"{}\" are both asked about tokens", other.name);
            let why = "an opaque token names no issuer, and none may be shown to another";
            section.fault("issuers", Fault::new(what, why, "name one of them"));
        } else {
            found.push(issuer.clone());
        }
    }
    found
}

/// `issuers` of a route: of those of its mount.
pub(super) fn of_route(
    section: &mut Section<'_>,
    mount: &[Arc<IssuerConfig>],
    takes_tokens: bool,
) -> Arc<[Arc<str>]> {
    let names: Vec<Arc<str>> = mount.iter().map(|issuer| issuer.name.clone()).collect();
    if !section.has("issuers") {
        let names = if takes_tokens { names } else { Vec::new() };
        let found = section.or("issuers", names);
        return found.into();
    }
    let written: Vec<Arc<str>> = section.or("issuers", Vec::new());
    if !takes_tokens && !written.is_empty() {
        let why = "only access tokens have an issuer, and this route takes none";
        let fix = "add \"jwt\" to authn, or remove issuers";
        section.fault("issuers", Fault::new("issuers without jwt", why, fix));
    }
    for name in written.iter().filter(|name| !names.contains(name)) {
        section.problems.unknown(
            &section.place_of("issuers"),
            section.key("issuers"),
            "issuer of this mount",
            name,
            names.iter().map(|name| &**name),
            "add it to the issuers of the mount",
        );
    }
    written.into()
}

/// Algorithms as they are written.
pub(super) fn algorithm_names(list: &[Algorithm]) -> Vec<String> {
    let name = |found: &Algorithm| crate::pipeline::jwt::algorithm_name(*found);
    list.iter().filter_map(name).map(str::to_owned).collect()
}

impl IssuerConfig {
    /// Every role of ours that its callers may have.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<str>> {
        let named = self.claims.role_names.iter().flat_map(|(_, ours)| ours);
        self.claims.base_roles.iter().chain(named)
    }
}

/// Reports a value of a list or table that is no text.
fn not_text(section: &Section<'_>, key: &str, name: &str) {
    let what = format!("\"{name}\" is neither a text nor a list of texts");
    let fix = format!("write {name} = \"…\" or {}", <Vec<String> as Shape>::EXPECTED);
    section.fault(key, Fault::new(what, "the value has the wrong type", fix));
}
