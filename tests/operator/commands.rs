//! `user`, `key`, `session`, `config`, `status`, `reload`, `completions` against the running process.

use serde_json::Value;

use crate::{
    setting::{configuration, gateway},
    support::{
        gateway::{Gateway, run, said, succeeded},
        operate,
        tmws::{GOOD_PASSWORD, caller, fresh_name, login, refresh, try_login},
        upstream::Upstream,
    },
};

const TASKS: &str = "/api/v1/tasks";

fn rows<'a>(answer: &'a Value, key: &str) -> &'a Vec<Value> {
    answer[key].as_array().unwrap_or_else(|| panic!("no list {key:?} in {answer}"))
}

#[tokio::test]
async fn an_account_made_without_a_password_gets_one_told_once() {
    let name = fresh_name();
    let made = gateway().cli_json(&["user", "add", &name, "--email", "made@example.org"]);
    let password = made["generated_password"].as_str().expect("a password");
    assert_eq!(made["user"]["username"], name);
    assert_eq!(made["user"]["roles"][0], "USER");
    login(&caller(gateway()), &name, password).await;
    let listed = gateway().cli_json(&["user", "list"]);
    assert!(rows(&listed, "users").iter().any(|user| user["username"] == name), "{listed}");
    assert!(!listed.to_string().contains(password));
}

#[tokio::test]
async fn a_password_comes_over_standard_input_and_must_be_good() {
    let name = fresh_name();
    let add = ["user", "add", &name, "--role", "ADMIN", "--password-stdin"];
    let weak = gateway().cli_with("short\n", &add);
    assert_eq!(weak.status.code(), Some(1), "{}", said(&weak));
    assert!(!said(&weak).contains("short\n"), "{}", said(&weak));
    let made = gateway().cli_with(&format!("{GOOD_PASSWORD}\n"), &add);
    succeeded(&add, &made);
    assert!(!said(&made).contains(GOOD_PASSWORD));
    login(&caller(gateway()), &name, GOOD_PASSWORD).await;
    // Again: the name is taken.
    let again = gateway().cli_with(&format!("{GOOD_PASSWORD}\n"), &add);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("exists"), "{}", said(&again));
}

#[tokio::test]
async fn a_bootstrap_password_may_bypass_the_rule() {
    let name = fresh_name();
    let add = ["user", "add", &name, "--password-stdin", "--bypass-policy"];
    succeeded(&add, &gateway().cli_with("password\n", &add));
    login(&caller(gateway()), &name, "password").await;
}

#[tokio::test]
async fn disabling_holds_for_the_next_request_and_enabling_gives_back() {
    let name = operate::someone(gateway(), "USER");
    let key = operate::add_key(gateway(), &name, &["READ"], Value::Null);
    let tokens = login(&caller(gateway()), &name, GOOD_PASSWORD).await;
    let (by_token, by_key) =
        (caller(gateway()).bearer(&tokens.access), caller(gateway()).key(&key));
    by_token.get(TASKS).await.expect(200);
    by_key.get(TASKS).await.expect(200);

    gateway().cli_ok(&["user", "disable", &name]);
    by_token.get(TASKS).await.expect(401);
    by_key.get(TASKS).await.expect(401);
    try_login(&caller(gateway()), &name, GOOD_PASSWORD).await.expect(403);

    gateway().cli_ok(&["user", "enable", &name]);
    by_key.get(TASKS).await.expect(200);
    by_token.get(TASKS).await.expect(401);
    login(&caller(gateway()), &name, GOOD_PASSWORD).await;
}

#[tokio::test]
async fn a_new_password_ends_sessions_and_lifts_a_lock() {
    let name = operate::someone(gateway(), "USER");
    let client = caller(gateway());
    let tokens = login(&client, &name, GOOD_PASSWORD).await;
    for _ in 0..5 {
        try_login(&client, &name, "wrong").await;
    }
    try_login(&client, &name, GOOD_PASSWORD).await.expect(423);
    let set = gateway().cli_json(&["user", "passwd", &name]);
    let password = set["generated_password"].as_str().expect("a password");
    client.bearer(&tokens.access).get(TASKS).await.expect(401);
    refresh(&client, &tokens.refresh).await.expect(401);
    login(&client, &name, password).await;
}

#[tokio::test]
async fn new_roles_end_sessions_and_hold() {
    let name = operate::someone(gateway(), "USER");
    let client = caller(gateway());
    let tokens = login(&client, &name, GOOD_PASSWORD).await;
    gateway().cli_ok(&["user", "roles", &name, "READONLY"]);
    client.bearer(&tokens.access).get(TASKS).await.expect(401);
    let tokens = login(&client, &name, GOOD_PASSWORD).await;
    let client = client.bearer(&tokens.access);
    client.get(TASKS).await.expect(200);
    client.post(TASKS, serde_json::json!({})).await.expect(403);
    let unknown = gateway().cli(&["user", "roles", &name, "EMPEROR"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));
}

