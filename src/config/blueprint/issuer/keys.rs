//! Where the keys of an issuer come from, and what they may be used for.

use std::{path::PathBuf, sync::Arc};

use jsonwebtoken::Algorithm;

use super::{IssuerKeys, algorithm_names, fetch};
use crate::{
    config::{
        blueprint::{
            Context,
            process::{absolute, secret},
        },
        section::Section,
        shape::{Fault, Shape},
    },
    model::secret::ExposeSecret,
    pipeline::jwt::{KeySet, algorithm_name},
};

use Algorithm::{
    ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512,
};

const KNOWN: [Algorithm; 12] =
    [RS256, PS256, ES256, ES384, EdDSA, RS384, RS512, PS384, PS512, HS256, HS384, HS512];
/// What public keys may be used for where nothing is said. A key that names no algorithm is for the first of its kind.
const PUBLIC: [Algorithm; 5] = [RS256, PS256, ES256, ES384, EdDSA];
/// Where keys may come from; exactly one is written.
const SOURCES: [&str; 4] = ["discovery", "jwks_url", "jwks_file", "secret"];

pub(super) fn read(
    section: &mut Section<'_>,
    context: &Context<'_>,
    issuer: Option<&Arc<str>>,
    is_asked: bool,
) -> (Vec<Algorithm>, Option<IssuerKeys>) {
    let written: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    if written.is_empty() && is_asked {
        // Nothing to read; the keys are asked for all the same, so that they are known.
        let (algorithms, _) =
            (algorithms(section, false), fetch::read(section, context, None, &[]));
        for key in SOURCES {
            section.raw(key);
        }
        return (algorithms, Some(IssuerKeys::None));
    }
    if written.len() != 1 {
        let what = match written.len() {
            0 => "nothing says where the keys are".to_owned(),
            _ => format!("{} beside each other", written.join(" and ")),
        };
        let why = "tokens are verified with the keys of one source";
        let fix = format!("write one of {}", SOURCES.join(", "));
        section.problems.say(&section.place, section.path.clone(), what, why, fix);
    }
    let shared = section.has("secret");
    let algorithms = algorithms(section, shared);
    let file = from_file(section, context, &algorithms);
    let secret = from_secret(section, context, &algorithms);
    let fixed = file.or(secret).map(|set| IssuerKeys::Fixed(Arc::new(set)));
    let fetched = fetch::read(section, context, issuer, &algorithms)
        .map(|found| IssuerKeys::Fetched(Box::new(found)));
    (algorithms, fixed.or(fetched))
}

pub(super) fn algorithms(section: &mut Section<'_>, shared: bool) -> Vec<Algorithm> {
    let usual = if shared { vec![HS256] } else { PUBLIC.to_vec() };
    let mut found = Vec::new();
    for name in section.or("algorithms", algorithm_names(&usual)) {
        match KNOWN.into_iter().find(|known| algorithm_name(*known) == Some(name.as_str())) {
            Some(algorithm) => found.push(algorithm),
            None => section.problems.unknown(
                &section.place_of("algorithms"),
                section.key("algorithms"),
                "algorithm",
                &name,
                KNOWN.into_iter().filter_map(algorithm_name),
                "remove it",
            ),
        }
    }
    let symmetric = |algorithm: &Algorithm| matches!(algorithm, HS256 | HS384 | HS512);
    if shared && (found.len() != 1 || !found.iter().all(symmetric)) {
        let why = "a shared secret is a key for one algorithm, and public keys are none beside it";
        let fix = "write one of [\"HS256\"], [\"HS384\"], [\"HS512\"]";
        section.fault("algorithms", Fault::new("more than one kind of key", why, fix));
    }
    if !shared && found.iter().any(symmetric) {
        let why =
            "a public key taken for a shared secret would let anybody sign (RFC 8725 section 2.1)";
        let fix = "remove HS256, HS384 and HS512, or write secret in place of the keys";
        section.fault("algorithms", Fault::new("a shared secret beside public keys", why, fix));
    }
    if found.is_empty() {
        section.fault(
            "algorithms",
            Fault::new("an empty list", "no token could be verified", "name one"),
        );
    }
    found
}

fn from_file(
    section: &mut Section<'_>,
    context: &Context<'_>,
    algorithms: &[Algorithm],
) -> Option<KeySet> {
    let path = absolute(&context.base.join(section.maybe::<PathBuf>("jwks_file")?));
    section.note("jwks_file", path.write());
    let text = match context.from.public(&path) {
        // Nothing is verified then.
        None => return Some(KeySet::default()),
        Some(Ok(text)) => text,
        Some(Err(error)) => {
            let what = format!("{} cannot be read: {error}", path.display());
            let why = "the keys of the issuer are there";
            let fix = "create the file, readable for the service, or correct the path";
            section.fault("jwks_file", Fault::new(what, why, fix));
            return None;
        }
    };
    match KeySet::read(text.as_bytes(), algorithms) {
        Ok(set) => Some(set),
        Err(fault) => {
            let what = format!("{}: {fault}", path.display());
            let why = "no token could be verified, or not by one key alone";
            section.fault("jwks_file", Fault::new(what, why, "write a JWK set with public keys"));
            None
        }
    }
}

fn from_secret(
    section: &mut Section<'_>,
    context: &Context<'_>,
    algorithms: &[Algorithm],
) -> Option<KeySet> {
    let text = secret(section, "secret", context)?;
    match KeySet::of_secret(text.expose_secret().as_bytes(), *algorithms.first()?) {
        Ok(set) => Some(set),
        Err(what) => {
            let why = "a secret shorter than the hash can be guessed (RFC 7518 section 3.2)";
            let fix = "agree on 32 random bytes for HS256, 48 for HS384, 64 for HS512";
            section.fault("secret", Fault::new(what, why, fix));
            None
        }
    }
}
