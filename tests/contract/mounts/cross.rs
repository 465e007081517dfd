//! A credential of one mount is 401 on any other (README of the contracts, rule 13): another contract, another realm, and
//! also the same contract in the same realm.

use portcullis::dialects::Exposure;
use reqwest::Method;
use serde_json::json;

use super::{
    bench::{Bench, mounts, path_of},
    contracts::registered,
};
use crate::support::{
    client::Client,
    operate,
    tmws::{GOOD_PASSWORD, fresh_address, fresh_name, login, refresh},
};

#[tokio::test]
async fn a_shared_realm_shares_accounts_and_no_tokens() {
    let bench = Bench::start("1000000/s");
    let gateway = &bench.gateway;
    let name = fresh_name();
    let account = json!({
        "realm": "tmws", "username": name, "email": format!("{name}@example.org"),
        "password": GOOD_PASSWORD, "roles": ["USER"],
    });
    operate::call(gateway, "POST", "/v1/users", account).expect(201);
    let at = |mount: &str| Client::from(&format!("{}/{mount}", gateway.url()), fresh_address());
    let own = login(&at("tmws"), &name, GOOD_PASSWORD).await;
    let twin = login(&at("tmws-twin"), &name, GOOD_PASSWORD).await;
    for (mount, tokens, good) in [
        ("tmws", &twin, false),
        ("tmws-twin", &own, false),
        ("tmws", &own, true),
        ("tmws-twin", &twin, true),
    ] {
        let reply = refresh(&at(mount), &tokens.refresh).await;
        assert_eq!(reply.status, if good { 200 } else { 401 }, "{mount}: {}", reply.text());
    }
}

#[tokio::test]
async fn each_credential_is_refused_on_each_other_mount() {
    let bench = Bench::start("1000000/s");
    let gateway = &bench.gateway;
    for (contract, own) in mounts() {
        for credential in (contract.credentials)(gateway, &own).await {
            let client = credential.client(gateway);
            let what = format!("{} of {own}", credential.what);
            let reply = client.get(&format!("/{own}/echo")).await;
            assert_eq!(reply.status, 200, "{what} is good at its own mount: {}", reply.text());
            let before = bench.upstream.count();
            for (other_contract, other) in mounts().into_iter().filter(|(_, other)| *other != own) {
                let mut asked = vec![(Method::GET, format!("/{other}/echo"))];
                for endpoint in registered(other_contract).dialect.endpoints() {
                    if matches!(endpoint.exposure, Exposure::Protected { .. }) {
                        asked.push((endpoint.method.parse().unwrap(), path_of(&other, endpoint)));
                    }
                }
                for (method, path) in asked {
                    let reply = client.call(method.clone(), &path, None).await;
                    assert_eq!(reply.status, 401, "{what} at {method} {path}: {}", reply.text());
                    (other_contract.assert_error)(&reply);
                }
            }
            assert_eq!(bench.upstream.count(), before, "{what} reached an upstream elsewhere");
        }
    }
}
