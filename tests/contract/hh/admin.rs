//! The administrator: HTTP Basic, allow list, events.

use serde_json::json;

use crate::support::hh::{ADMIN, ADMIN_PASSWORD, House, Wish, assert_refused, basic, stranger};

#[tokio::test]
async fn without_basic_or_with_a_wrong_one_it_is_401() {
    let house = House::shared();
    for path in [
        "/admin/users",
        "/admin/sessions",
        "/admin/audit-log",
        "/admin/statistics",
        "/admin/whitelist",
    ] {
        let reply = house.caller().get(path).await;
        assert_refused(&reply, 401, "Not authenticated");
        assert_eq!(reply.all("www-authenticate"), ["Basic"]);
    }
    let bearer = house.caller().bearer("x").get("/admin/users").await;
    assert_refused(&bearer, 401, "Not authenticated");
    for credential in [
        basic(ADMIN, "wrong"),
        basic("root", ADMIN_PASSWORD),
        basic(ADMIN, ""),
        "Basic !!!".to_owned(),
        "Basic".to_owned(),
    ] {
        let client = house.caller().with("Authorization", &credential);
        let reply = client.get("/admin/users").await;
        assert_refused(&reply, 401, "Invalid admin credentials");
        assert_eq!(reply.all("www-authenticate"), ["Basic"]);
    }
    // Judged before the body is read.
    let reply = house.caller().post("/admin/users/allow", json!({})).await;
    assert_refused(&reply, 401, "Not authenticated");
}

#[tokio::test]
async fn failures_of_an_address_are_throttled_but_lock_nobody_out() {
    let house = House::shared();
    let client = house.caller();
    let wrong = client.with("Authorization", &basic(ADMIN, "wrong"));
    let mut refused = None;
    for _ in 0..30 {
        let reply = wrong.get("/admin/users").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        assert_eq!(reply.status, 401);
    }
    let refused = refused.expect("a throttle");
    assert_refused(&refused, 429, "Rate limit exceeded");
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    let right = client.with("Authorization", &basic(ADMIN, ADMIN_PASSWORD));
    assert_eq!(right.get("/admin/users").await.status, 429, "not even the right one from there");
    house.admin().get("/admin/users").await.expect(200);
}

