//! Access tokens: their claims, and everything that must not pass for one.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    tmws::{
        NO_GENERAL_LIMIT, Tokens, assert_error, caller, login, refresh, shared, try_login, user,
    },
    wait,
};

const TASKS: &str = "/api/v1/tasks";

fn part(token: &str, number: usize) -> Value {
    let text = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&B64.decode(text).unwrap()).unwrap()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A token with our header and claims, signed with a key of our own making.
fn forged(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", B64.encode(tag.as_ref()))
}

#[tokio::test]
async fn the_header_and_claims_are_the_contracts() {
    let (person, _, tokens) = user(shared()).await;
    assert_eq!(part(&tokens.access, 0), json!({"alg": "HS256", "typ": "JWT"}));
    let raw = tokens.access.split('.').next().unwrap();
    assert_eq!(raw, B64.encode(r#"{"alg":"HS256","typ":"JWT"}"#), "as the guide's sample");

    let claims = part(&tokens.access, 1);
    assert_eq!(claims["iss"], "tmws-auth-service");
    assert_eq!(claims["aud"], "tmws-api");
    assert_eq!(claims["sub"], person.id);
    assert_eq!(claims["username"], person.name);
    assert_eq!(claims["email"], person.email);
    assert_eq!(claims["roles"], json!(["USER"]));
    assert!(claims.as_object().unwrap().contains_key("agent_namespace"), "{claims}");
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(exp - iat, 3600);
    assert!((now() - iat).abs() <= 5);
}

#[tokio::test]
async fn exp_agrees_with_expires_in_within_a_second() {
    let before = now();
    let reply = try_login(&caller(shared()), "admin", "password").await;
    let after = now();
    let tokens = Tokens::of(&reply);
    let exp = part(&tokens.access, 1)["exp"].as_i64().unwrap();
    let promised = reply.int("expires_in");
    assert!(exp >= before + promised - 1 && exp <= after + promised + 1);
}

// requirement: 1, 3
#[tokio::test]
async fn a_tampered_token_is_401() {
    let (_, client, tokens) = user(shared()).await;
    // Known by now: a token vouches for nothing but its very own text.
    client.get(TASKS).await.expect(200);
    let parts: Vec<&str> = tokens.access.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let mut mightier = part(&tokens.access, 1);
    mightier["roles"] = json!(["SUPER_ADMIN"]);
    let mightier = B64.encode(mightier.to_string());
    let none = B64.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let none_odd = B64.encode(r#"{"alg":"nOnE"}"#);
    let hs512 = B64.encode(r#"{"alg":"HS512","typ":"JWT"}"#);
    let crit = B64.encode(r#"{"alg":"HS256","typ":"JWT","crit":["b64"],"b64":false}"#);
    let mut flipped = signature.as_bytes().to_vec();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for token in [
        format!("{header}.{mightier}.{signature}"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{none_odd}.{mightier}."),
        format!("{hs512}.{claims}.{signature}"),
        format!("{crit}.{claims}.{signature}"),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}=.{claims}.{signature}"),
        tokens.refresh.clone(),
        "a.b.c".to_owned(),
        "x".repeat(8_000),
    ] {
        let reply = caller(shared()).bearer(&token).get(TASKS).await;
        assert_error(&reply, 401, "Could not validate credentials");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_401_and_not_expired() {
    let (person, _, tokens) = user(shared()).await;
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let mut claims = part(&tokens.access, 1);
    for secret in [&b""[..], b"secret", b"your-secret-key", person.id.as_bytes()] {
        let token = forged(&header, &claims, secret);
        let reply = caller(shared()).bearer(&token).get(TASKS).await;
        assert_error(&reply, 401, "Could not validate credentials");
    }
    // Expired is told apart only after the signature verified.
    claims["exp"] = json!(now() - 10_000);
    let reply = caller(shared()).bearer(&forged(&header, &claims, b"secret")).get(TASKS).await;
    assert_error(&reply, 401, "Could not validate credentials");
}

#[tokio::test]
async fn a_token_of_another_gateway_is_401() {
    let other = Gateway::demo(&NO_GENERAL_LIMIT);
    let tokens = login(&caller(&other), "admin", "password").await;
    let reply = caller(shared()).bearer(&tokens.access).get(TASKS).await;
    assert_error(&reply, 401, "Could not validate credentials");
    refresh(&caller(shared()), &tokens.refresh).await.expect(401);
    caller(shared())
        .key(other.facts["api_keys"]["tmws"].as_str().unwrap())
        .get(TASKS)
        .await
        .expect(401);
}

#[tokio::test]
async fn an_expired_token_says_so_and_a_refresh_helps() {
    let mut arguments = NO_GENERAL_LIMIT.to_vec();
    arguments.extend_from_slice(&["--set", "mount.tmws.access_token_lifetime=3s"]);
    let gateway = Gateway::demo(&arguments);
    // On a busy machine three seconds may pass before the first use.
    let (tokens, client) = wait::until("a token is used in time", || async {
        let reply = try_login(&caller(&gateway), "admin", "password").await;
        assert_eq!(reply.int("expires_in"), 3);
        let tokens = Tokens::of(&reply);
        let client = caller(&gateway).bearer(&tokens.access);
        (client.get(TASKS).await.status == 200).then_some((tokens, client))
    })
    .await;
    let refused = wait::until("the token expires", || async {
        let reply = client.get(TASKS).await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    assert_error(&refused, 401, "Token expired");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    let exp = part(&tokens.access, 1)["exp"].as_i64().unwrap();
    assert!(now() >= exp, "not before its end");

    let mut token = tokens.refresh;
    for attempt in 0.. {
        let fresh = Tokens::of(&refresh(&caller(&gateway), &token).await);
        if caller(&gateway).bearer(&fresh.access).get(TASKS).await.status == 200 {
            break;
        }
        assert!(attempt < 10, "a refreshed token is never good");
        token = fresh.refresh;
    }
}

#[tokio::test]
async fn a_restart_on_the_same_folder_logs_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let first = Gateway::demo_in(&dir, &NO_GENERAL_LIMIT);
    let tokens = login(&caller(&first), "admin", "password").await;
    let gone = login(&caller(&first), "admin", "password").await;
    let leaving = caller(&first).bearer(&gone.access);
    leaving.post("/api/v1/auth/logout", json!({})).await.expect(200);
    let old_key = first.facts["api_keys"]["tmws"].as_str().unwrap().to_owned();
    first.stop();
    drop(first);

    let second = Gateway::demo_in(&dir, &NO_GENERAL_LIMIT);
    caller(&second).bearer(&tokens.access).get(TASKS).await.expect(200);
    refresh(&caller(&second), &tokens.refresh).await.expect(200);
    let dead = caller(&second).bearer(&gone.access).get(TASKS).await;
    assert_error(&dead, 401, "Could not validate credentials");
    let new_key = second.facts["api_keys"]["tmws"].as_str().unwrap();
    assert_ne!(new_key, old_key, "a new key at every start");
    caller(&second).key(new_key).get(TASKS).await.expect(200);
    caller(&second).key(&old_key).get(TASKS).await.expect(200);
}
