//! `POST /api/v1/auth/login`.

use serde_json::json;

use crate::support::{
    gateway::Gateway,
    operate,
    tmws::{
        Tokens, account, admin, assert_common_headers, assert_error, assert_error_shape, caller,
        login, person, shared, try_login,
    },
    wire,
};

#[tokio::test]
async fn a_login_answers_tokens_and_the_user() {
    let gateway = shared();
    let (name, password) = account(gateway, "SUPER_ADMIN");
    assert_eq!((name.as_str(), password.as_str()), ("admin", "password"), "examples hard-code it");

    let reply = try_login(&caller(gateway), &name, &password).await.expect(200);

    assert!(reply.header("content-type").unwrap().starts_with("application/json"));
    assert_common_headers(&reply);
    assert_eq!(reply.int("expires_in"), 3600);
    assert_eq!(reply.str("token_type"), "bearer");
    let tokens = Tokens::of(&reply);
    assert_eq!(tokens.access.split('.').count(), 3, "a compact JWS");
    let (id, secret) = tokens.refresh.split_once('.').expect("<id>.<secret>");
    assert!(id.len() >= 32, "id of at least 32 characters: {id}");
    assert!(!secret.is_empty() && !secret.contains('.'));
    let url_safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(id.chars().all(url_safe), "{id}");

    let body = reply.json();
    let user = &body["user"];
    assert!(uuid::Uuid::parse_str(user["id"].as_str().unwrap()).is_ok());
    assert_eq!(user["username"], "admin");
    assert!(user["email"].as_str().is_some_and(|email| email.contains('@')), "{user}");
    assert_eq!(user["roles"], json!(["SUPER_ADMIN"]));
    assert!(user.as_object().unwrap().contains_key("agent_namespace"), "{user}");
    assert!(!body.to_string().contains("hash"), "nothing of the password");
}

#[tokio::test]
async fn an_expiry_is_written_as_an_integer_literal() {
    let gateway = shared();
    let (name, password) = account(gateway, "SUPER_ADMIN");
    let text = try_login(&caller(gateway), &name, &password).await.text();
    let compact: String = text.split_whitespace().collect();
    assert!(compact.contains("\"expires_in\":3600,") || compact.contains("\"expires_in\":3600}"));
}

#[tokio::test]
async fn two_logins_give_different_tokens() {
    let gateway = shared();
    let (name, password) = account(gateway, "SUPER_ADMIN");
    let client = caller(gateway);
    let first = login(&client, &name, &password).await;
    let second = login(&client, &name, &password).await;
    assert_ne!(first.access, second.access);
    assert_ne!(first.refresh, second.refresh);
}

#[tokio::test]
async fn an_email_serves_as_the_name() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    let reply = try_login(&caller(gateway), &person.email, &person.password).await.expect(200);
    assert_eq!(reply.json()["user"]["username"], person.name);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    let client = caller(gateway);
    let wrong = try_login(&client, &person.name, "not it").await;
    let unknown = try_login(&client, "nobody-of-that-name", "not it").await;
    for reply in [&wrong, &unknown] {
        assert_error(reply, 401, "Invalid credentials");
    }
    let names = |reply: &wire::Reply| -> Vec<String> {
        let mut names: Vec<_> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&wrong), names(&unknown), "not even the header names tell them apart");
}

#[tokio::test]
async fn any_string_is_simply_right_or_wrong() {
    let gateway = shared();
    for (n, password) in ["", " ", "x", "пароль", &"long ".repeat(300)].iter().enumerate() {
        // A name each: five in a row would lock.
        let reply = try_login(&caller(gateway), &format!("nobody-at-all-{n}"), password).await;
        assert_error(&reply, 401, "Invalid credentials");
    }
}