#[tokio::test]
async fn a_person_is_allowed_removed_and_allowed_again() {
    let house = House::shared();
    let (admin, person) = (house.admin(), stranger());
    let body = json!({"hh_user_id": format!("  {person} "), "comment": ""});
    let first = admin.post("/admin/users/allow", body).await.expect(200);
    assert_eq!(first.str("hh_user_id"), person, "trimmed");
    assert_eq!(first.json()["comment"], "");
    assert_eq!(first.json()["is_active"], true);
    assert!(first.str("created_at").ends_with('Z'));
    let id = first.int("id");

    // Already active: the same entry.
    let again = admin.post("/admin/users/allow", json!({"hh_user_id": person})).await.expect(200);
    assert_eq!(again.json(), first.json());

    // By the hh id, never by the entry's number.
    assert_refused(&admin.delete(&format!("/admin/users/{id}")).await, 404, "User not found");
    let removed = admin.delete(&format!("/admin/users/{person}")).await.expect(200);
    assert_eq!(removed.json(), json!({"message": "User removed from whitelist"}));
    assert_refused(&admin.delete(&format!("/admin/users/{person}")).await, 404, "User not found");

    let find = |list: serde_json::Value| {
        let users = list["users"].as_array().unwrap().clone();
        assert_eq!(list["total"].as_u64(), Some(users.len() as u64));
        users.into_iter().find(|user| user["hh_user_id"] == person)
    };
    let all = admin.get("/admin/users").await.expect(200).json();
    assert_eq!(find(all).unwrap()["is_active"], false);
    let active = admin.get("/admin/users?active_only=true").await.expect(200).json();
    assert_eq!(find(active), None);

    let body = json!({"hh_user_id": person, "comment": "back"});
    let back = admin.post("/admin/users/allow", body).await.expect(200);
    assert_eq!((back.int("id"), back.str("comment")), (id, "back".to_owned()));
    let events = house.events("").await;
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| event["event_metadata"]["hh_user_id"] == person)
        .map(|event| event["event_type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["user_allowed", "user_removed", "user_allowed"]);
}

#[tokio::test]
async fn fields_that_do_not_fit_are_422() {
    let admin = House::shared().admin();
    for body in [
        json!({}),
        json!({"hh_user_id": "  "}),
        json!({"hh_user_id": "9".repeat(101)}),
        json!({"hh_user_id": 7}),
        json!({"hh_user_id": "7", "comment": "x".repeat(501)}),
    ] {
        let reply = admin.post("/admin/users/allow", body).await;
        assert_refused(&reply, 422, "Invalid request data");
        assert_eq!(reply.str("error"), "ValidationError");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=9223372036854775808"] {
        let reply = admin.get(&format!("/admin/audit-log?{query}")).await;
        assert_refused(&reply, 422, "Invalid request data");
    }
    let reply = admin.get("/admin/users?active_only=perhaps").await;
    assert_refused(&reply, 422, "Invalid request data");
}

#[tokio::test]
async fn whoever_can_be_put_on_the_list_can_be_taken_off_it() {
    let admin = House::shared().admin();
    for (id, path) in [
        ("a b", "a%20b"),
        ("a?b#c", "a%3Fb%23c"),
        ("auth0|7", "auth0%7C7"),
        ("ю", "%D1%8E"),
        ("...", "..."),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("a;b", "a%3Bb"),
        ("%2e", "%252e"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("allow", "allow"),
    ] {
        let put = admin.post("/admin/users/allow", json!({"hh_user_id": id})).await;
        if put.status == 200 {
            admin.delete(&format!("/admin/users/{path}")).await.expect(200);
        } else {
            assert_refused(&put, 422, "Invalid request data");
        }
        let taken = !id.contains(['/', '\\', ';', '%']) && ![".", "..", "allow"].contains(&id);
        assert_eq!(put.status == 200, taken, "{id}");
    }
}

#[tokio::test]
async fn a_removal_lets_sessions_live_on_but_no_new_login_in() {
    let house = House::shared();
    let (person, session) = house.session().await;
    house.admin().delete(&format!("/admin/users/{person}")).await.expect(200);
    house.me(&session).await.expect(200);
    house.token(&session).await.expect(200);
    let text = format!("User {person} is not allowed to access this service");
    assert_refused(&house.browse(&person).await, 403, &text);
}

#[tokio::test]
async fn a_removal_ends_sessions_where_the_operator_says_so() {
    let house = House::start(Wish { login: "removal_ends_sessions = true", ..Wish::default() });
    let (person, session) = house.session().await;
    let guest = house.caller().with("Cookie", &format!("hh_session_id={session}"));
    guest.get("/api/x").await.expect(200);
    house.admin().delete(&format!("/admin/users/{person}")).await.expect(200);
    assert_refused(&house.me(&session).await, 401, "Invalid session");
    assert_refused(&guest.get("/api/x").await, 401, "Invalid session");
}

#[tokio::test]
async fn events_are_paged_and_filtered_and_all_counted() {
    let house = House::start(Wish::default());
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(house.person().await);
    }
    house.session_of(&people[0]).await;
    let admin = house.admin();
    let page = |query: &'static str| {
        let admin = admin.clone();
        async move { admin.get(&format!("/admin/audit-log{query}")).await.expect(200).json() }
    };
    let all = page("").await;
    assert_eq!((all["limit"].as_u64(), all["offset"].as_u64()), (Some(100), Some(0)));
    let total = all["total"].as_u64().unwrap();
    let ids: Vec<_> =
        all["events"].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len() as u64, total);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {ids:?}");

    let second = page("?limit=2&offset=2").await;
    let got: Vec<_> =
        second["events"].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect();
    assert_eq!(got, ids[2..4]);
    assert_eq!(second["total"].as_u64(), Some(total));

    let allowed = page("?event_type=user_allowed&limit=3").await;
    assert_eq!(allowed["total"].as_u64(), Some(5));
    assert_eq!(allowed["events"].as_array().unwrap().len(), 3);
    let event = &allowed["events"][0];
    assert_eq!(event["event_metadata"]["admin"], ADMIN);
    assert_eq!(event["event_metadata"]["hh_user_id"], people[4]);
    assert!(event["user_id"].is_null(), "no account has logged in for it");

    let login = page("?event_type=login").await;
    let event = &login["events"][0];
    assert_eq!(login["total"].as_u64(), Some(1));
    assert!(event["user_id"].as_i64().is_some() && event["event_metadata"]["ip"].is_string());
    assert_eq!(page("?event_type=nothing").await["total"].as_u64(), Some(0));
}

#[tokio::test]
async fn the_originals_names_work_too() {
    let house = House::start(Wish::default());
    let (admin, person) = (house.admin(), stranger());
    let body = json!({"hh_user_id": person, "description": "old style"});
    let made = admin.post("/admin/whitelist", body).await.expect(200);
    assert_eq!(made.str("description"), "old style");
    house.session_of(&person).await;
    let list = admin.get("/admin/whitelist").await.expect(200).json();
    assert_eq!(list["allowed_users"][0]["hh_user_id"], person);
    let counts = json!({
        "total_users": 1, "active_users": 1, "whitelisted_users": 1, "total_whitelist_entries": 1,
    });
    assert_eq!(admin.get("/admin/statistics").await.expect(200).json(), counts);
    admin.delete(&format!("/admin/whitelist/{person}")).await.expect(200);
    let counts = admin.get("/admin/statistics").await.expect(200).json();
    assert_eq!(
        (&counts["whitelisted_users"], &counts["total_whitelist_entries"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(house.caller().get("/ping").await.expect(200).json(), json!({"ping": "pong"}));
}
