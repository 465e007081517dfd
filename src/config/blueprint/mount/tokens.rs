//! Token profile and life times of a mount; the contract gives the defaults.

use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::{
    config::{
        blueprint::{Context, process::secret_of_identity},
        section::Section,
        shape::{Fault, Shape},
    },
    identity::settings::{RefreshForm, TokenSettings},
    model::secret::ExposeSecret,
};

/// Shortest HS256 secret (RFC 7518 section 3.2).
const SECRET_BYTES: usize = 32;
/// A reload may shorten the life time while tokens of the old one are out: this long their ends are remembered.
const LONGEST_ACCESS: Duration = Duration::from_secs(24 * 3600);

pub(super) fn read(
    section: &mut Section<'_>,
    context: &Context<'_>,
    start: TokenSettings,
) -> TokenSettings {
    let issuer = section.or("issuer", start.issuer.clone());
    let audience = match section.maybe::<String>("audience") {
        Some(text) => Some(text.into()),
        None => start.audience.clone(),
    };
    if let Some(audience) = &audience {
        section.note("audience", audience.write());
    }
    let algorithm = algorithm(section, start.algorithm);
    let secret = secret_of_identity(section, "secret", context);
    if let Some(secret) = &secret {
        if algorithm != Algorithm::HS256 {
            let what = format!("a secret for {}", algorithm_name(algorithm));
            let why = "only HS256 signs with a shared secret; other keys are made and kept by the gateway";
            section.fault(
                "secret",
                Fault::new(what, why, "remove secret, or write algorithm = \"HS256\""),
            );
        }
        if secret.expose_secret().len() < SECRET_BYTES {
            let what = format!("the secret has fewer than {SECRET_BYTES} bytes");
            let why = "HS256 needs a key at least as long as its hash (RFC 7518 section 3.2)";
            section.fault("secret", Fault::new(what, why, "make one: openssl rand -hex 32"));
        }
    }
    let above_zero = |span: &Duration| {
        if *span >= Duration::from_secs(1) {
            return Ok(());
        }
        let why = "a token must live at least a second";
        Err(Fault::new("shorter than 1s", why, "write a longer duration"))
    };
    let access_lifetime = section.checked("access_token_lifetime", start.access_lifetime, |span| {
        if *span > LONGEST_ACCESS {
            let why = "ended sessions are remembered for a day, and no token may outlive that";
            return Err(Fault::new("longer than 24h", why, "write \"24h\" or less"));
        }
        above_zero(span)
    });
    let mut tokens =
        TokenSettings { issuer, audience, algorithm, secret, access_lifetime, ..start };
    // A contract without refresh tokens has nothing to set.
    if tokens.refresh_form != RefreshForm::None {
        refresh(section, &mut tokens, above_zero);
    }
    tokens
}

fn refresh(
    section: &mut Section<'_>,
    tokens: &mut TokenSettings,
    above_zero: impl Fn(&Duration) -> Result<(), Fault>,
) {
    tokens.refresh_lifetime =
        section.checked("refresh_token_lifetime", tokens.refresh_lifetime, &above_zero);
    if let Some(start) = tokens.remembered_lifetime {
        tokens.remembered_lifetime =
            Some(section.checked("remembered_token_lifetime", start, &above_zero));
    }
    tokens.refresh_rotates = section.or("refresh_rotates", tokens.refresh_rotates);
    tokens.refresh_grace = section.checked("refresh_grace", tokens.refresh_grace, |grace| {
        if *grace <= Duration::from_secs(300) {
            return Ok(());
        }
        let why = "a spent refresh token would be good for longer than a lost reply explains";
        Err(Fault::new("longer than 5m", why, "write \"10s\", or \"0s\" for strict"))
    });
    tokens.refresh_rejections = section.or("refresh_rejections", tokens.refresh_rejections.clone());
}

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("HS256", Algorithm::HS256),
    ("RS256", Algorithm::RS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];

fn algorithm_name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("?", |(name, _)| name)
}

fn algorithm(section: &mut Section<'_>, start: Algorithm) -> Algorithm {
    let name = section.or("algorithm", algorithm_name(start).to_owned());
    let found = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
    found.unwrap_or_else(|| {
        section.problems.unknown(
            &section.place_of("algorithm"),
            section.key("algorithm"),
            "algorithm",
            &name,
            ALGORITHMS.iter().map(|(name, _)| *name),
            "name one of these",
        );
        start
    })
}
