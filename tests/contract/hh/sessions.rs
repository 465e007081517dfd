//! Sessions: who that is, how they end, and what an administrator sees of them.

use serde_json::json;

use crate::support::hh::{House, Wish, assert_refused};

#[tokio::test]
async fn a_person_sees_itself() {
    let house = House::shared();
    let (person, session) = house.session().await;
    let me = house.me(&session).await.expect(200);
    assert!(me.int("id") > 0);
    assert_eq!(me.str("hh_user_id"), person);
    assert_eq!(me.str("email"), format!("{person}@example.org"));
    assert_eq!(me.str("full_name"), "Иван Петров");
    assert_eq!(me.json()["is_active"], true);
    for time in ["created_at", "updated_at"] {
        assert!(me.str(time).ends_with('Z'));
    }
    assert_eq!(me.all("referrer-policy"), ["no-referrer"]);
    assert_eq!(me.header("cache-control"), Some("no-store"));
    // A cookie of that name is some application's own.
    let client = house.caller().with("Cookie", &format!("session_id={session}"));
    assert_refused(&client.get("/users/me").await, 401, "Invalid session");
    assert_refused(&house.me("nonsense").await, 401, "Invalid session");
    assert_refused(&house.me("").await, 401, "Invalid session");
}

#[tokio::test]
async fn a_new_login_brings_the_new_name_and_numbers_are_of_their_own_kind() {
    let house = House::start(Wish::default());
    let people = [house.person().await, house.person().await, house.person().await];
    let person = &people[2];
    let entries = house.admin().get("/admin/users").await.expect(200).json();
    let entry = entries["users"].as_array().unwrap().iter();
    let entry = entry.clone().find(|entry| entry["hh_user_id"] == person.as_str()).unwrap();
    let session = house.session_of(person).await;
    let before = house.me(&session).await.expect(200);
    assert_eq!((entry["id"].as_i64(), before.int("id")), (Some(3), 1));

    house.provider.rename(person, "Пётр", "new@example.org");
    assert_eq!(house.me(&session).await.expect(200).json(), before.json(), "not before a login");
    house.session_of(person).await;
    let after = house.me(&session).await.expect(200);
    assert_eq!(after.str("full_name"), "Пётр Петров");
    assert_eq!(after.str("email"), "new@example.org");
    assert_eq!((after.int("id"), after.str("created_at")), (1, before.str("created_at")));
    assert!(after.str("updated_at") > before.str("updated_at"));
}

#[tokio::test]
async fn a_logout_ends_the_session_and_the_last_one_drops_the_tokens() {
    let house = House::shared();
    let (person, first) = house.session().await;
    let second = house.session_of(&person).await;
    let out = |session: String| async move {
        house.caller().post("/auth/logout", json!({"session_id": session})).await
    };
    let reply = out(first.clone()).await.expect(200);
    assert_eq!(reply.json(), json!({"message": "Logout successful"}));
    assert_refused(&house.me(&first).await, 401, "Invalid session");
    assert_refused(&out(first).await, 401, "Invalid session");
    house.token(&second).await.expect(200);
    out(second.clone()).await.expect(200);
    assert_refused(&house.token(&second).await, 401, "Invalid session");
    // Nobody was left who could have used them: the next session begins with those of its own login.
    let third = house.session_of(&person).await;
    house.token(&third).await.expect(200);
    let events = house.events("&event_type=logout").await;
    assert!(events.len() >= 2);
}

