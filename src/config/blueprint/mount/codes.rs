//! `mount.NAME.codes`: the one-time codes a mount sends to people. How they look is the contract's.

use std::time::Duration;

use toml::Value as Toml;

use crate::{
    config::{section::Section, shape::Fault},
    identity::settings::{CodeRule, CodeSettings},
};

/// A code in a mailbox is a key under the mat.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn read(section: &mut Section<'_>, start: CodeSettings) -> CodeSettings {
    let mut codes = section.inner("codes");
    let reset = rule(&mut codes, "reset", start.reset);
    let verify = rule(&mut codes, "verify", start.verify);
    section.note("codes", Toml::Table(codes.finish()));
    CodeSettings { reset, verify }
}

fn rule(codes: &mut Section<'_>, key: &'static str, start: CodeRule) -> CodeRule {
    let mut inner = codes.inner(key);
    let lifetime = inner.checked("lifetime", start.lifetime, |span| {
        if (Duration::from_secs(60)..=LONGEST).contains(span) {
            return Ok(());
        }
        let why = "mail takes a moment, and a code must not lie about for ever";
        Err(Fault::new("out of range", why, "write a duration from \"1m\" to \"7d\""))
    });
    let attempts = inner.checked("attempts", start.attempts, |tries| {
        if (1..=10).contains(tries) {
            return Ok(());
        }
        let why = "six digits are guessed by whoever may try often enough";
        Err(Fault::new("out of range", why, "write a number from 1 to 10"))
    });
    let per_address = inner.or("per_address", start.per_address);
    codes.note(key, Toml::Table(inner.finish()));
    CodeRule { form: start.form, lifetime, attempts, per_address }
}
