//! `POST /api/v1/auth/refresh`: rotation, grace, replay.

use std::sync::OnceLock;

use serde_json::json;

use crate::support::{
    gateway::Gateway,
    operate,
    tmws::{
        NO_GENERAL_LIMIT, Tokens, assert_error, assert_error_shape, caller, login, refresh, shared,
        user,
    },
    wait,
};

const REFUSED: &str = "Invalid or expired refresh token";

fn demo_with(settings: &[&str]) -> Gateway {
    let mut arguments = NO_GENERAL_LIMIT.to_vec();
    for setting in settings {
        arguments.extend_from_slice(&["--set", setting]);
    }
    Gateway::demo(&arguments)
}

/// Grace of one second: short enough to wait out.
fn short_grace() -> &'static Gateway {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    DEMO.get_or_init(|| demo_with(&["mount.tmws.refresh_grace=1s"]))
}

/// No grace at all.
fn strict() -> &'static Gateway {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    DEMO.get_or_init(|| demo_with(&["mount.tmws.refresh_grace=0s"]))
}

async fn admin_tokens(gateway: &Gateway) -> Tokens {
    login(&caller(gateway), "admin", "password").await
}

#[tokio::test]
async fn a_refresh_answers_new_tokens_of_the_same_shape() {
    let gateway = shared();
    let old = admin_tokens(gateway).await;
    let reply = refresh(&caller(gateway), &old.refresh).await.expect(200);
    let new = Tokens::of(&reply);
    assert_ne!(new.access, old.access);
    assert_ne!(new.refresh, old.refresh);
    assert!(new.refresh.contains('.'));
    assert_eq!(reply.int("expires_in"), 3600);
    assert_eq!(reply.str("token_type"), "bearer");
    // The new access token works, and so does the old one until it expires: nobody logged out.
    for token in [&new.access, &old.access] {
        caller(gateway).bearer(token).get("/api/v1/auth/me").await.expect(200);
    }
}

#[tokio::test]
async fn a_chain_of_refreshes_goes_on() {
    let gateway = shared();
    let mut tokens = admin_tokens(gateway).await;
    for _ in 0..5 {
        tokens = Tokens::of(&refresh(&caller(gateway), &tokens.refresh).await);
    }
    caller(gateway).bearer(&tokens.access).get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn within_the_grace_window_a_repeat_gets_the_same_successor() {
    let gateway = shared();
    let old = admin_tokens(gateway).await;
    let first = Tokens::of(&refresh(&caller(gateway), &old.refresh).await);
    let second = Tokens::of(&refresh(&caller(gateway), &old.refresh).await);
    assert_eq!(first.refresh, second.refresh, "the family never forks");
    assert_ne!(first.access, second.access, "a fresh access token each");
}

#[tokio::test]
async fn parallel_refreshes_of_one_token_agree_on_one_successor() {
    let gateway = shared();
    let old = admin_tokens(gateway).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, token) = (caller(gateway), old.refresh.clone());
            tokio::spawn(async move { Tokens::of(&refresh(&client, &token).await).refresh })
        })
        .collect();
    let mut successors = Vec::new();
    for task in tasks {
        successors.push(task.await.unwrap());
    }
    successors.dedup();
    assert_eq!(successors.len(), 1, "one successor for all: {successors:?}");
    refresh(&caller(gateway), &successors[0]).await.expect(200);
}

