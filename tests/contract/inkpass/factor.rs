//! `/api/v1/auth/2fa/…`, and the code at login.

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::support::{
    inkpass::{PASSWORD, Person, World, assert_error, assert_invalid, shared},
    wire::Reply,
};

/// The code of the step `ahead` of now, as an app shows it.
fn code(secret: &str, ahead: i64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    totp.generate(now.as_secs().saturating_add_signed(ahead * 30)).to_string()
}

async fn setup(who: &Person) -> Value {
    who.client.post("/api/v1/auth/2fa/setup", json!({})).await.expect(200).json()
}

/// Switches it on; the seed and the backup codes. The code of this step is spent.
async fn enabled(who: &Person) -> (String, Vec<String>) {
    let secret = setup(who).await["secret"].as_str().unwrap().to_owned();
    let body = json!({"secret": secret, "verification_code": code(&secret, -1)});
    let made = who.client.post("/api/v1/auth/2fa/enable", body).await.expect(200).json();
    let codes = made["backup_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn login(world: &World, who: &Person, code: Option<&str>) -> Reply {
    let mut body = json!({"email": who.email, "password": PASSWORD});
    if let Some(code) = code {
        body["two_fa_code"] = code.into();
    }
    world.caller().post("/api/v1/auth/login", body).await
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_it_is_on() {
    let world = shared();
    let owner = world.owner().await;
    let prepared = setup(&owner).await;
    let uri = prepared["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Acme:"), "{uri}");
    assert!(uri.contains(prepared["secret"].as_str().unwrap()));
    assert!(prepared["qr_code"].as_str().unwrap().starts_with("data:image/"));
    login(world, &owner, None).await.expect(200);

    let (secret, _) = enabled(&owner).await;
    let me = owner.client.get("/api/v1/auth/me").await.expect(200).json();
    assert_eq!(me["two_fa_enabled"], true);
    assert_error(&login(world, &owner, None).await, 401, "2FA code required");
    assert_error(&login(world, &owner, Some("")).await, 401, "2FA code required");
    assert_error(&login(world, &owner, Some("000000")).await, 401, "Invalid 2FA code");
    let now = code(&secret, 0);
    login(world, &owner, Some(&now)).await.expect(200);
    assert_error(&login(world, &owner, Some(&now)).await, 401, "Invalid 2FA code");
    let body = json!({"email": owner.email, "password": "wrong", "two_fa_code": code(&secret, 1)});
    let reply = world.caller().post("/api/v1/auth/login", body).await;
    assert_error(&reply, 401, "Invalid email or password");
    login(world, &owner, Some(&code(&secret, 1))).await.expect(200);
}

#[tokio::test]
async fn of_many_at_once_one_takes_a_code() {
    let world = shared();
    let owner = world.owner().await;
    let (secret, backup) = enabled(&owner).await;
    for code in [code(&secret, 0), backup[0].clone()] {
        // Three at once: the two wrong ones of each stay below the limit on guesses.
        let tries = (0..3).map(|_| login(world, &owner, Some(&code)));
        let mut good = 0;
        for reply in futures(tries).await {
            match reply.status {
                200 => good += 1,
                _ => assert_error(&reply, 401, "Invalid 2FA code"),
            }
        }
        assert_eq!(good, 1);
    }
}

async fn futures(tries: impl Iterator<Item = impl Future<Output = Reply>>) -> Vec<Reply> {
    let mut done = Vec::new();
    let mut tries: Vec<_> = tries.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        tries.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(reply) => {
                done.push(reply);
                false
            }
            std::task::Poll::Pending => true,
        });
        if tries.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn backup_codes_are_good_once_and_can_be_replaced() {
    let world = shared();
    let owner = world.owner().await;
    let (secret, backup) = enabled(&owner).await;
    assert!(backup.len() >= 8);
    login(world, &owner, Some(&backup[0].to_uppercase())).await.expect(200);
    assert_error(&login(world, &owner, Some(&backup[0])).await, 401, "Invalid 2FA code");
    let path = "/api/v1/auth/2fa/backup-codes";
    let body = json!({"code": code(&secret, 0)});
    let made = owner.client.post(path, body).await.expect(200).json();
    assert_error(&login(world, &owner, Some(&backup[1])).await, 401, "Invalid 2FA code");
    let fresh = made["backup_codes"][0].as_str().unwrap();
    login(world, &owner, Some(fresh)).await.expect(200);
    let all = world.gateway.output();
    assert!(!all.contains(&secret) && !all.contains(fresh) && !all.contains(&backup[2]));
}

