//! Every reply that the gateway makes itself, on every endpoint of every mount, is a JSON object in the shape of that
//! mount's contract (README of the contracts, rule 1). What cannot be provoked from outside (500) is walked in
//! `src/dialects/tests.rs`.

use std::sync::OnceLock;

use portcullis::dialects::{Exposure, Limits};
use reqwest::Method;

use super::{
    bench::{Bench, mounts, path_of},
    contracts::registered,
};
use crate::support::{client::Client, tmws::fresh_address, wire};

fn shared() -> &'static Bench {
    static SHARED: OnceLock<Bench> = OnceLock::new();
    SHARED.get_or_init(|| Bench::start("1000000/s"))
}

fn stranger(bench: &Bench) -> Client {
    Client::from(&bench.gateway.url(), fresh_address())
}

#[tokio::test]
async fn a_path_that_no_route_has_is_404() {
    for (contract, mount) in mounts() {
        for path in ["/nowhere", "", "/", "/api/v1/nowhere/x"] {
            let reply = stranger(shared()).get(&format!("/{mount}{path}")).await;
            assert_eq!(reply.status, 404, "{mount}{path}: {}", reply.text());
            (contract.assert_error)(&reply);
        }
    }
}

#[tokio::test]
async fn a_method_that_no_endpoint_has_is_405() {
    for (contract, mount) in mounts() {
        for endpoint in registered(contract).dialect.endpoints() {
            let path = path_of(&mount, endpoint);
            for method in ["BREW", "TRACE"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let reply = stranger(shared()).call(method, &path, None).await;
                assert_eq!(reply.status, 405, "{path}: {}", reply.text());
                assert!(reply.header("allow").is_some_and(|allow| allow.contains(endpoint.method)));
                (contract.assert_error)(&reply);
            }
        }
    }
}

#[tokio::test]
async fn a_protected_endpoint_without_credential_is_401() {
    for (contract, mount) in mounts() {
        let mut paths = vec![(Method::GET, format!("/{mount}/echo"))];
        for endpoint in registered(contract).dialect.endpoints() {
            if matches!(endpoint.exposure, Exposure::Protected { .. }) {
                paths.push((endpoint.method.parse().unwrap(), path_of(&mount, endpoint)));
            }
        }
        for (method, path) in paths {
            let reply = stranger(shared()).call(method, &path, None).await;
            assert_eq!(reply.status, 401, "{path}: {}", reply.text());
            (contract.assert_error)(&reply);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_413() {
    let bench = shared();
    let address = bench.gateway.address();
    for (contract, mount) in mounts() {
        let credentials = (contract.credentials)(&bench.gateway, &mount).await;
        for endpoint in registered(contract).dialect.endpoints() {
            let path = path_of(&mount, endpoint);
            let open = matches!(endpoint.exposure, Exposure::Public);
            for credential in &credentials {
                let reply = wire::exchange(
                    address,
                    format!(
                        "{} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
                         {}: {}\r\nContent-Length: 99999999\r\n\r\n{{",
                        endpoint.method, credential.header, credential.value
                    ),
                )
                .await;
                // A credential of a kind that the endpoint does not take, or that may not, comes first.
                let expected: &[u16] = if open { &[413] } else { &[413, 401, 403] };
                assert!(
                    expected.contains(&reply.status),
                    "{path}: {} {}",
                    reply.status,
                    reply.text()
                );
                (contract.assert_error)(&reply);
            }
        }
    }
}

#[tokio::test]
async fn a_body_of_a_strange_type_or_form_is_refused_in_shape() {
    let bench = shared();
    for (contract, mount) in mounts() {
        let credentials = (contract.credentials)(&bench.gateway, &mount).await;
        for endpoint in registered(contract).dialect.endpoints() {
            if endpoint.method == "GET" || endpoint.method == "DELETE" {
                continue;
            }
            let path = path_of(&mount, endpoint);
            for credential in &credentials {
                for (kind, body) in
                    [("text/plain", "a=b"), ("application/json", "{"), ("application/json", "[1]")]
                {
                    let method: Method = endpoint.method.parse().unwrap();
                    let sent = Some((kind, body.as_bytes().to_vec()));
                    let reply = credential.client(&bench.gateway).send(method, &path, sent).await;
                    if reply.status >= 300 {
                        assert!(reply.status < 500, "{path} {kind}: {}", reply.text());
                        (contract.assert_error)(&reply);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn trouble_behind_the_gateway_is_502_and_504() {
    for (contract, mount) in mounts() {
        for (path, status) in [("reset", 502), ("slow", 504)] {
            let reply = stranger(shared()).get(&format!("/{mount}/open/{path}")).await;
            assert_eq!(reply.status, status, "{mount}: {}", reply.text());
            (contract.assert_error)(&reply);
        }
        stranger(shared()).get(&format!("/{mount}/open/well")).await.expect(200);
    }
}

#[tokio::test]
async fn a_used_up_limit_is_429_and_exempt_endpoints_have_none() {
    let bench = Bench::start("1/h");
    for (contract, mount) in mounts() {
        for endpoint in registered(contract).dialect.endpoints() {
            let path = path_of(&mount, endpoint);
            let method: Method = endpoint.method.parse().unwrap();
            let client = stranger(&bench);
            let _first = client.call(method.clone(), &path, None).await;
            let reply = client.call(method, &path, None).await;
            if reply.status == 429 {
                (contract.assert_error)(&reply);
                let wait = reply.header("retry-after").and_then(|text| text.parse::<u64>().ok());
                assert!(wait.is_some_and(|wait| wait >= 1), "{path}: {wait:?}");
            }
            let open = matches!(endpoint.exposure, Exposure::Public);
            let exempt = endpoint.limits == Limits::Own(&[]);
            assert!(reply.status == 429 || exempt || !open, "{path}: {}", reply.status);
            assert!(reply.status != 429 || !exempt, "{path} is exempt");
        }
    }
}

#[tokio::test]
async fn no_reply_of_the_gateway_redirects_between_spellings_of_a_path() {
    for (contract, mount) in mounts() {
        for endpoint in registered(contract).dialect.endpoints() {
            let path = path_of(&mount, endpoint);
            for spelling in [format!("{path}/"), format!("/{path}")] {
                let method: Method = endpoint.method.parse().unwrap();
                let plain = stranger(shared()).call(method.clone(), &path, None).await;
                let other = stranger(shared()).call(method, &spelling, None).await;
                assert_eq!(other.status, plain.status, "{spelling}: {}", other.text());
            }
        }
    }
}
