//! `/users/me` and `/users/{id}`.

use serde_json::{Value, json};

use super::bench::{Bench, PASSWORD, login, refused, token};

async fn id_of(client: &crate::support::client::Client) -> String {
    client.get("/users/me").await.expect(200).str("id")
}

#[tokio::test]
async fn the_own_account_is_shown_and_changed() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    let other = bench.caller().bearer(&token(&bench.caller(), &email, PASSWORD).await);
    let me = client.get("/users/me").await.expect(200).json();
    assert_eq!((&me["email"], &me["is_superuser"]), (&json!(email), &json!(false)));

    // The flags are ignored.
    let flags = json!({ "is_superuser": true, "is_verified": true, "is_active": false });
    assert_eq!(client.patch("/users/me", flags).await.expect(200).json(), me);

    let taken = bench.someone().await;
    let reply = client.patch("/users/me", json!({ "email": taken })).await;
    refused(&reply, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS".into());
    let reply = client.patch("/users/me", json!({ "password": "short" })).await;
    assert_eq!(
        (reply.status, &reply.json()["detail"]["code"]),
        (400, &json!("UPDATE_USER_INVALID_PASSWORD"))
    );
    assert_eq!(client.patch("/users/me", json!({ "email": 1 })).await.status, 422);

    let new = format!("new-{email}");
    let changed =
        client.patch("/users/me", json!({ "email": new, "password": "N3w-password" })).await;
    let changed = changed.expect(200).json();
    assert_eq!((&changed["email"], &changed["is_verified"]), (&json!(new), &json!(false)));
    refused(&other.get("/users/me").await, 401, "Unauthorized".into());
    client.get("/users/me").await.expect(200);
    refused(&login(&bench.caller(), &email, PASSWORD).await, 400, "LOGIN_BAD_CREDENTIALS".into());
    login(&bench.caller(), &new, "N3w-password").await.expect(200);
}

#[tokio::test]
async fn other_accounts_are_a_superusers_alone() {
    let bench = Bench::start().await;
    let (_, user) = bench.logged_in().await;
    let superuser = bench.superuser().await;
    let (own, path) = (id_of(&user).await, format!("/users/{}", id_of(&superuser).await));
    for reply in [
        user.get(&path).await,
        user.patch(&path, json!({ "is_superuser": true })).await,
        user.delete(&path).await,
        user.delete(&format!("/users/{own}")).await,
    ] {
        refused(&reply, 403, "Forbidden".into());
    }
    refused(&bench.caller().get(&path).await, 401, "Unauthorized".into());
    for id in [uuid::Uuid::new_v4().to_string(), "x".into()] {
        let path = format!("/users/{id}");
        refused(&superuser.get(&path).await, 404, "Not Found".into());
        refused(&superuser.patch(&path, json!({})).await, 404, "Not Found".into());
        refused(&superuser.delete(&path).await, 404, "Not Found".into());
    }
}

#[tokio::test]
async fn a_superuser_sets_the_flags_and_removes() {
    let bench = Bench::start().await;
    let (email, user) = bench.logged_in().await;
    let superuser = bench.superuser().await;
    let path = format!("/users/{}", id_of(&user).await);
    let shown = superuser.get(&path).await.expect(200).json();
    assert_eq!(shown["email"], json!(email));

    let flags = json!({ "is_verified": true, "is_superuser": true });
    let changed = superuser.patch(&path, flags).await.expect(200).json();
    assert_eq!((&changed["is_verified"], &changed["is_superuser"]), (&json!(true), &json!(true)));
    refused(&user.get("/users/me").await, 401, "Unauthorized".into());
    let risen = bench.caller().bearer(&token(&bench.caller(), &email, PASSWORD).await);
    risen.get(&path).await.expect(200);

    let taken = bench.someone().await;
    let reply = superuser.patch(&path, json!({ "email": taken })).await;
    refused(&reply, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS".into());
    let off = superuser.patch(&path, json!({ "is_active": false })).await.expect(200).json();
    assert_eq!(off["is_active"], json!(false));
    refused(&risen.get("/users/me").await, 401, "Unauthorized".into());
    refused(&login(&bench.caller(), &email, PASSWORD).await, 400, "LOGIN_BAD_CREDENTIALS".into());

    let reply = superuser.delete(&path).await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    refused(&superuser.get(&path).await, 404, "Not Found".into());
}

#[tokio::test]
async fn what_happens_is_in_the_audit_log() {
    let bench = Bench::start().await;
    let (email, client) = bench.logged_in().await;
    login(&bench.caller(), &email, "wrong").await;
    client.post("/auth/jwt/logout", Value::Null).await.expect(204);
    let events = bench.gateway.cli_ok(&["audit", "tail"]);
    for event in ["ACCOUNT_REGISTERED", "LOGIN_SUCCESS", "LOGIN_FAILED", "LOGOUT"] {
        assert!(events.contains(event), "{event}: {events}");
    }
}
