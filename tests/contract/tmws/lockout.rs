//! Lockout after failures in a row, and the throttle of failed logins.

use std::sync::OnceLock;

use crate::support::{
    client::Client,
    gateway::Gateway,
    tmws::{NO_GENERAL_LIMIT, admin, assert_error, caller, fresh_name, person, shared, try_login},
    wait,
};

/// Four wrong tries, then the fifth.
async fn lock(client: &Client, name: &str) {
    for _ in 0..4 {
        assert_error(&try_login(client, name, "wrong").await, 401, "Invalid credentials");
    }
    let fifth = try_login(client, name, "wrong").await;
    assert_error(&fifth, 423, "Account is locked");
}

// requirement: 29
#[tokio::test]
async fn the_fifth_failure_in_a_row_locks_for_half_an_hour() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    lock(&client, &person.name).await;

    let right = try_login(&client, &person.name, &person.password).await;
    assert_error(&right, 423, "Account is locked");
    let seconds: u64 = right.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1_700..=1_800).contains(&seconds), "30 minutes: {seconds}");
    let elsewhere = try_login(&caller(gateway), &person.name, &person.password).await;
    assert_error(&elsewhere, 423, "Account is locked");
    // The other name is not locked: a common lock would tell outsiders that the two belong together.
    try_login(&caller(gateway), &person.email, "wrong").await.expect(401);
}

#[tokio::test]
async fn an_unknown_name_locks_alike() {
    let gateway = shared();
    let (client, name) = (caller(gateway), fresh_name());
    lock(&client, &name).await;
    let sixth = try_login(&client, &name, "whatever").await;
    assert_error(&sixth, 423, "Account is locked");
    assert!(sixth.header("retry-after").is_some());
}

#[tokio::test]
async fn a_success_resets_the_count() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    for _ in 0..2 {
        for _ in 0..4 {
            try_login(&client, &person.name, "wrong").await.expect(401);
        }
        try_login(&client, &person.name, &person.password).await.expect(200);
    }
}

#[tokio::test]
async fn the_two_names_of_an_account_count_apart_and_a_success_clears_both() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    for _ in 0..2 {
        for name in [&person.name, &person.email] {
            for _ in 0..4 {
                // From a new address each time: the throttle counts by address.
                try_login(&caller(gateway), name, "wrong").await.expect(401);
            }
        }
        try_login(&client, &person.email, &person.password).await.expect(200);
    }
}

#[tokio::test]
async fn a_lock_ends_by_itself() {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    let gateway = DEMO.get_or_init(|| {
        let mut arguments = NO_GENERAL_LIMIT.to_vec();
        arguments.extend_from_slice(&["--set", "realm.tmws.lockout.duration=2s"]);
        Gateway::demo(&arguments)
    });
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    lock(&client, &person.name).await;
    wait::until("the lock ends", || async {
        let reply = try_login(&client, &person.name, &person.password).await;
        match reply.status {
            423 => {
                let left: u64 = reply.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=2).contains(&left), "{left}");
                None
            }
            200 => Some(()),
            other => panic!("status {other}: {}", reply.text()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_thousand_good_logins_are_not_what_the_throttle_counts() {
    // Twelve are more than the ten failures a minute would allow.
    let gateway = shared();
    let client = caller(gateway);
    for _ in 0..12 {
        try_login(&client, "admin", "password").await.expect(200);
    }
}

// requirement: 29
#[tokio::test]
async fn the_eleventh_failure_of_one_name_and_address_is_429() {
    static DEMO: OnceLock<Gateway> = OnceLock::new();
    let gateway = DEMO.get_or_init(|| {
        let mut arguments = NO_GENERAL_LIMIT.to_vec();
        arguments.extend_from_slice(&["--set", "realm.tmws.lockout.failures=1000"]);
        Gateway::demo(&arguments)
    });
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    for _ in 0..10 {
        try_login(&client, &person.name, "wrong").await.expect(401);
    }
    let refused = wait::until("the throttle closes", || async {
        let reply = try_login(&client, &person.name, "wrong").await;
        (reply.status != 401).then_some(reply)
    })
    .await;
    assert_error(&refused, 429, "Rate limit exceeded");
    let header: i64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(header >= 1);
    assert_eq!(refused.int("retry_after"), header);

    // Another address and another name have counts of their own.
    try_login(&caller(gateway), &person.name, "wrong").await.expect(401);
    try_login(&client, &fresh_name(), "wrong").await.expect(401);
    // From another address the right password works at once.
    try_login(&caller(gateway), &person.name, &person.password).await.expect(200);
}

#[tokio::test]
async fn a_locked_name_is_told_so_before_the_throttle() {
    let gateway = shared();
    let (client, name) = (caller(gateway), fresh_name());
    lock(&client, &name).await;
    for _ in 0..20 {
        try_login(&client, &name, "wrong").await.expect(423);
    }
}

#[tokio::test]
async fn the_lock_of_one_name_is_not_anothers() {
    let gateway = shared();
    let client = caller(gateway);
    lock(&client, &fresh_name()).await;
    try_login(&client, "admin", "password").await.expect(200);
}
