//! What holds for every contract, walked over all of them.

mod shared;

use crate::{
    dialects::ALL,
    pipeline::{Deny, ReplyFacts, deny::TokenFault},
};

const FACTS: ReplyFacts<'static> =
    ReplyFacts { request_id: "req_1", path: "/nowhere", method: "POST" };

#[test]
fn every_refusal_of_the_gateway_is_a_json_object_in_every_contract() {
    for contract in ALL {
        for deny in Deny::every() {
            let reply = contract.dialect.render(&deny, &FACTS);
            let what = format!("{}: {deny:?}", contract.dialect.name());
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert!(body.is_object(), "{what}");
            // A client takes a login for a success when it finds a token.
            assert!(body.get("access_token").is_none(), "{what}");
            let header = |name: &str| {
                let found = reply.headers.iter().find(|(own, _)| own == name);
                found.map(|(_, value)| value.to_str().unwrap())
            };
            assert_eq!(header("content-type"), Some("application/json"), "{what}");
            let wait = header("retry-after").map(|value| value.parse::<u64>().unwrap());
            assert!(wait.is_none_or(|wait| wait >= 1), "{what}");
            assert!(wait.is_some() || reply.status != 429, "{what}");
            // Otherwise clients that refresh and retry on 401 loop, and outages look like logouts.
            assert_eq!(reply.status == 401, deny.status() == 401, "{what}");
            assert_eq!(
                reply.status.is_server_error(),
                deny.status().is_server_error(),
                "{what}: {}",
                reply.status
            );
        }
    }
}

#[test]
fn why_a_token_was_refused_is_told_only_where_the_contract_does() {
    for contract in ALL {
        let render = |fault| contract.dialect.render(&Deny::Token(fault), &FACTS);
        // Invalid and revoked must not be told apart.
        assert_eq!(render(TokenFault::Invalid), render(TokenFault::Revoked));
    }
}

#[test]
fn every_name_is_found_and_no_two_contracts_share_one() {
    let mut names: Vec<_> = ALL.iter().map(|contract| contract.dialect.name()).collect();
    assert!(names.iter().all(|name| super::find(name).is_some()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}