#[tokio::test]
async fn a_code_is_verified_and_switches_the_factor_off() {
    let world = shared();
    let owner = world.owner().await;
    let post = async |what: &str, body: Value| {
        owner.client.post(&format!("/api/v1/auth/2fa/{what}"), body).await
    };
    let off = "2FA is not enabled";
    assert_error(&post("verify", json!({"code": "123456"})).await, 400, off);
    assert_error(
        &post("enable", json!({"secret": "A", "verification_code": "123456"})).await,
        400,
        off,
    );
    let (secret, backup) = enabled(&owner).await;
    assert_error(&post("setup", json!({})).await, 400, "2FA is already enabled");
    let bad = "Invalid 2FA code";
    assert_error(&post("verify", json!({"code": "000000"})).await, 400, bad);
    let now = code(&secret, 0);
    post("verify", json!({ "code": now })).await.expect(200);
    assert_error(&post("verify", json!({ "code": now })).await, 400, bad);
    assert_invalid(&post("disable", json!({})).await, &["body", "code"]);
    assert_error(&post("disable", json!({ "code": now })).await, 400, bad);
    login(world, &owner, Some(&backup[0])).await.expect(200);
    post("disable", json!({"code": backup[1]})).await.expect(200);
    login(world, &owner, None).await.expect(200);
    for what in ["setup", "enable", "verify", "disable", "backup-codes"] {
        let path = format!("/api/v1/auth/2fa/{what}");
        let reply = world.caller().post(&path, json!({})).await;
        assert_error(&reply, 401, "Authentication required");
    }
}

#[tokio::test]
async fn the_seed_that_is_switched_on_is_the_prepared_one() {
    let world = shared();
    let owner = world.owner().await;
    let first = setup(&owner).await["secret"].as_str().unwrap().to_owned();
    let second = setup(&owner).await["secret"].as_str().unwrap().to_owned();
    let body = json!({"secret": first, "verification_code": code(&first, 0)});
    let reply = owner.client.post("/api/v1/auth/2fa/enable", body).await;
    assert_error(&reply, 400, "Invalid 2FA code");
    let body = json!({"secret": second, "verification_code": code(&second, 0)});
    owner.client.post("/api/v1/auth/2fa/enable", body).await.expect(200);
}

#[tokio::test]
async fn guesses_run_into_a_limit_wherever_they_come_from() {
    let world = shared();
    let owner = world.owner().await;
    let (secret, _) = enabled(&owner).await;
    for _ in 0..5 {
        assert_error(&login(world, &owner, Some("000000")).await, 401, "Invalid 2FA code");
    }
    let reply = login(world, &owner, Some(&code(&secret, 0))).await;
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn the_operator_switches_it_off_for_who_lost_everything() {
    let world = shared();
    let owner = world.owner().await;
    let (_, backup) = enabled(&owner).await;
    assert_error(&login(world, &owner, None).await, 401, "2FA code required");
    let said = world.gateway.cli_ok(&["user", "reset-factor", &owner.email]);
    assert!(said.contains("switched off"), "{said}");
    login(world, &owner, None).await.expect(200);
    let me = owner.client.get("/api/v1/auth/me").await.expect(200).json();
    assert_eq!(me["two_fa_enabled"], false);
    // The old backup codes open nothing once it is on again.
    let (_, fresh) = enabled(&owner).await;
    assert_error(&login(world, &owner, Some(&backup[0])).await, 401, "Invalid 2FA code");
    login(world, &owner, Some(&fresh[0])).await.expect(200);
    let unknown = world.gateway.cli(&["user", "reset-factor", "nobody@example.org"]);
    assert!(!unknown.status.success());
}
