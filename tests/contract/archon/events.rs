//! What receivers are told beyond logins: guessed passwords, and what agents do with their tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    archon::{add, caller, configuration, data, login, try_login},
    gateway::{Gateway, Places},
    ports,
    upstream::Upstream,
    wait::until,
};

/// The first event of a type that a receiver was told of.
async fn first(receiver: &Upstream, kind: &str) -> Value {
    until("the receiver is told", || async {
        let bodies = receiver.seen().into_iter().map(|request| request.body);
        let mut events = bodies.map(|body| serde_json::from_slice::<Value>(&body).expect("JSON"));
        events.find(|event| event["type"] == kind)
    })
    .await
}

#[tokio::test]
async fn guessed_passwords_and_used_capabilities_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start();
    let receiver = Upstream::start();
    let places = Places {
        public: ports::free_address(),
        operator: ports::free_address(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let text = configuration(&places, &upstream.url(), "");
    let gateway = Gateway::start_in(&places, &text);
    add(&gateway, "root@example.org", &["admin"]);
    add(&gateway, "ada@example.org", &["user"]);
    let client = caller(&gateway);
    let own = login(&client, "root@example.org").await;
    let admin = client.bearer(own["access_token"].as_str().unwrap());
    let events = ["security.suspicious_login", "agent.capability_used", "agent.capability_denied"];
    let body = json!({ "url": receiver.url(), "events": events, "secret": "a secret of ours" });
    data(&admin.post("/webhooks", body).await.expect(201));

    for _ in 0..3 {
        try_login(&caller(&gateway), "ada@example.org", "wrong").await.expect(401);
    }
    let client = caller(&gateway);
    let own = login(&client, "ada@example.org").await;
    let suspicious = first(&receiver, "security.suspicious_login").await;
    assert_eq!(suspicious["data"]["failed_attempts"], 3);
    assert_eq!(suspicious["data"]["email"], "ada@example.org");
    assert_eq!(suspicious["data"]["session_id"], own["session_id"]);
    assert!(suspicious["data"]["ip_address"].is_string());

    let client = client.bearer(own["access_token"].as_str().unwrap());
    let asked = json!({
        "agent_type": "code_implementer", "capabilities_requested": ["file:read"],
    });
    let agent = data(&client.post("/auth/agents/authenticate", asked).await);
    let agent = caller(&gateway).bearer(agent["agent_token"].as_str().unwrap());
    for (method, status) in [(Method::GET, 200), (Method::GET, 200), (Method::PUT, 403)] {
        assert_eq!(agent.call(method, "/files/a", None).await.status, status);
    }
    // Uses are written once a minute, and at the stop; what is written then is told by the next one.
    assert!(gateway.stop().success());
    let _again = Gateway::start_in(&places, &text);
    let used = first(&receiver, "agent.capability_used").await;
    assert_eq!(
        (&used["data"]["capability"], &used["data"]["count"], &used["data"]["agent_type"]),
        (&json!("file:read"), &json!(2), &json!("code_implementer"))
    );
    assert_eq!(used["data"]["user_id"], own["user"]["id"]);
    assert!(used["data"]["agent_id"].is_string());
    let denied = first(&receiver, "agent.capability_denied").await;
    assert_eq!(
        (&denied["data"]["capability"], &denied["data"]["agent_id"]),
        (&json!("file:write"), &used["data"]["agent_id"])
    );
}
