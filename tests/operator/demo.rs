//! `portcullis demo`: what it prints, where it keeps things, how it ends.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{
    setting::configuration,
    support::{
        client::Client,
        gateway::{BINARY, Gateway, run, said, signal},
        ports,
        tmws::{caller, login},
        upstream::Upstream,
        wait, wire,
    },
};

#[tokio::test]
async fn the_line_has_everything_a_program_needs() {
    let gateway = Gateway::demo(&[]);
    let facts = &gateway.facts;
    assert_eq!(facts["ready"], true);
    assert_eq!(facts["pid"].as_u64(), Some(u64::from(gateway.pid)));
    for pointer in ["/dir", "/config", "/operator/socket", "/mail_dir"] {
        let path = facts.pointer(pointer).and_then(Value::as_str).expect(pointer);
        assert!(std::path::Path::new(path).exists(), "{pointer}: {path}");
    }
    for pointer in ["/operator/url", "/mounts/tmws/url", "/upstream/url"] {
        let url = facts.pointer(pointer).and_then(Value::as_str).expect(pointer);
        assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with('/'), "{url}");
    }
    let port = |pointer: &str| -> u32 {
        let url = facts.pointer(pointer).and_then(Value::as_str).unwrap();
        url.rsplit(':').next().unwrap().parse().unwrap()
    };
    let offset = port("/mounts/tmws/url") - 8000;
    assert_eq!(port("/operator/url"), 9901 + offset);
    assert_eq!(port("/upstream/url"), 9900 + offset);
    assert!(facts["mounts"]["tmws"]["realm"].is_string());

    let accounts = facts["accounts"]["tmws"].as_array().unwrap();
    let admin = accounts.iter().find(|account| account["username"] == "admin").unwrap();
    assert_eq!(admin["password"], "password");
    assert_eq!(admin["roles"], serde_json::json!(["SUPER_ADMIN"]));
    for account in accounts {
        let text = |field: &str| account[field].as_str().unwrap().to_owned();
        login(&caller(&gateway), &text("username"), &text("password")).await;
        assert!(text("email").contains('@'));
    }
    let key = facts["api_keys"]["tmws"].as_str().unwrap();
    caller(&gateway).key(key).get("/api/v1/tasks").await.expect(200);
    let token = facts["operator"]["token"].as_str().unwrap();
    gateway.operator().get("/v1/status").await.expect(200);
    Client::at(&gateway.operator_url()).bearer(token).get("/metrics").await.expect(200);

    caller(&gateway).get("/health").await.expect(200);
    assert_eq!(
        gateway.stdout.all().len(),
        1,
        "one line, whatever happens: {:?}",
        gateway.stdout.all()
    );
    let stderr = gateway.stderr.text().to_lowercase();
    assert!(stderr.contains("demo"), "it says loudly what it is");
    assert!(gateway.stop().success());
    assert_eq!(gateway.stdout.all().len(), 1);
}

#[tokio::test]
async fn letters_lie_in_the_folder_that_the_line_names() {
    let gateway = Gateway::demo(&[]);
    let folder = gateway.facts["mail_dir"].as_str().unwrap();
    let bearer = Client::at(gateway.facts["mounts"]["bearer"]["url"].as_str().unwrap());
    let body = serde_json::json!({ "email": "alice@example.com" });
    bearer.post("/auth/forgot-password", body).await.expect(202);
    wait::until("the letter", || async {
        let mut letters = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
        letters.find(|letter| {
            std::fs::read_to_string(letter.path()).is_ok_and(|text| text.contains("alice@example"))
        })
    })
    .await;
}

#[tokio::test]
async fn the_receiver_writes_down_what_a_check_of_the_signature_needs() {
    let gateway = Gateway::demo(&[]);
    let facts = &gateway.facts;
    let archon = Client::at(facts["mounts"]["archon"]["url"].as_str().unwrap());
    let accounts = facts["accounts"]["archon"].as_array().unwrap();
    let is_admin = |found: &&Value| found["roles"] == serde_json::json!(["admin"]);
    let admin = accounts.iter().find(is_admin).unwrap();
    let body = serde_json::json!({ "email": admin["email"], "password": admin["password"] });
    let reply = archon.post("/auth/login", body).await.expect(200).json();
    let admin = archon.bearer(reply["data"]["access_token"].as_str().unwrap());
    let secret = "a-secret-of-the-receiver-of-this-test";
    let url = format!("{}/hook", facts["webhook_receiver"]["url"].as_str().unwrap());
    let hook = serde_json::json!({ "url": url, "events": ["user.logout"], "secret": secret });
    admin.post("/webhooks", hook).await.expect(201);
    admin.post("/auth/logout", serde_json::json!({})).await.expect(200);
    let file = facts["webhook_receiver"]["file"].as_str().unwrap();
    let line = wait::until("the event", || async {
        let text = std::fs::read_to_string(file).ok()?;
        serde_json::from_str::<Value>(text.lines().next()?).ok()
    })
    .await;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, line["body"].as_str().unwrap().as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(line["signature"], format!("sha256={hex}"));
    assert_eq!(line["headers"]["x-archon-event-type"], "user.logout");
}

