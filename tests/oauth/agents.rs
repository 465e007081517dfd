//! Agent tokens by exchange: capabilities instead of roles, within what client and person have.

use reqwest::Method;
use serde_json::json;

use crate::{
    bench::{Bench, claims},
    support::{archon, client::Client, gateway::Gateway, tmws::fresh_address, upstream::Upstream},
};

const AGENT: &str = "urn:portcullis:token-type:agent";
const EMAIL: &str = "worker@example.org";

fn bench() -> Bench {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        let issuer = format!("http://{}", places.public);
        archon::configuration(places, &upstream.url(), "").replace(
            "dialect = \"archon\"\n",
            &format!("dialect = \"archon\"\nauthorization_server = {{ issuer = \"{issuer}\" }}\n"),
        )
    });
    let arguments =
        ["user", "add", "worker", "--email", EMAIL, "--role", "user", "--password-stdin"];
    let added = gateway.cli_with(&format!("{}\n", archon::PASSWORD), &arguments);
    assert!(added.status.success(), "{}", crate::support::gateway::said(&added));
    Bench { gateway, upstream }
}

async fn login(bench: &Bench) -> String {
    let caller = Client::from(&bench.gateway.url(), fresh_address());
    let body = json!({ "email": EMAIL, "password": archon::PASSWORD });
    let reply = caller.post("/auth/login", body).await.expect(200).json();
    let found = ["/data/access_token", "/data/token", "/access_token", "/data/accessToken"];
    let token = found.iter().find_map(|at| reply.pointer(at));
    token.unwrap_or_else(|| panic!("{reply}")).as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agent_gets_capabilities_within_what_client_and_person_have() {
    let bench = bench();
    let client =
        bench.client(&["--grant", "token_exchange", "--scope", "file:read", "--scope", "git:push"]);
    let login = login(&bench).await;
    let ask = async |subject: &str, kind: &str, scope: &str| {
        let more = [("requested_token_type", AGENT), ("agent_type", kind), ("scope", scope)];
        bench.exchange(&client, subject, &more).await
    };
    let reply = ask(&login, "code_implementer", "file:read").await.expect(200);
    assert_eq!(reply.str("issued_token_type"), AGENT);
    let token = reply.str("access_token");
    let said = claims(&token);
    assert_eq!(said["capabilities"], json!(["file:read"]));
    assert_eq!((&said["roles"], &said["agent_type"]), (&json!([]), &json!("code_implementer")));
    assert_eq!(said["act"]["sub"], json!(client.id));
    assert!(said["exp"].as_u64().unwrap() <= claims(&login)["exp"].as_u64().unwrap());
    assert_eq!(bench.ask(&token, Method::GET, "/files/1").await, 200);
    assert_eq!(bench.ask(&token, Method::PUT, "/files/1").await, 403);
    // More than the client has, than the person may hand out, of a type that nobody runs.
    for (kind, scope, error) in [
        ("code_implementer", "file:write", "invalid_scope"),
        ("code_implementer", "", "invalid_scope"),
        ("nobody", "file:read", "invalid_request"),
    ] {
        assert_eq!(
            ask(&login, kind, scope).await.expect(400).str("error"),
            error,
            "{kind} {scope}"
        );
    }
    // An agent's token is no subject: nothing is made from it.
    assert_eq!(
        ask(&token, "code_implementer", "file:read").await.expect(400).str("error"),
        "invalid_grant"
    );
    let session = said["sid"].as_str().unwrap();
    bench.gateway.cli_ok(&["session", "end", session]);
    assert_eq!(bench.ask(&token, Method::GET, "/files/1").await, 401);
}