#[tokio::test]
async fn keys_are_made_listed_revoked_and_rotated() {
    let owner = operate::someone(gateway(), "USER");
    let made = gateway().cli_json(&[
        "key",
        "create",
        "--owner",
        &owner,
        "By command",
        "--scope",
        "read",
        "--scope",
        "TASKS",
        "--expires-days",
        "7",
        "--allow-ip",
        "127.0.0.0/8",
        "--rate-limit-per-hour",
        "1000",
    ]);
    let text = made["api_key"].as_str().unwrap();
    let id = made["key"]["id"].as_str().unwrap();
    assert_eq!(text.split('.').next(), Some(id));
    let client = caller(gateway()).key(text);
    client.get(TASKS).await.expect(200);

    let rotated = gateway().cli_json(&["key", "rotate", id, "--overlap", "60"]);
    let new = rotated["api_key"].as_str().unwrap();
    let new_id = rotated["key"]["id"].as_str().unwrap();
    client.get(TASKS).await.expect(200);
    caller(gateway()).key(new).get(TASKS).await.expect(200);

    for id in [id, new_id] {
        gateway().cli_ok(&["key", "revoke", id]);
    }
    client.get(TASKS).await.expect(401);
    caller(gateway()).key(new).get(TASKS).await.expect(401);
    let listed = gateway().cli_json(&["key", "list"]);
    let row = rows(&listed, "keys").iter().find(|row| row["id"] == id).expect("listed");
    assert_eq!(row["active"], false);
    assert_eq!(row["scopes"].as_array().unwrap().len(), 2);
    let secret = text.split_once('.').unwrap().1;
    assert!(!listed.to_string().contains(secret));
}