#[tokio::test]
async fn a_request_without_a_host_is_answered_by_the_mount_of_the_listener() {
    let gateway = Gateway::demo(&[]);
    for (mount, member) in [("tmws", "error"), ("inkpass", "detail"), ("archon", "success")] {
        let url = gateway.facts["mounts"][mount]["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        for fields in ["", "Host: a b\r\n"] {
            let text = format!("GET /health HTTP/1.1\r\n{fields}\r\n");
            let reply = wire::exchange(address, text).await;
            assert_eq!(reply.status, 400, "{mount}: {}", reply.text());
            assert_eq!(reply.header("content-type"), Some("application/json"), "{mount}");
            assert!(reply.json().get(member).is_some(), "{mount}: {}", reply.text());
        }
    }
}

#[test]
fn a_temporary_folder_is_removed_at_exit_by_either_signal() {
    for name in ["TERM", "INT"] {
        let offset = ports::free_offset().to_string();
        let mut child = Command::new(&*BINARY)
            .args(["demo", "--output", "json", "--port-offset", &offset])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let facts: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        let dir = facts["dir"].as_str().unwrap().to_owned();
        assert!(std::path::Path::new(&dir).is_dir());
        signal(child.id(), name);
        let status = wait::until_blocking("the demo ends", || child.try_wait().unwrap());
        assert!(status.success(), "{name}: {status}");
        assert!(!std::path::Path::new(&dir).exists(), "{dir} is left behind");
    }
}

#[test]
fn a_signal_that_comes_while_it_starts_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let left = || std::fs::read_dir(temporary.path()).unwrap().count();
    let offset = ports::free_offset().to_string();
    let mut child = Command::new(&*BINARY)
        .args(["demo", "--output", "json", "--port-offset", &offset])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait::until_blocking("its folder is there", || (left() > 0).then_some(()));
    signal(child.id(), "TERM");
    let status = wait::until_blocking("the demo ends", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert_eq!(left(), 0);
    let told = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(told, "", "it never was ready");
}

#[test]
fn a_taken_port_is_told_with_the_way_out() {
    let offset = ports::free_offset();
    for port in [8000, 9900, 9901] {
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port + offset)).unwrap();
        let output = run(&["demo", "--port-offset", &offset.to_string()]);
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        assert!(said.contains(&format!("127.0.0.1:{}", port + offset)), "{said}");
        assert!(said.contains("--port-offset"), "{said}");
    }
}

#[test]
fn the_three_printed_curl_lines_answer_200_401_and_429() {
    let folder = tempfile::tempdir().unwrap();
    let offset = ports::free_offset().to_string();
    let dir = folder.path().join("demo");
    let child = Command::new(&*BINARY)
        .args(["demo", "--dir", dir.to_str().unwrap(), "--port-offset", &offset])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let mut source = std::io::BufReader::new(child.0.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while std::io::BufRead::read_line(&mut source, &mut line).is_ok_and(|count| count > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    let mut curls = Vec::new();
    while curls.len() < 3 {
        let line = lines.recv_timeout(wait::PATIENCE).expect("three curl lines");
        let line = line.trim().to_owned();
        if line.starts_with("curl ") {
            curls.push(line);
        }
    }
    for (curl, expected) in curls.iter().zip(["200", "401", "429"]) {
        // As pasted into a shell; it shows the status by itself.
        let output = Command::new("bash").args(["-c", curl]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.split_whitespace().last(), Some(expected), "{curl}\n{text}");
    }
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_demo_store_is_never_served_and_a_real_one_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let gateway = Gateway::demo_in(&dir, &[]);
    let config = gateway.config.clone();
    gateway.stop();
    let output = run(&["serve", "--config", config.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(said(&output).contains("demo"), "{}", said(&output));

    let upstream = Upstream::start();
    let real = Gateway::start(|places| configuration(places, &upstream).text());
    let data = real.places.data.clone();
    real.stop();
    let offset = ports::free_offset().to_string();
    let output = run(&["demo", "--dir", data.to_str().unwrap(), "--port-offset", &offset]);
    assert!(!output.status.success(), "{}", said(&output));
}

#[test]
fn a_bad_override_is_told_before_anything_starts() {
    let output = run(&["demo", "--set", "mount.tmws.acces_token_lifetime=2s"]);
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("acces_token_lifetime") && said.contains("access_token_lifetime"),
        "{said}"
    );
}

#[tokio::test]
async fn several_demos_run_side_by_side() {
    let (one, two) = (Gateway::demo(&[]), Gateway::demo(&[]));
    let tokens = login(&caller(&one), "admin", "password").await;
    caller(&one).bearer(&tokens.access).get("/api/v1/tasks").await.expect(200);
    caller(&two).bearer(&tokens.access).get("/api/v1/tasks").await.expect(401);
}