#[tokio::test]
async fn a_repeat_after_the_successor_was_spent_is_401_and_the_family_lives() {
    let gateway = shared();
    let first = admin_tokens(gateway).await;
    let second = Tokens::of(&refresh(&caller(gateway), &first.refresh).await);
    let third = Tokens::of(&refresh(&caller(gateway), &second.refresh).await);
    let repeat = refresh(&caller(gateway), &first.refresh).await;
    assert_error(&repeat, 401, REFUSED);
    refresh(&caller(gateway), &third.refresh).await.expect(200);
    caller(gateway).bearer(&third.access).get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn a_repeat_after_the_window_is_401_and_ends_the_family() {
    let gateway = short_grace();
    let old = admin_tokens(gateway).await;
    let new = Tokens::of(&refresh(&caller(gateway), &old.refresh).await);
    // Repeats are answered with the same successor until the window has passed.
    let last = wait::until("the grace window passes", || async {
        let reply = refresh(&caller(gateway), &old.refresh).await;
        if reply.status == 200 {
            assert_eq!(reply.str("refresh_token"), new.refresh);
            return None;
        }
        Some(reply)
    })
    .await;
    assert_error(&last, 401, REFUSED);
    let successor = refresh(&caller(gateway), &new.refresh).await;
    assert_error(&successor, 401, REFUSED);
    let access = caller(gateway).bearer(&new.access).get("/api/v1/auth/me").await;
    assert_eq!(access.status, 401, "the session's access tokens end with it: {}", access.text());
    let audit = gateway.operator().get("/v1/audit?limit=50").await.expect(200).json();
    let events = audit["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["event_type"] == "REFRESH_REUSE"), "{audit}");
}

// requirement: 31
#[tokio::test]
async fn without_grace_a_repeat_ends_the_family_at_once() {
    let gateway = strict();
    let old = admin_tokens(gateway).await;
    let new = Tokens::of(&refresh(&caller(gateway), &old.refresh).await);
    assert_error(&refresh(&caller(gateway), &old.refresh).await, 401, REFUSED);
    assert_error(&refresh(&caller(gateway), &new.refresh).await, 401, REFUSED);
}

// requirement: 31
#[tokio::test]
async fn without_grace_of_many_at_once_exactly_one_wins() {
    let gateway = strict();
    let old = admin_tokens(gateway).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, token) = (caller(gateway), old.refresh.clone());
            tokio::spawn(async move { refresh(&client, &token).await.status })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            200 => won += 1,
            401 => {}
            other => panic!("status {other}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn another_familys_trouble_is_not_mine() {
    let gateway = strict();
    let (victim, other) = (admin_tokens(gateway).await, admin_tokens(gateway).await);
    refresh(&caller(gateway), &victim.refresh).await.expect(200);
    refresh(&caller(gateway), &victim.refresh).await.expect(401);
    refresh(&caller(gateway), &other.refresh).await.expect(200);
}

#[tokio::test]
async fn an_expired_refresh_token_is_401() {
    let gateway = demo_with(&["mount.tmws.refresh_token_lifetime=1s"]);
    let tokens = login(&caller(&gateway), "admin", "password").await;
    // Asking would spend it: only a fresh login's token of the same age may be asked.
    let mut waiting = vec![tokens];
    let refused = wait::until("refresh tokens expire", || {
        let token = waiting.pop();
        let gateway = &gateway;
        async move {
            let token = token?;
            tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
            Some(refresh(&caller(gateway), &token.refresh).await)
        }
    })
    .await;
    assert_error(&refused, 401, REFUSED);
}

#[tokio::test]
async fn rubbish_in_every_form_is_401() {
    let gateway = shared();
    let good = admin_tokens(gateway).await;
    let (id, secret) = good.refresh.split_once('.').unwrap();
    let swapped = format!("{secret}.{id}");
    let cut = &good.refresh[..good.refresh.len() - 1];
    let longer = format!("{}A", good.refresh);
    let blank = format!(" {}", good.refresh);
    let wrong_secret = format!("{id}.{}", "A".repeat(secret.len()));
    for token in
        ["", ".", "a.b", id, &swapped, cut, &longer, &blank, &wrong_secret, &good.access, "\u{0}"]
    {
        let reply = refresh(&caller(gateway), token).await;
        assert_error(&reply, 401, REFUSED);
    }
    // And nothing of that harmed the real one.
    refresh(&caller(gateway), &good.refresh).await.expect(200);
}

#[tokio::test]
async fn a_missing_or_mistyped_token_is_422() {
    let gateway = shared();
    for body in [json!({}), json!({"refresh_token": 1}), json!({"refresh_token": null})] {
        let reply = caller(gateway).post("/api/v1/auth/refresh", body).await;
        assert_error(&reply, 422, "Validation Error");
    }
}

#[tokio::test]
async fn a_disabled_account_gets_no_new_tokens() {
    let gateway = shared();
    let (person, client, tokens) = user(gateway).await;
    operate::disable_in(gateway, "tmws", &person.name);
    let reply = refresh(&caller(gateway), &tokens.refresh).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_error_shape(&reply);
    assert_eq!(client.get("/api/v1/auth/me").await.status, 401, "its access token ends at once");
}

#[tokio::test]
async fn an_access_token_sent_along_does_not_matter() {
    let gateway = shared();
    let tokens = admin_tokens(gateway).await;
    // The robust Python client sends its expired token with the refresh.
    refresh(&caller(gateway).bearer("expired"), &tokens.refresh).await.expect(200);
}
