//! What may be asked of a new API key. Pure; every fault is reported at once.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::{FieldError, IdentityError, MountSettings, NewKey};
use crate::model::ScopeSet;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longest life of a key that has an end.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
/// Longest overlap after a rotation (contract tmws: 604800 seconds).
const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most entries of an address list.
const MOST_ADDRESSES: usize = 100;

/// A request for a key, read.
#[derive(Debug, PartialEq)]
pub(super) struct AskedKey {
    /// Name.
    pub(super) name: String,
    /// Free text.
    pub(super) description: Option<String>,
    /// Scopes that the mount knows.
    pub(super) scopes: ScopeSet,
    /// Life time.
    pub(super) lifetime: Option<Duration>,
    /// Addresses.
    pub(super) allowed_ips: Vec<IpNet>,
    /// Requests per hour.
    pub(super) rate_limit_per_hour: Option<u32>,
}

/// Reads a request, or says everything that is wrong with it.
pub(super) fn acceptable(mount: &MountSettings, new: NewKey) -> Result<AskedKey, IdentityError> {
    let mut faults = Faults(Vec::new());
    faults.text("name", &new.name, 2, 128);
    if let Some(text) = &new.description {
        faults.text("description", text, 0, 500);
    }
    let scopes = read_scopes(mount, &new.scopes, &mut faults);
    let allowed_ips = read_addresses(&new.allowed_ips, &mut faults);
    match new.lifetime {
        Some(Duration::ZERO) => faults.add("expires_days", "invalid", "Must be at least 1"),
        Some(life) if life > LONGEST_LIFE => {
            let days = LONGEST_LIFE.as_secs() / DAY.as_secs();
            faults.add("expires_days", "invalid", format!("Must be at most {days}"));
        }
        _ => {}
    }
    if new.rate_limit_per_hour == Some(0) {
        faults.add("rate_limit_per_hour", "invalid", "Must be at least 1");
    }
    if !faults.0.is_empty() {
        return Err(IdentityError::Invalid(faults.0));
    }
    Ok(AskedKey {
        name: new.name,
        description: new.description,
        scopes,
        lifetime: new.lifetime,
        allowed_ips,
        rate_limit_per_hour: new.rate_limit_per_hour,
    })
}

/// Refuses mounts whose contract knows no key that an account may have: none at all, or those of an organisation, whose
/// members make them by the contract.
pub(super) fn made_here(mount: &MountSettings) -> Result<(), IdentityError> {
    if !mount.scopes.is_empty() {
        return Ok(());
    }
    let why = match &mount.api_key_format {
        None => "This mount's contract has no API keys",
        Some(_) => "Members of an organisation make the keys of this mount, by its contract",
    };
    let mut faults = Faults(Vec::new());
    faults.add("mount", "invalid", why);
    Err(IdentityError::Invalid(faults.0))
}

/// Refuses an overlap that is too long.
pub(super) fn acceptable_overlap(overlap: Duration) -> Result<(), IdentityError> {
    if overlap <= LONGEST_OVERLAP {
        return Ok(());
    }
    let mut faults = Faults(Vec::new());
    let most = LONGEST_OVERLAP.as_secs();
    faults.add("overlap_seconds", "invalid", format!("Must be at most {most}"));
    Err(IdentityError::Invalid(faults.0))
}

/// What rotating a key that has ended gives.
pub(super) fn already_ended() -> IdentityError {
    let mut faults = Faults(Vec::new());
    faults.add("key_id", "invalid", "The key is revoked, expired or already replaced");
    IdentityError::Invalid(faults.0)
}

fn read_scopes(mount: &MountSettings, names: &[String], faults: &mut Faults) -> ScopeSet {
    if names.is_empty() {
        faults.add("scopes", "missing", "At least one scope is needed");
    }
    for name in names {
        if !mount.scopes.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
            faults.add("scopes", "unknown", format!("Scope \"{shown}\" does not exist"));
        }
    }
    ScopeSet::new(names)
}

