//! API keys of the operator's own choosing: any text, taken at once, gone with the next reload.

use std::path::PathBuf;

use super::bench::{head, upstream};
use crate::support::{
    client::Client,
    gateway::{Gateway, Places},
    operate::{self, ADMIN},
    tmws::{assert_error, fresh_address},
    upstream::Upstream,
    wait,
};

const SERVICE: &str = "any text? no: any-service-key!";
const OWNED: &str = "tmws_key_looks.like_one_of_ours";

fn write(places: &Places, name: &str, text: &str) -> PathBuf {
    let path = places.dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn configuration(places: &Places, upstream: &Upstream, keys: &str) -> String {
    write(places, "service.key", &SERVICE.replace(' ', "_"));
    write(places, "owned.key", OWNED);
    write(places, "far.key", "far-away-key");
    format!(
        "{}[[mount]]\nname = \"api\"\ndialect = \"tmws\"\n{keys}\n\
         [[route]]\nname = \"echo\"\nmatch = {{ path = \"/echo\" }}\nauthn = [\"jwt\", \"api_key\"]\nauthz = {{ scopes = {{ \"*\" = \"READ\" }} }}\n\
         [[route]]\nname = \"write\"\nmatch = {{ path = \"/write\" }}\nauthn = [\"api_key\"]\nauthz = {{ scopes = {{ \"*\" = \"WRITE\" }} }}\n",
        head(places, upstream)
    )
}

fn keys(places: &Places) -> String {
    let file = |name: &str| places.dir.join(name).display().to_string();
    format!(
        "[[mount.static_key]]\nname = \"svc\"\nsecret = \"file:{}\"\nservice = \"reporting\"\nroles = [\"SERVICE\"]\nscopes = [\"READ\"]\n\
         [[mount.static_key]]\nname = \"owned\"\nsecret = \"file:{}\"\nuser = \"{ADMIN}\"\nscopes = [\"READ\", \"WRITE\"]\n\
         [[mount.static_key]]\nname = \"far\"\nsecret = \"file:{}\"\nservice = \"far\"\nroles = [\"SERVICE\"]\nscopes = [\"READ\"]\nallowed_ips = [\"192.0.2.0/24\"]\n",
        file("service.key"),
        file("owned.key"),
        file("far.key")
    )
}

#[tokio::test]
async fn a_key_of_any_form_is_taken_and_narrowed_and_ends_with_a_reload() {
    let upstream = upstream();
    let gateway = Gateway::start(|places| configuration(places, &upstream, &keys(places)));
    operate::add_admin(&gateway);
    let client = |key: &str| Client::from(&gateway.url(), fresh_address()).key(key);
    let service = SERVICE.replace(' ', "_");

    client(&service).get("/echo").await.expect(200);
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.field("x-auth-method").as_deref(), Some("api_key"));
    assert_eq!(seen.field("x-api-key"), None, "the key stays here");
    let fields = format!("{:?}", seen.fields());
    assert!(fields.contains("service:reporting"), "{fields}");
    assert_error(&client(&service).get("/write").await, 403, "Permission required: read");
    client(OWNED).get("/write").await.expect(200);
    for wrong in [&service[1..], "", &format!("{service}x"), "tmws_key_looks.like_one_of_ourz"] {
        assert_error(&client(wrong).get("/echo").await, 401, "Invalid API key");
    }
    let reply = client("far-away-key").get("/echo").await;
    assert_error(&reply, 403, "Access denied: IP address not allowed");

    // The account's state holds for its key at once.
    operate::disable(&gateway, ADMIN);
    assert_error(&client(OWNED).get("/write").await, 401, "Invalid API key");
    client(&service).get("/echo").await.expect(200);

    // A reload takes the keys out; whoever has one has nothing any more.
    let text = configuration(&gateway.places, &upstream, "");
    let text = crate::support::fleet::with_database(&gateway.places.dir, &text);
    std::fs::write(&gateway.config, text).unwrap();
    gateway.hang_up();
    wait::until("the key is gone", async || {
        (client(&service).get("/echo").await.status == 401).then_some(())
    })
    .await;
    let log = gateway.output();
    assert!(!log.contains(&service) && !log.contains(OWNED), "no key is ever logged");
    assert!(log.contains("R-STATIC-KEY-SHORT"), "short ones are told");
}
