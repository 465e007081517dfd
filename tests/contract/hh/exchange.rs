//! Exchange codes: one use, however many ask at once.

use serde_json::json;

use crate::support::hh::{House, Wish, assert_refused};

const INVALID: &str = "Invalid or expired exchange code";

#[tokio::test]
async fn a_code_is_traded_for_a_session_of_thirty_days() {
    let house = House::shared();
    let person = house.person().await;
    let code = house.code(&person).await;
    let reply =
        house.caller().post("/auth/exchange", json!({"exchange_code": code})).await.expect(200);
    let session = reply.str("session_id");
    assert!(session.len() >= 43 && session != code);
    assert!(session.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    let end: jiff::Timestamp = reply.str("expires_at").parse().unwrap();
    let days = (end.as_second() - jiff::Timestamp::now().as_second()) as f64 / 86_400.0;
    assert!((29.9..=30.0).contains(&days), "{days}");
    assert!(reply.str("expires_at").ends_with('Z'));
    assert!(reply.header("set-cookie").is_none(), "clients keep cookies of their own");
}

#[tokio::test]
async fn of_two_at_once_one_gets_a_session() {
    let house = House::shared();
    for _ in 0..5 {
        let person = house.person().await;
        let code = house.code(&person).await;
        let (a, b) = (house.caller(), house.caller());
        let body = json!({"exchange_code": code});
        let (a, b) = tokio::join!(
            a.post("/auth/exchange", body.clone()),
            b.post("/auth/exchange", body.clone())
        );
        let (won, lost) = if a.status == 200 { (a, b) } else { (b, a) };
        assert_eq!(won.status, 200, "{}", won.text());
        assert_refused(&lost, 400, INVALID);
        house.me(&won.str("session_id")).await.expect(200);
        let listed = house.admin().get("/admin/sessions").await.expect(200).json();
        let own = listed["sessions"].as_array().unwrap().iter();
        assert_eq!(own.filter(|s| s["user"]["hh_user_id"] == person).count(), 1);
    }
}

#[tokio::test]
async fn a_second_use_is_400_and_an_event_and_leaves_the_session_alone() {
    let house = House::shared();
    let person = house.person().await;
    let code = house.code(&person).await;
    let body = json!({"exchange_code": code});
    let session = house.caller().post("/auth/exchange", body.clone()).await.expect(200);
    let session = session.str("session_id");
    assert_refused(&house.caller().post("/auth/exchange", body).await, 400, INVALID);
    let me = house.me(&session).await.expect(200);
    let events = house.events("&event_type=login_failed").await;
    let told = events.iter().filter(|event| {
        event["event_metadata"]["reason"] == "exchange_code_spent"
            && event["user_id"] == me.json()["id"]
    });
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn other_texts_are_400_and_other_bodies_422() {
    let house = House::shared();
    for text in ["", "x", &"A".repeat(43), &"\u{e4}".repeat(50)] {
        let reply = house.caller().post("/auth/exchange", json!({"exchange_code": text})).await;
        assert_refused(&reply, 400, INVALID);
    }
    for body in [json!({}), json!({"exchange_code": 7}), json!([])] {
        let reply = house.caller().post("/auth/exchange", body).await;
        assert_refused(&reply, 422, "Invalid request data");
        let body = reply.json();
        assert_eq!(
            (&body["error"], &body["message"]),
            (&json!("ValidationError"), &body["detail"])
        );
        assert!(!body["details"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_code_ends_by_itself() {
    let house = House::start(Wish { login: "exchange_code_lifetime = \"1s\"", ..Wish::default() });
    let person = house.person().await;
    let code = house.code(&person).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let reply = house.caller().post("/auth/exchange", json!({"exchange_code": code})).await;
    assert_refused(&reply, 400, INVALID);
}
