//! Where a mount is reachable: listener, then host, then longest prefix; all its places are one mount to a token.

use serde_json::json;

use super::bench::{head, upstream};
use crate::support::{
    client::Client,
    gateway::Gateway,
    operate, ports,
    tmws::{GOOD_PASSWORD, assert_error, fresh_address, login},
};

/// `root` is the default of any host, `inner` is behind `/v2`, at the host `inner.test` and on a port of its own.
fn start() -> (Gateway, std::net::SocketAddr, crate::support::upstream::Upstream) {
    let upstream = upstream();
    let second = ports::free_address();
    let gateway = Gateway::start(|places| {
        format!(
            "{}[[listener]]\nname = \"second\"\naddress = \"{second}\"\n\
             [[realm]]\nname = \"main\"\n\
             [[mount]]\nname = \"root\"\ndialect = \"tmws\"\nat = [{{ listener = \"public\" }}]\ndefault = true\n\
             [[mount]]\nname = \"inner\"\ndialect = \"tmws\"\nat = [\n\
             {{ listener = \"public\", prefixes = [\"/v2\"] }},\n\
             {{ listener = \"public\", hosts = [\"Inner.Test\"] }},\n\
             {{ listener = \"second\", prefixes = [\"/\", \"/v2\", \"/api/v2\"] }}]\n\
             [[route]]\nname = \"root-only\"\nmount = \"root\"\nmatch = {{ path = \"/only\" }}\nupstream = \"app\"\nauthn = [\"public\"]\n\
             [[route]]\nname = \"inner-echo\"\nmount = \"inner\"\nmatch = {{ path = \"/echo\" }}\nupstream = \"app\"\nauthn = [\"jwt\"]\nauthz = \"authenticated\"\n",
            head(places, &upstream)
        )
    });
    (gateway, second, upstream)
}

#[tokio::test]
async fn all_places_of_a_mount_are_one_and_an_exact_host_hides_any() {
    let (gateway, second, _upstream) = start();
    operate::call(
        &gateway,
        "POST",
        "/v1/users",
        json!({ "username": "pat", "email": "pat@example.org", "password": GOOD_PASSWORD, "roles": ["USER"] }),
    )
    .expect(201);
    let at = |base: String| Client::from(&base, fresh_address());
    let tokens = login(&at(format!("{}/v2", gateway.url())), "pat", GOOD_PASSWORD).await;
    for base in [
        format!("{}/v2", gateway.url()),
        format!("http://{second}"),
        format!("http://{second}/v2"),
        format!("http://{second}/api/v2"),
    ] {
        let reply = at(base.clone()).bearer(&tokens.access).get("/echo").await;
        assert_eq!(reply.status, 200, "{base}: {}", reply.text());
    }
    let host = |name: &str| at(gateway.url()).with("Host", name);
    for name in ["inner.test", "INNER.test:8000", "inner.test."] {
        host(name).bearer(&tokens.access).get("/echo").await.expect(200);
        // What stands at any host is not there.
        assert_error(&host(name).get("/only").await, 404, "Not Found");
    }
    host("other.test").get("/only").await.expect(200);
    // The other mount, in the same realm and of the same contract, takes none of it.
    let reply = at(gateway.url()).bearer(&tokens.access).get("/api/v1/auth/me").await;
    assert_error(&reply, 401, "Could not validate credentials");
    // Longest prefix: below /v2 nothing of the root is seen.
    assert_error(&at(gateway.url()).get("/v2/only").await, 404, "Not Found");
    at(gateway.url()).get("/v22/only").await.expect(404);
}
