//! The contracts that share the root of the usual port: one health object for all, and each path in the words of the
//! contract that has it.

use std::{collections::BTreeMap, fmt::Write, sync::OnceLock, time::Duration};

use portcullis::{
    dialects::{Overlap, health::HealthFacts},
    model::Timestamp,
};
use reqwest::Method;

use super::{
    bench::{self, Bench},
    contracts::{CONTRACTS, Contract, registered},
};
use crate::support::{client::Client, gateway::Gateway, tmws::fresh_address};

/// Those of the table "Serving model" that stand at the root of :8000 for any host; the first one is the default.
const TOGETHER: [&str; 3] = ["tmws", "bearer", "hh"];

fn together() -> impl Iterator<Item = &'static Contract> {
    CONTRACTS.iter().filter(|contract| TOGETHER.contains(&contract.name))
}

fn shared() -> &'static Bench {
    static SHARED: OnceLock<Bench> = OnceLock::new();
    SHARED.get_or_init(|| {
        let upstream = bench::upstream();
        let gateway = Gateway::start(|places| {
            let mut text = bench::head(places, &upstream);
            for contract in together() {
                let name = contract.name;
                bench::write_files(places, contract);
                let _ = writeln!(
                    text,
                    "[[realm]]\nname = \"{name}\"\n[[mount]]\nname = \"{name}\"\ndialect = \"{name}\"\n\
                     realm = \"{name}\"\ndefault = {}\n{}\n{}",
                    name == TOGETHER[0],
                    contract.settings,
                    (contract.more)(places, name)
                );
            }
            text
        });
        Bench { gateway, upstream }
    })
}

fn caller() -> Client {
    Client::from(&shared().gateway.url(), fresh_address())
}

#[tokio::test]
async fn health_has_the_members_of_every_contract() {
    let reply = caller().get("/health").await.expect(200);
    let body = reply.json();
    assert_eq!(body["status"], "healthy", "{body}");
    let facts =
        HealthFacts { store_answers: true, now: Timestamp(0), uptime: Duration::from_secs(1) };
    for contract in together() {
        let dialect = registered(contract).dialect;
        if dialect.endpoints().iter().any(|endpoint| endpoint.overlap == Overlap::Union) {
            for (member, _) in dialect.health(&facts) {
                assert!(body.get(member).is_some(), "{} misses {member}: {body}", contract.name);
            }
        }
    }
}

#[tokio::test]
async fn a_path_speaks_as_its_contract_and_what_nobody_has_as_the_default() {
    let default = together().next().unwrap();
    (default.assert_error)(&caller().get("/nowhere").await.expect(404));
    let mut owners: BTreeMap<&str, Vec<&Contract>> = BTreeMap::new();
    for contract in together() {
        for endpoint in registered(contract).dialect.endpoints() {
            let known = owners.entry(endpoint.path).or_default();
            if known.iter().all(|other| other.name != contract.name) {
                known.push(contract);
            }
        }
    }
    for (path, owners) in owners {
        let path = path.replace(['{', '}'], "");
        let reply = caller().call(Method::from_bytes(b"BREW").unwrap(), &path, None).await;
        assert_eq!(reply.status, 405, "{path}: {}", reply.text());
        let speaker = if let [only] = owners.as_slice() { *only } else { default };
        (speaker.assert_error)(&reply);
    }
}

#[tokio::test]
async fn a_query_decides_who_answers_where_the_contracts_say_so() {
    for contract in together() {
        for endpoint in registered(contract).dialect.endpoints() {
            let Overlap::WhenQuery(parameter) = endpoint.overlap else { continue };
            let method: Method = endpoint.method.parse().unwrap();
            let path = format!("{}?{parameter}=nothing", endpoint.path);
            let reply = caller().call(method.clone(), &path, None).await;
            assert!(reply.status >= 400, "{path}: {}", reply.text());
            (contract.assert_error)(&reply);
            let other = together().find(|other| {
                let mut endpoints = registered(other).dialect.endpoints().iter();
                other.name != contract.name
                    && endpoints
                        .any(|found| (found.method, found.path) == (endpoint.method, endpoint.path))
            });
            let reply = caller().call(method, endpoint.path, None).await;
            assert!(reply.status >= 400, "{}: {}", endpoint.path, reply.text());
            (other.unwrap_or(contract).assert_error)(&reply);
        }
    }
}