#[tokio::test]
async fn a_missing_field_is_a_validation_error_with_its_place() {
    let gateway = shared();
    let client = caller(gateway);
    for (body, field) in [
        (json!({"password": "x"}), "username"),
        (json!({"username": "x"}), "password"),
        (json!({"username": 7, "password": "x"}), "username"),
        (json!({"username": "x", "password": null}), "password"),
    ] {
        let reply = client.post("/api/v1/auth/login", body).await;
        assert_error(&reply, 422, "Validation Error");
        assert!(!reply.str("message").is_empty());
        let details = reply.json()["details"].clone();
        let row = &details.as_array().expect("a list")[0];
        let loc = row["loc"].as_array().expect("a path");
        assert!(loc.iter().any(|part| part == field), "{details}");
        assert!(row["msg"].is_string() && row["type"].is_string(), "{details}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_in_shape() {
    let gateway = shared();
    let client = caller(gateway);
    for body in ["", "{", "[]", "\"text\"", "null", "42", "{\"username\":\"a\",}"] {
        let sent = Some(("application/json", body.as_bytes().to_vec()));
        let reply = client.send(reqwest::Method::POST, "/api/v1/auth/login", sent).await;
        assert_error(&reply, 422, "Validation Error");
    }
}

#[tokio::test]
async fn unknown_fields_and_odd_layout_are_taken() {
    let gateway = shared();
    let body = "{\n  \"extra\" : [1, {\"a\": null}],\n\t\"username\"  :\"admin\" ,\r\n \
                \"password\":\"password\"\n}\n";
    let sent = Some(("application/json; charset=utf-8", body.as_bytes().to_vec()));
    let reply = caller(gateway).send(reqwest::Method::POST, "/api/v1/auth/login", sent).await;
    reply.expect(200);
}

#[tokio::test]
async fn a_login_sent_as_something_else_than_json_is_415() {
    let gateway = shared();
    let body = b"username=admin&password=password".to_vec();
    let sent = Some(("application/x-www-form-urlencoded", body));
    let reply = caller(gateway).send(reqwest::Method::POST, "/api/v1/auth/login", sent).await;
    assert_error(&reply, 415, "Unsupported Media Type");
}

#[tokio::test]
async fn a_doubled_slash_and_a_trailing_slash_reach_the_login() {
    let gateway = shared();
    let client = caller(gateway);
    for path in ["//api/v1/auth/login", "/api/v1/auth/login/"] {
        let body = json!({"username": "admin", "password": "password"});
        client.post(path, body).await.expect(200);
    }
}

#[tokio::test]
async fn a_credential_sent_along_is_not_looked_at() {
    let gateway = shared();
    let client = caller(gateway).bearer("rubbish").key("rubbish");
    try_login(&client, "admin", "password").await.expect(200);
}

#[tokio::test]
async fn a_disabled_account_is_403_but_only_after_the_right_password() {
    let gateway = shared();
    let person = person(&admin(gateway).await, &["USER"]).await;
    operate::disable_in(gateway, "tmws", &person.name);
    let client = caller(gateway);
    let wrong = try_login(&client, &person.name, "not it").await;
    assert_error(&wrong, 401, "Invalid credentials");
    let right = try_login(&client, &person.name, &person.password).await;
    assert_eq!(right.status, 403, "{}", right.text());
    assert_error_shape(&right);
}

#[tokio::test]
async fn a_head_or_get_on_the_login_is_405_with_allow() {
    let gateway = shared();
    let reply = caller(gateway).get("/api/v1/auth/login").await;
    assert_error(&reply, 405, "Method Not Allowed");
    let allow = reply.header("allow").expect("Allow names the methods");
    assert!(allow.contains("POST") && !allow.contains("GET"), "{allow}");
}

#[tokio::test]
async fn a_full_hashing_queue_answers_at_once_in_shape() {
    let windows = r#"limit.tmws-general.windows=["1000000/min"]"#;
    let (permits, queue) = ("hashing.permits=1", "hashing.queue=1");
    let gateway = Gateway::demo(&["--set", windows, "--set", permits, "--set", queue]);
    let tasks: Vec<_> = (0..24)
        .map(|_| {
            let client = caller(&gateway);
            tokio::spawn(async move { try_login(&client, "admin", "password").await })
        })
        .collect();
    let (mut done, mut busy) = (0, 0);
    for task in tasks {
        let reply = task.await.unwrap();
        match reply.status {
            200 => done += 1,
            429 | 503 => {
                assert_error_shape(&reply);
                let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().unwrap();
                assert!(wait >= 1);
                busy += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    assert!(done >= 1 && busy >= 1, "{done} logged in, {busy} turned away");
    // Being turned away is no failed login.
    for _ in 0..3 {
        try_login(&caller(&gateway), "admin", "password").await.expect(200);
    }
}
