//! `user import`: all or nothing, every refused line reported, foreign hashes rehashed at login.

use serde_json::json;

use crate::{
    setting::gateway,
    support::{
        gateway::said,
        tmws::{caller, fresh_name, login, try_login},
    },
};

const PASSWORD: &str = "imported from elsewhere";

/// Of [`PASSWORD`], at the lowest cost that is taken.
const BCRYPT: &str = "$2b$10$TkjsmlRT2gTq.gdvECtEd.BEJ6dv9MH/T3ACc61OCI7CIw46pqWLG";

fn import(lines: &[String]) -> std::process::Output {
    gateway().cli_with(&lines.join("\n"), &["user", "import", "-"])
}

#[tokio::test]
async fn accounts_with_bcrypt_hashes_log_in_with_their_old_passwords() {
    let (one, two) = (fresh_name(), fresh_name());
    let output = import(&[
        json!({"username": one, "password_hash": BCRYPT, "roles": ["ADMIN"]}).to_string(),
        String::new(),
        json!({"email": format!("{two}@example.org"), "password_hash": BCRYPT}).to_string(),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains('2'), "{}", said(&output));
    let client = caller(gateway());
    try_login(&client, &one, "wrong").await.expect(401);
    // Twice: the second one is against the new hash.
    for _ in 0..2 {
        let reply = try_login(&client, &one, PASSWORD).await.expect(200);
        assert_eq!(reply.json()["user"]["roles"], json!(["ADMIN"]));
    }
    login(&client, &format!("{two}@example.org"), PASSWORD).await;
}

#[tokio::test]
async fn one_bad_line_refuses_all_and_every_bad_line_is_told() {
    let good = fresh_name();
    let secret = BCRYPT;
    let output = import(&[
        json!({"username": good, "password_hash": secret}).to_string(),
        "this is no JSON".to_owned(),
        json!({"username": fresh_name()}).to_string(),
        json!({"username": fresh_name(), "password_hash": "plain text"}).to_string(),
        json!({"username": fresh_name(), "password_hash": "$1$abc$md5crypt"}).to_string(),
        json!({"username": fresh_name(), "password_hash": secret, "nonsense": 1}).to_string(),
        json!({"username": fresh_name(), "password_hash": secret, "roles": ["EMPEROR"]})
            .to_string(),
        json!({"username": good, "password_hash": secret}).to_string(),
        json!({"username": crate::support::operate::ADMIN, "password_hash": secret}).to_string(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    for line in 2..=9 {
        assert!(said.contains(&format!("line {line}")), "line {line} is not told:\n{said}");
    }
    assert!(!said.contains("line 1:") && !said.contains("line 1 "), "{said}");
    assert!(!said.contains(secret) && !said.contains("plain text"), "{said}");
    try_login(&caller(gateway()), &good, PASSWORD).await.expect(401);
}