fn read_addresses(texts: &[String], faults: &mut Faults) -> Vec<IpNet> {
    if texts.len() > MOST_ADDRESSES {
        faults.add("allowed_ips", "too_long", format!("At most {MOST_ADDRESSES} addresses"));
        return Vec::new();
    }
    let mut nets: Vec<IpNet> = Vec::new();
    for text in texts {
        match read_address(text) {
            Some(net) if nets.contains(&net) => {}
            Some(net) => nets.push(net),
            None => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(50).collect();
                let message = format!("\"{shown}\" is neither an IP address nor a CIDR block");
                faults.add("allowed_ips", "invalid", message);
            }
        }
    }
    nets
}

/// An address or a block, without host bits; IPv4 written as IPv6 is IPv4.
fn read_address(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let net = text.parse::<IpNet>().ok()?.trunc();
    match (net.addr().to_canonical(), net.prefix_len()) {
        (IpAddr::V4(v4), long @ 96..) if net.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(v4), long - 96).ok()
        }
        _ => Some(net),
    }
}

struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: &'static str, kind: &'static str, message: impl Into<String>) {
        self.0.push(FieldError { field, kind, message: message.into() });
    }

    fn text(&mut self, field: &'static str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least || text.trim().chars().count() < least {
            self.add(field, "too_short", format!("Must be at least {least} characters long"));
        }
        if length > most {
            self.add(field, "too_long", format!("Must be at most {most} characters long"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.add(field, "invalid", "Control characters are not allowed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_kit;

    fn asked(
        change: impl FnOnce(&mut NewKey),
    ) -> Result<AskedKey, Vec<(&'static str, &'static str)>> {
        let mut new = test_kit::new_key(&["READ"]);
        change(&mut new);
        match acceptable(&test_kit::mount("api", "main"), new) {
            Ok(asked) => Ok(asked),
            Err(IdentityError::Invalid(faults)) => {
                Err(faults.iter().map(|fault| (fault.field, fault.kind)).collect())
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn scopes_come_in_any_case_and_must_exist() {
        let scopes = asked(|new| new.scopes = vec!["write".into(), "Read".into()]).unwrap().scopes;
        assert_eq!(scopes.joined(), "READ WRITE");
        assert_eq!(asked(|new| new.scopes.clear()), Err(vec![("scopes", "missing")]));
        assert_eq!(asked(|new| new.scopes.push("KING".into())), Err(vec![("scopes", "unknown")]));
    }

    #[test]
    fn addresses_and_blocks_are_read_without_host_bits() {
        let texts = ["10.1.2.3", "10.0.0.7/8", "::ffff:192.0.2.1", "2001:db8::1/32", "10.1.2.3"];
        let nets = asked(|new| new.allowed_ips = texts.map(Into::into).into()).unwrap().allowed_ips;
        let shown: Vec<_> = nets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.1.2.3/32", "10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        for odd in ["", "10.0.0", "10.0.0.0/33", "host", "10.0.0.1-9"] {
            let got = asked(|new| new.allowed_ips = vec![odd.into()]);
            assert_eq!(got, Err(vec![("allowed_ips", "invalid")]), "{odd}");
        }
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let got = asked(|new| {
            new.name = "x".into();
            new.description = Some("y".repeat(501));
            new.scopes.clear();
            new.lifetime = Some(Duration::ZERO);
            new.rate_limit_per_hour = Some(0);
        });
        let fields: Vec<_> = got.unwrap_err().iter().map(|(field, _)| *field).collect();
        let wanted = ["name", "description", "scopes", "expires_days", "rate_limit_per_hour"];
        assert_eq!(fields, wanted);
        assert!(asked(|new| new.lifetime = Some(Duration::MAX)).is_err());
        assert!(asked(|new| new.name = "x".repeat(129)).is_err());
        assert!(asked(|new| new.name = "x".repeat(128)).is_ok());
    }

    #[test]
    fn an_overlap_has_the_bound_of_the_contract() {
        assert!(acceptable_overlap(Duration::ZERO).is_ok());
        assert!(acceptable_overlap(Duration::from_secs(604_800)).is_ok());
        assert!(acceptable_overlap(Duration::from_secs(604_801)).is_err());
    }
}
