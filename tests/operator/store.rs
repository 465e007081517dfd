//! `store backup` while running and `store restore` while stopped.

use serde_json::Value;

use crate::{
    setting::configuration,
    support::{
        gateway::{Gateway, said},
        operate,
        tmws::{GOOD_PASSWORD, caller, login, refresh, try_login},
        upstream::Upstream,
    },
};

#[tokio::test]
async fn a_backup_taken_while_running_brings_everything_back() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream).text());
    let places = gateway.places.clone();
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    operate::add_admin(&gateway);
    let key = operate::admin_key(&gateway, &["READ"]);
    let before = login(&caller(&gateway), operate::ADMIN, GOOD_PASSWORD).await;

    let backup = places.dir.join("backup.db");
    gateway.cli_ok(&["store", "backup", backup.to_str().unwrap()]);
    assert!(backup.exists());
    let twice = gateway.cli(&["store", "backup", backup.to_str().unwrap()]);
    assert_eq!(twice.status.code(), Some(1), "nothing is overwritten: {}", said(&twice));

    let later = operate::someone(&gateway, "USER");
    let running = gateway.cli(&["store", "restore", backup.to_str().unwrap()]);
    assert_eq!(running.status.code(), Some(1), "{}", said(&running));
    assert!(said(&running).contains("running"), "{}", said(&running));
    gateway.stop();

    let broken = places.dir.join("broken.db");
    std::fs::write(&broken, "this is no store").unwrap();
    let refused = gateway.cli(&["store", "restore", broken.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    gateway.cli_ok(&["store", "restore", backup.to_str().unwrap()]);

    let again = Gateway::start_in(&places, &text);
    caller(&again).key(&key).get("/api/v1/tasks").await.expect(200);
    caller(&again).bearer(&before.access).get("/api/v1/tasks").await.expect(200);
    refresh(&caller(&again), &before.refresh).await.expect(200);
    try_login(&caller(&again), &later, GOOD_PASSWORD).await.expect(401);
    let users = again.cli_json(&["user", "list"]);
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1), "{users}");
    assert_ne!(users, Value::Null);
}

#[tokio::test]
async fn a_lost_master_key_is_said_plainly() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream).text());
    let key = gateway.places.data.join("master.key");
    gateway.stop();
    let aside = gateway.places.dir.join("aside");
    std::fs::rename(&key, &aside).unwrap();
    let output = gateway.cli(&["serve"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("master.key"), "{}", said(&output));
    assert!(!key.exists(), "no new one is made over a store that needs the old one");
    std::fs::rename(&aside, &key).unwrap();
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let again = Gateway::start_in(&gateway.places, &text);
    assert_eq!(again.readyz().await.0, 200);
}