#[tokio::test]
async fn an_administrator_sees_live_sessions_by_handle_and_ends_them() {
    let house = House::shared();
    let (person, session) = house.session().await;
    let reply = house.admin().get("/admin/sessions").await.expect(200);
    assert!(!reply.text().contains(&session), "a listing leaks no usable session");
    let body = reply.json();
    let listed = body["sessions"].as_array().unwrap();
    assert!(body["total"].as_u64().unwrap() >= listed.len() as u64);
    let own = listed.iter().find(|s| s["user"]["hh_user_id"] == person).unwrap();
    assert_eq!(own["user"]["full_name"], "Иван Петров");
    assert_eq!(own["user"]["email"], format!("{person}@example.org"));
    assert!(own["user_id"].as_i64().unwrap() > 0);
    assert!(own["created_at"].as_str().unwrap() < own["expires_at"].as_str().unwrap());
    let handle = own["id"].as_str().unwrap();
    let ended = house.admin().delete(&format!("/admin/sessions/{handle}")).await.expect(200);
    assert_eq!(ended.json(), json!({"message": "Session terminated"}));
    assert_refused(&house.me(&session).await, 401, "Invalid session");
    let again = house.admin().delete(&format!("/admin/sessions/{handle}")).await;
    assert_refused(&again, 404, "Session not found");
    let events = house.events("&event_type=session_terminated").await;
    let told = events.iter().find(|event| event["event_metadata"]["session"] == handle).unwrap();
    assert_eq!(told["event_metadata"]["admin"], "admin");
}

#[tokio::test]
async fn a_session_can_be_ended_by_its_own_id_which_no_log_shows() {
    let house = House::shared();
    let (_, session) = house.session().await;
    house.admin().delete(&format!("/admin/sessions/{session}")).await.expect(200);
    assert_refused(&house.me(&session).await, 401, "Invalid session");
    let missing = house.admin().delete("/admin/sessions/nonsense").await;
    assert_refused(&missing, 404, "Session not found");
    assert!(!house.gateway.output().contains(&session));
}

// requirement: 30
#[tokio::test]
async fn a_session_ends_by_itself_and_is_not_extended_by_use() {
    let house = House::start(Wish { login: "session_lifetime = \"2s\"", ..Wish::default() });
    let (_, session) = house.session().await;
    house.me(&session).await.expect(200);
    crate::support::wait::until("the session ends", || async {
        (house.me(&session).await.status == 401).then_some(())
    })
    .await;
    let listed = house.admin().get("/admin/sessions").await.expect(200).json();
    assert_eq!(
        (listed["total"].as_u64(), listed["sessions"].as_array().unwrap().len()),
        (Some(0), 0)
    );
}

#[tokio::test]
async fn a_session_in_the_query_can_be_forbidden_and_is_a_relaxation_otherwise() {
    let relaxed = |house: &House| {
        let checked = house.gateway.cli_json(&["check"]);
        checked["relaxations"].to_string().contains("R-SESSION-IN-QUERY")
    };
    assert!(relaxed(House::shared()));
    let house = House::start(Wish { login: "session_in_query = false", ..Wish::default() });
    assert!(!relaxed(&house));
    let (person, session) = house.session().await;
    assert_refused(&house.me(&session).await, 401, "Not authenticated");
    let client = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    let shown = client.get("/users/me").await.expect(200);
    assert_eq!(shown.str("hh_user_id"), person);
    client.post("/auth/logout", json!({"session_id": session})).await.expect(200);
    assert_refused(&client.get("/users/me").await, 401, "Invalid session");

    // Without a cookie or header there would be no way at all.
    let file = &house.gateway.config;
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text.replace("session = {", "#session = {")).unwrap();
    let checked = house.gateway.cli(&["check"]);
    let said = crate::support::gateway::said(&checked);
    assert!(said.contains("session_in_query = false without session"), "{said}");
}

#[tokio::test]
async fn sessions_live_over_a_restart() {
    let house = House::start(Wish::default());
    let (_, session) = house.session().await;
    let ended = house.session_of(&house.person().await).await;
    house.caller().post("/auth/logout", json!({"session_id": ended})).await.expect(200);
    let text = std::fs::read_to_string(&house.gateway.config).unwrap();
    house.gateway.kill();
    let again = crate::support::gateway::Gateway::start_in(&house.gateway.places, &text);
    let client = crate::support::client::Client::at(&again.url());
    client.get(&format!("/users/me?session_id={session}")).await.expect(200);
    client.post("/auth/token", json!({"session_id": session})).await.expect(200);
    client.get(&format!("/users/me?session_id={ended}")).await.expect(401);
}
