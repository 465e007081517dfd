//! One origin with every contract behind a prefix, each one twice in one realm: `/NAME` and `/NAME-twin`.

use std::{fmt::Write, time::Duration};

use portcullis::dialects::Endpoint;

use super::contracts::{CONTRACTS, Contract, registered};
use crate::support::{
    conf::OPERATOR_TOKEN,
    gateway::{Gateway, Places},
    upstream::{Answer, Step, Upstream},
};

/// What every test configuration of several mounts begins with: one listener `public`, one upstream `app`.
pub fn head(places: &Places, upstream: &Upstream) -> String {
    let token = places.dir.join("operator.token");
    std::fs::write(&token, OPERATOR_TOKEN).expect("write the token");
    format!(
        "version = 1\n[data]\ndir = {:?}\n[server]\ngrace_period = \"3s\"\n[hashing]\nqueue = 1000\n\
         [internal]\naddress = \"{}\"\ntoken = \"file:{}\"\n\
         [[listener]]\nname = \"public\"\naddress = \"{}\"\n\
         [[upstream]]\nname = \"app\"\nbackends = [\"{}\"]\n",
        places.data.display().to_string(),
        places.operator,
        token.display(),
        places.public,
        upstream.url(),
    )
}

/// Names of the two mounts of a contract; each is its prefix as well.
pub fn mounts_of(contract: &Contract) -> [String; 2] {
    [contract.name.to_owned(), format!("{}-twin", contract.name)]
}

/// Every mount with its contract.
pub fn mounts() -> Vec<(&'static Contract, String)> {
    CONTRACTS
        .iter()
        .flat_map(|contract| mounts_of(contract).map(|mount| (contract, mount)))
        .collect()
}

/// The path of an endpoint on a mount, with something for every parameter.
pub fn path_of(mount: &str, endpoint: &Endpoint) -> String {
    let parts = endpoint.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    format!("/{mount}{}", parts.collect::<Vec<_>>().join("/"))
}

/// Writes the files that a contract's settings refer to.
pub fn write_files(places: &Places, contract: &Contract) {
    for (name, text) in contract.files {
        std::fs::write(places.dir.join(name), text).expect("write a file of the configuration");
    }
}

/// A configuration with all of them. `windows`: of every limit that a contract brings.
pub fn configuration(places: &Places, upstream: &Upstream, windows: &str) -> String {
    let mut text = head(places, upstream);
    for contract in CONTRACTS {
        let name = contract.name;
        write_files(places, contract);
        let _ = writeln!(text, "[[realm]]\nname = \"{name}\"");
        for limit in registered(contract).dialect.defaults().limits {
            let _ =
                writeln!(text, "[[limit]]\nname = \"{}\"\nwindows = [\"{windows}\"]", limit.name);
        }
        for mount in mounts_of(contract) {
            let _ = writeln!(
                text,
                "[[mount]]\nname = \"{mount}\"\ndialect = \"{name}\"\nrealm = \"{name}\"\n\
                 at = [{{ prefixes = [\"/{mount}\"] }}]\n{}\n{}\n\
                 [[route]]\nname = \"{mount}-echo\"\nmount = \"{mount}\"\nmatch = {{ path = \"/echo\" }}\n\
                 upstream = \"app\"\nauthn = {}\nauthz = \"authenticated\"\n\
                 [[route]]\nname = \"{mount}-open\"\nmount = \"{mount}\"\nmatch = {{ path = \"/open/**\" }}\n\
                 upstream = \"app\"\nauthn = [\"public\"]\ntimeouts = {{ first_byte = \"1s\" }}",
                contract.settings,
                (contract.more)(places, &mount),
                contract.authn
            );
        }
    }
    text
}

/// An upstream that fails as the path says.
pub fn upstream() -> Upstream {
    Upstream::with(|request| match request.target().rsplit('/').next() {
        Some("slow") => Answer::ok().after(Duration::from_secs(20)),
        Some("reset") => Answer::steps(vec![Step::Reset]),
        _ => Answer::ok(),
    })
}

/// The gateway with its upstream.
pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

impl Bench {
    pub fn start(windows: &str) -> Self {
        let upstream = upstream();
        let gateway = Gateway::start(|places| configuration(places, &upstream, windows));
        Bench { gateway, upstream }
    }
}
