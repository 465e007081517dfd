//! Login: what it gives, in both casings, and what it refuses.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::shared;
use crate::support::{
    archon::{PASSWORD, assert_error, bare, caller, data, login, person, try_login, user},
    gateway::Gateway,
    tmws::fresh_name,
    upstream::Upstream,
};

/// The part of a token with this number.
fn part(token: &Value, number: usize) -> Value {
    let text = token.as_str().unwrap().split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_has_every_field_in_both_casings() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let reply = try_login(&caller(gateway), &email, PASSWORD).await.expect(200);
    let data = data(&reply);
    for (snake, camel) in [
        ("access_token", "accessToken"),
        ("refresh_token", "refreshToken"),
        ("expires_in", "expiresIn"),
        ("session_id", "sessionId"),
        ("token_type", "tokenType"),
    ] {
        assert!(!data[snake].is_null(), "{snake}: {data}");
        assert_eq!(data[snake], data[camel], "{snake}");
    }
    assert_eq!((&data["token_type"], data["expires_in"].as_i64()), (&json!("Bearer"), Some(3600)));
    assert!(data["session_id"].as_str().unwrap().starts_with("sess_"));
    let user = &data["user"];
    assert_eq!((&user["email"], &user["name"]), (&json!(email), &json!("Ada Lovelace")));
    assert_eq!(user["roles"], json!(["user"]), "a list of texts");
    assert_eq!((&user["is_active"], &user["isActive"]), (&json!(true), &json!(true)));
    assert!(user["last_login"].as_str().unwrap().ends_with('Z'));
    let performance = &reply.json()["meta"]["performance"];
    assert!(performance["response_time_ms"].is_u64() && performance["cache_hit"].is_boolean());
}

#[tokio::test]
async fn tokens_have_the_claims_of_the_contract() {
    let gateway = &shared().gateway;
    let (email, _, data) = user(gateway, "user").await;
    let header = part(&data["access_token"], 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
    let kid = header["kid"].as_str().unwrap();
    let claims = part(&data["access_token"], 1);
    for (name, value) in [
        ("iss", json!("archon-auth-service")),
        ("aud", json!("archon-api")),
        ("type", json!("access")),
        ("email", json!(email)),
        ("roles", json!(["user"])),
        // What an operator hands out with `policy.role_scopes`; the contract names none.
        ("permissions", json!([])),
        ("agent_capabilities", json!(["code_implementer"])),
        ("session_id", data["session_id"].clone()),
        ("sub", data["user"]["id"].clone()),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let refresh = part(&data["refresh_token"], 1);
    assert_eq!((&refresh["type"], &refresh["sub"]), (&json!("refresh"), &claims["sub"]));
    assert_eq!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(), 7 * 86_400);
    let keys = caller(gateway).get("/.well-known/jwks.json").await.expect(200).json();
    let published = keys["keys"].as_array().unwrap();
    assert!(published.iter().any(|key| key["kid"] == kid && key["kty"] == "RSA"), "{keys}");
    assert!(published.iter().all(|key| key.get("d").is_none()));
}

#[tokio::test]
async fn permissions_are_what_the_operator_gives_to_roles() {
    let upstream = Upstream::start();
    let scopes = "policy = { role_scopes = { user = [\"read:profile\", \"create:tasks\"] } }\n";
    let gateway = Gateway::start(|places| bare(places, &upstream.url(), scopes));
    let (_, _, data) = user(&gateway, "user").await;
    let claims = part(&data["access_token"], 1);
    assert_eq!(claims["permissions"], json!(["read:profile", "create:tasks"]));
    let (_, _, data) = user(&gateway, "guest").await;
    assert_eq!(part(&data["access_token"], 1)["permissions"], json!([]));
}

#[tokio::test]
async fn the_cookie_is_read_by_the_sdk_as_text() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    for (remember, age, days) in [(false, 86_400, 7), (true, 604_800, 30)] {
        let body = json!({ "email": email, "password": PASSWORD, "rememberMe": remember });
        let reply = caller(gateway).post("/auth/login", body).await.expect(200);
        let cookies = reply.all("set-cookie");
        assert_eq!(cookies.len(), 1, "one cookie per line");
        // As the SDK does it: the line begins with the name, and the value ends at the next `=`.
        let value = cookies[0].strip_prefix("refresh_token=").expect("trap 7");
        let value = value.split(';').next().unwrap();
        assert!(!value.contains(['=', '"']), "{value}");
        assert_eq!(reply.json()["data"]["refresh_token"], value);
        for flag in ["HttpOnly", "SameSite=Strict", "Path=/", &format!("Max-Age={age}")] {
            assert!(cookies[0].split("; ").any(|own| own == flag), "{flag}: {}", cookies[0]);
        }
        assert!(!cookies[0].contains("Secure"), "switched off for this test");
        let claims = part(&json!(value), 1);
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life, days * 86_400);
    }
}