#[tokio::test]
async fn the_operator_cannot_grant_what_the_owner_has_not() {
    let owner = operate::someone(gateway(), "READONLY");
    let output =
        gateway().cli(&["key", "create", "--owner", &owner, "Too much", "--scope", "WRITE"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn a_mount_whose_keys_are_not_the_operators_to_make_says_so() {
    let gateway = Gateway::demo(&[]);
    for (mount, owner, why) in [
        ("inkpass", "owner@example.com", "Members of an organisation make the keys of this mount"),
        ("bearer", "alice@example.com", "This mount's contract has no API keys"),
    ] {
        let output = gateway.cli(&[
            "key",
            "create",
            "--mount",
            mount,
            "--owner",
            owner,
            "Any",
            "--scope",
            "files:read",
        ]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_session_is_listed_and_ended() {
    let name = operate::someone(gateway(), "USER");
    let client = caller(gateway());
    let (one, two) =
        (login(&client, &name, GOOD_PASSWORD).await, login(&client, &name, GOOD_PASSWORD).await);
    let listed = gateway().cli_json(&["session", "list", "--user", &name]);
    let sessions = rows(&listed, "sessions");
    assert_eq!(sessions.len(), 2, "{listed}");
    for token in [&one.refresh, &two.refresh, &one.access] {
        assert!(!listed.to_string().contains(token.as_str()));
    }
    for session in sessions {
        gateway().cli_ok(&["session", "end", session["id"].as_str().unwrap()]);
    }
    for tokens in [&one, &two] {
        client.bearer(&tokens.access).get(TASKS).await.expect(401);
        refresh(&client, &tokens.refresh).await.expect(401);
    }
    let left = gateway().cli_json(&["session", "list", "--user", &name]);
    assert!(rows(&left, "sessions").is_empty(), "{left}");
}

#[test]
fn unknown_things_are_named_and_the_exit_code_is_1() {
    for arguments in [
        &["user", "disable", "nobody-of-that-name"][..],
        &["key", "revoke", "tmws_key_nosuchkey"],
        &["session", "end", "no-such-session"],
        &["user", "list", "--realm", "elsewhere"],
    ] {
        let output = gateway().cli(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    for arguments in [&["nonsense"][..], &["user"], &["user", "add"], &["serve", "--nonsense"]] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["user", "add", "--help"], &["--version"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn tables_are_for_people() {
    let text = gateway().cli_ok(&["user", "list"]);
    assert!(text.contains(operate::ADMIN), "{text}");
    assert!(serde_json::from_str::<Value>(&text).is_err(), "no JSON unless asked: {text}");
}

#[test]
fn the_effective_configuration_shows_defaults_and_hides_secrets() {
    let text = gateway().cli_ok(&["config", "show", "--effective"]);
    let parsed: toml::Table = text.parse().unwrap_or_else(|e| panic!("no TOML: {e}\n{text}"));
    assert!(parsed.contains_key("hashing") && parsed.contains_key("limit"), "{text}");
    assert!(text.contains("access_token_lifetime"), "defaults of the contract are shown");
    assert!(text.contains("file:"), "secrets are references");
    assert!(!text.contains(crate::support::conf::OPERATOR_TOKEN));
    // It is a configuration that says the same.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("effective.toml");
    std::fs::write(&file, &text).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn status_and_reload_speak_to_the_running_process() {
    let status = gateway().cli_json(&["status"]);
    assert_eq!(status["status"], "ready");
    assert_eq!(status["config"], "current");
    assert_eq!(status["store"], "healthy");
    let text = gateway().cli_ok(&["reload"]);
    assert!(text.contains(status["config_hash"].as_str().unwrap()), "the same file: {text}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("portcullis"), "{shell}");
    }
}

#[tokio::test]
async fn without_a_gateway_the_commands_work_on_the_store_themselves() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream).text());
    let places = gateway.places.clone();
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    gateway.stop();
    let name = fresh_name();
    let made = gateway.cli_json(&["user", "add", &name]);
    let password = made["generated_password"].as_str().unwrap().to_owned();
    let key = gateway.cli_json(&["key", "create", "--owner", &name, "Offline", "--scope", "READ"]);
    assert!(
        rows(&gateway.cli_json(&["user", "list"]), "users").iter().any(|u| u["username"] == name)
    );
    let unreachable = gateway.cli(&["status"]);
    assert_eq!(unreachable.status.code(), Some(3), "{}", said(&unreachable));

    let again = Gateway::start_in(&places, &text);
    login(&caller(&again), &name, &password).await;
    caller(&again).key(key["api_key"].as_str().unwrap()).get(TASKS).await.expect(200);
}

#[test]
fn a_file_with_faults_keeps_no_command_from_the_running_process() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream).text());
    let name = fresh_name();
    gateway.cli_ok(&["user", "add", &name]);
    let good = std::fs::read_to_string(&gateway.config).unwrap();
    for fault in ["\nbogus = 1\n", "\nx = = 1\n[[\n"] {
        std::fs::write(&gateway.config, format!("{good}{fault}")).unwrap();
        let refused = gateway.cli(&["reload"]);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert_eq!(gateway.cli_json(&["status"])["config"], "stale");
        gateway.cli_ok(&["user", "disable", &name]);
    }
    gateway.stop();
    // Nobody runs: the faults are what there is to say.
    let refused = gateway.cli(&["user", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("not valid TOML"), "{}", said(&refused));
}

#[test]
fn an_unknown_account_is_named() {
    for arguments in [
        ["user", "disable", "nobody-here"].as_slice(),
        &["key", "create", "k1", "--owner", "nobody-here", "--scope", "READ"],
        &["session", "list", "--user", "nobody-here"],
    ] {
        let output = gateway().cli(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(said(&output).contains("no account \"nobody-here\""), "{}", said(&output));
    }
}

#[tokio::test]
async fn the_audit_log_is_exported_in_parts_that_fit_together() {
    let gateway = Gateway::demo(&[]);
    for _ in 0..3 {
        let client = crate::support::tmws::caller(&gateway);
        crate::support::tmws::try_login(&client, "nobody", "wrong").await;
    }
    let lines = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&gateway.cli_ok(&["audit", "export"]));
    assert!(all.len() > 3);
    for (place, event) in all.iter().enumerate() {
        assert_eq!(event["seq"].as_u64(), Some(place as u64 + 1), "oldest first, without gaps");
        assert!(event["hash"].as_str().is_some_and(|hash| hash.len() == 64), "{event}");
    }
    assert!(all.iter().filter(|event| event["event_type"] == "LOGIN_FAILED").count() >= 3);
    let rest = lines(&gateway.cli_ok(&["audit", "export", "--after", "2"]));
    assert_eq!(rest[..], all[2..all.len()]);
    assert_eq!(gateway.cli_ok(&["audit", "export", "--until", "2020-01-01"]), "");
    assert_eq!(lines(&gateway.cli_ok(&["audit", "export", "--since", "2020-01-01"])), all);
    let odd = gateway.cli(&["audit", "export", "--since", "yesterday"]);
    assert!(!odd.status.success());
    assert!(gateway.cli_ok(&["audit", "verify"]).contains("whole"));
}
