//! `mount.NAME.authorization_server` and `mount.NAME.protected_resource`: the standard issuer beside the contract, and what
//! the mount's routes are as a protected resource (RFC 9728). Without these tables neither exists.

use std::{sync::Arc, time::Duration};

use http::Uri;
use jsonwebtoken::Algorithm;
use toml::Value as Toml;

use super::provider::web_address;
use crate::{
    config::{document::Value, section::Section, shape::Fault},
    dialects::ResourceFacts,
    identity::AuthorizationServerSettings,
    pipeline::{Policy, route::Place},
};

const ALGORITHMS: [(&str, Algorithm); 3] =
    [("ES256", Algorithm::ES256), ("RS256", Algorithm::RS256), ("EdDSA", Algorithm::EdDSA)];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The path of an address, without a slash at its end.
pub(super) fn path_of(address: &str) -> String {
    let path = address.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}

pub(super) fn read(
    mount: &mut Section<'_>,
    places: &[Place],
    contract: &Arc<str>,
    policy: &Policy,
) -> Option<Arc<AuthorizationServerSettings>> {
    let mut section = mount.inner_or_off("authorization_server", false)?;
    let issuer = section.need::<Arc<str>>("issuer");
    if let Some(issuer) = &issuer {
        address(&section, "issuer", issuer);
        let path = path_of(issuer);
        if !places.is_empty() && places.iter().all(|place| *place.prefix != *path) {
            let why = "its endpoints are at the issuer and their path, and no place of the mount is there";
            let fix = "give issuer and mount the same path, such as \"https://auth.example.org/x\" and \"/x\"";
            section.fault(
                "issuer",
                Fault::new(format!("no place has the prefix \"{path}\""), why, fix),
            );
        }
    }
    if issuer.as_ref().is_some_and(|issuer| **issuer == **contract) {
        let why =
            "tokens of the contract's own login and those of the issuer are told apart by iss";
        let fix =
            "write the public address of the issuer here, and another name in the mount's issuer";
        section.fault("issuer", Fault::new("the same as the mount's issuer", why, fix));
    }
    let audience = section.or("audience", issuer.clone().unwrap_or_default());
    let name = section.or("algorithm", "ES256".to_owned());
    let algorithm = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, found)| *found);
    if algorithm.is_none() {
        section.problems.unknown(
            &section.place_of("algorithm"),
            section.key("algorithm"),
            "algorithm",
            &name,
            ALGORITHMS.iter().map(|(name, _)| *name),
            "name one of these: others verify these tokens, so the key is never a shared one",
        );
    }
    let within = |least: Duration, most: Duration, fix: &'static str| {
        move |span: &Duration| {
            if (least..=most).contains(span) {
                return Ok(());
            }
            let why = "ended tokens are remembered for a day, and shorter than a second is no use";
            Err(Fault::new("out of range", why, fix))
        }
    };
    let second = Duration::from_secs(1);
    let lifetime = Duration::from_secs(3600);
    let access_lifetime = section.checked(
        "access_token_lifetime",
        lifetime,
        within(second, DAY, "write \"1s\" to \"24h\""),
    );
    let refresh_lifetime = section.checked(
        "refresh_token_lifetime",
        DAY * 30,
        within(second, DAY * 366, "write \"1s\" to \"366d\""),
    );
    let rotate_every = rotate_every(&mut section);
    let ahead = Duration::from_secs(600);
    let publish_ahead = section.checked("publish_ahead", ahead, |span| {
        if *span <= DAY * 7 {
            return Ok(());
        }
        let why = "a rotation would take longer than anybody waits for it";
        Err(Fault::new("longer than 7d", why, "write \"10m\""))
    });
    let login = section.or("login", true);
    let bind_certificates = section.or("bind_certificates", false);
    mount.note("authorization_server", Toml::Table(section.finish()));
    Some(Arc::new(AuthorizationServerSettings {
        issuer: issuer?,
        audience,
        algorithm: algorithm?,
        access_lifetime,
        refresh_lifetime,
        rotate_every,
        publish_ahead,
        login,
        bind_certificates,
        includes: policy.includes.clone(),
    }))
}

fn rotate_every(section: &mut Section<'_>) -> Option<Duration> {
    if let Some(Value::Bool(false)) = section.raw("rotate_every").map(|node| &node.value) {
        section.note("rotate_every", Toml::Boolean(false));
        return None;
    }
    Some(section.checked("rotate_every", DAY * 90, |every| {
        if *every >= Duration::from_secs(60) {
            return Ok(());
        }
        let why = "each rotation is a write, and old keys are published until their tokens end";
        Err(Fault::new("shorter than 1m", why, "write \"90d\", or false for by command only"))
    }))
}

pub(super) fn resource(
    mount: &mut Section<'_>,
    places: &[Place],
    own: Option<&AuthorizationServerSettings>,
) -> Option<ResourceFacts> {
    let mut section = mount.inner_or_off("protected_resource", false)?;
    let resource = section.need::<Arc<str>>("resource");
    if let Some(resource) = &resource {
        address(&section, "resource", resource);
        let path = path_of(resource);
        if !places.is_empty() && places.iter().all(|place| !path.starts_with(&*place.prefix)) {
            let why = "what it describes would not be here";
            let fix = "name the public address of one of the mount's places";
            section.fault("resource", Fault::new("at no place of the mount", why, fix));
        }
    }
    let usual = own.map(|own| own.issuer.clone()).into_iter().collect();
    let authorization_servers: Vec<Arc<str>> = section.or("authorization_servers", usual);
    for server in &authorization_servers {
        address(&section, "authorization_servers", server);
    }
    let scopes = section.or("scopes", Vec::new());
    let name = section.maybe("name");
    let documentation = section.maybe("documentation");
    mount.note("protected_resource", Toml::Table(section.finish()));
    let resource = resource?;
    Some(ResourceFacts { resource, authorization_servers, scopes, name, documentation })
}

/// RFC 8414 section 2 and RFC 9728 section 1.2: https, and neither query nor fragment.
fn address(section: &Section<'_>, key: &str, text: &Arc<str>) {
    if let Err(fault) = web_address(text) {
        section.fault(key, fault);
    }
    if text.contains('?') || text.ends_with('/') {
        let why = "it is compared byte for byte, and paths are put behind it";
        let fix = "write it without a query and without a slash at its end";
        section.fault(key, Fault::new(format!("bad address \"{text}\""), why, fix));
    }
}