#[tokio::test]
async fn snake_strict_callers_get_snake_case_only() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let python = caller(gateway).with("User-Agent", "ArchonAuthClient-Python/2.0.0");
    let own = login(&python, &email).await;
    assert!(own.get("accessToken").is_none() && own["user"].get("isActive").is_none());
    // Or the login itself was written so; then the whole session is read so.
    let client = caller(gateway);
    let body = json!({ "email": email, "password": PASSWORD, "device_info": {"device_id": "d"} });
    let own = data(&client.post("/auth/login", body).await);
    assert!(own.get("sessionId").is_none());
    let me = data(&client.bearer(own["access_token"].as_str().unwrap()).get("/users/me").await);
    assert_eq!(me.as_object().unwrap().len(), 8, "exactly the eight keys of trap 2: {me}");
}

#[tokio::test]
async fn all_three_prefixes_are_one_mount() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let client = caller(gateway);
    for prefix in ["", "/v2", "/api/v2"] {
        let body = json!({ "email": email, "password": PASSWORD });
        let own = data(&client.post(&format!("{prefix}/auth/login"), body).await);
        let bearer = client.bearer(own["accessToken"].as_str().unwrap());
        for other in ["", "/v2", "/api/v2", "/v2/", "//v2"] {
            let path = format!("{}/users/me", other.trim_end_matches('/'));
            assert_eq!(bearer.get(&path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn a_refused_login_is_late_and_says_no_more_than_it_must() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let wrong = |email: String| async move {
        let started = Instant::now();
        let reply = try_login(&caller(gateway), &email, "wrong").await;
        assert!(started.elapsed() >= Duration::from_millis(500), "answered at once");
        assert_error(&reply, 401, "AUTH_INVALID_CREDENTIALS");
        reply.json()["error"]["message"].clone()
    };
    let known = wrong(email).await;
    assert_eq!(known, wrong("nobody@example.org".into()).await);
}

#[tokio::test]
async fn a_disabled_account_looks_like_a_wrong_password() {
    let gateway = &shared().gateway;
    let (email, _, own) = user(gateway, "user").await;
    let admin = user(gateway, "admin").await.1;
    let path = format!("/admin/users/{}", own["user"]["id"].as_str().unwrap());
    data(&admin.put(&path, json!({ "is_active": false })).await);
    let reply = try_login(&caller(gateway), &email, PASSWORD).await;
    assert_error(&reply, 401, "AUTH_INVALID_CREDENTIALS");
}

#[tokio::test]
async fn creation_rules_never_apply_and_fields_are_told_by_name() {
    let gateway = &shared().gateway;
    let client = caller(gateway);
    let reply = try_login(&client, "nobody@example.org", "x").await;
    assert_error(&reply, 401, "AUTH_INVALID_CREDENTIALS");
    let reply = client.post("/auth/login", json!({ "email": 7, "rememberMe": "x" })).await;
    assert_error(&reply, 400, "VALIDATION_ERROR");
    let details = &reply.json()["error"]["details"];
    for field in ["email", "password", "remember_me"] {
        assert!(details[field].is_string(), "{field}: {details}");
    }
    let both = json!({
        "email": "a@b.c", "password": "x", "remember_me": true, "rememberMe": false,
    });
    assert_error(&client.post("/auth/login", both).await, 400, "VALIDATION_ERROR");
    let same = json!({
        "email": "a@b.c", "password": "x", "remember_me": true, "rememberMe": true, "unknown": 1,
    });
    assert_error(&client.post("/auth/login", same).await, 401, "AUTH_INVALID_CREDENTIALS");
}

#[tokio::test]
async fn after_five_failures_the_account_is_locked_for_a_while() {
    let gateway = &shared().gateway;
    let email = person(gateway, &["user"]);
    let stranger = format!("{}@example.org", fresh_name());
    for email in [&email, &stranger] {
        // The one that locks is a wrong password too; who has no account is told the same.
        for left in (0..5).rev() {
            let reply = try_login(&caller(gateway), email, "wrong").await;
            assert_error(&reply, 401, "AUTH_INVALID_CREDENTIALS");
            let details = &reply.json()["error"]["details"];
            assert_eq!(details["attempts_remaining"], left, "{details}");
            assert_eq!(details["lockout_duration"], 900, "{details}");
        }
    }
    let reply = try_login(&caller(gateway), &email, PASSWORD).await;
    assert_error(&reply, 429, "RATE_LIMIT_EXCEEDED");
    let details = &reply.json()["error"]["details"];
    assert!(details["lockout_duration"].as_i64().is_some_and(|left| left > 800), "{details}");
    assert_eq!(details["attempts_remaining"], 0);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 800);
}
