use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tracing::subscriber::with_default;

use super::*;
use crate::{
    pipeline::Outcome,
    telemetry::access::{AccessLine, AccessLog},
};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at_noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_767_268_800_000_042)
}

/// The lines that `work` logs under these settings.
fn lines_of(settings: &Settings, work: impl FnOnce(&AccessLog)) -> Vec<Value> {
    let memory = Memory::default();
    let (writer, guard) = writer::start(memory.clone()).unwrap();
    let lines = json::Lines::with_clock(writer.clone(), at_noon);
    let log = AccessLog::new(writer, settings.access_log, at_noon);
    with_default(Registry::default().with(filter(settings).unwrap()).with(lines), || work(&log));
    drop(guard);
    let bytes = memory.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn line() -> AccessLine<'static> {
    AccessLine {
        rule: None,
        missing: None,
        request_id: "req_1",
        asked_by: None,
        method: "GET",
        host: "api.example.org",
        path: "/api/v1/tasks",
        status: 200,
        outcome: Outcome::Permitted,
        reason: "ok",
        mount: "api",
        route: "tasks",
        subject: Some("u1"),
        auth: Some("jwt"),
        key_id: None,
        client: "192.0.2.1".parse().unwrap(),
        upstream: Some("tasks"),
        ended: None,
        backend: Some("127.0.0.1:9900"),
        duration: Duration::from_micros(1234),
        upstream_duration: Some(Duration::from_micros(1000)),
        bytes_in: 0,
        bytes_out: 17,
        user_agent: Some("curl/8"),
    }
}

#[test]
fn an_access_line_is_one_flat_object() {
    let lines = lines_of(&Settings::default(), |log| log.write(&line()));
    let expected = json!({
        "timestamp": "2026-01-01T12:00:00.000042Z", "level": "INFO", "target": "access",
        "request_id": "req_1", "client": "192.0.2.1", "method": "GET", "host": "api.example.org",
        "path": "/api/v1/tasks", "status": 200, "outcome": "permitted", "reason": "ok",
        "mount": "api", "route": "tasks", "subject": "u1", "auth": "jwt", "upstream": "tasks",
        "backend": "127.0.0.1:9900", "duration_ms": 1.234, "upstream_ms": 1.0, "bytes_in": 0,
        "bytes_out": 17, "user_agent": "curl/8",
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn a_line_cannot_be_forged() {
    let agent = "x\"}\n{\"level\":\"ERROR\",\"message\":\"forged\\\u{1b}[2J\u{7f}\u{9b}é\u{a0}";
    let lines = lines_of(&Settings::default(), |log| {
        log.write(&AccessLine { user_agent: Some(agent), ..line() });
        tracing::warn!(why = %agent, shown = ?agent, "{agent}");
    });
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["user_agent"], agent);
    assert_eq!((&lines[1]["why"], &lines[1]["message"]), (&json!(agent), &json!(agent)));
}

#[test]
fn control_characters_never_reach_the_terminal_raw() {
    let memory = Memory::default();
    let (writer, guard) = writer::start(memory.clone()).unwrap();
    with_default(Registry::default().with(json::Lines::new(writer)), || {
        let all: String = (0..0xa0u8).map(char::from).collect();
        tracing::info!(text = all.as_str(), also = %all);
    });
    drop(guard);
    let bytes = memory.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{text:?}");
}

#[test]
fn text_of_the_clients_choice_is_cut() {
    let long = "é".repeat(5000);
    let lines = lines_of(&Settings::default(), |log| {
        log.write(&AccessLine { path: &long, user_agent: Some(&long), ..line() });
    });
    assert_eq!(lines[0]["path"].as_str().unwrap().len(), 2048);
    assert_eq!(lines[0]["user_agent"].as_str().unwrap().len(), 256);
}

#[test]
fn access_lines_have_a_switch_of_their_own() {
    let work = |log: &AccessLog| {
        if log.is_on() {
            log.write(&line());
        }
        tracing::error!("trouble");
        tracing::info!("chat");
    };
    let targets = |level: &str, access_log| {
        let settings = Settings { level: level.into(), access_log };
        let lines = lines_of(&settings, work);
        lines.iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(targets("error", true), ["INFO", "ERROR"]);
    assert_eq!(targets("info", false), ["ERROR", "INFO"]);
    assert_eq!(targets("off", false), Vec::<String>::new());
}

#[test]
fn a_bare_level_beyond_info_opens_our_own_code_only() {
    let settings = Settings { level: "trace".into(), access_log: false };
    let lines = lines_of(&settings, |_| {
        tracing::trace!("ours");
        tracing::debug!(target: "h2::codec", "headers with a credential");
        tracing::info!(target: "h2::codec", "connection");
    });
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["ours", "connection"]);
}

#[test]
fn a_level_that_cannot_be_read_is_told() {
    let check = |level: &str| Settings { level: level.into(), access_log: true }.check();
    for (level, part) in
        [("inof", "inof"), ("info,h2=loud", "loud"), ("info,", ""), ("a=b=info", "b=info")]
    {
        let error = check(level).unwrap_err();
        assert!(matches!(&error, LogError::Level { part: found, .. } if found == part), "{error}");
    }
    for level in ["off", "INFO", " warn , portcullis::edge = debug", "h2=trace"] {
        assert!(check(level).is_ok(), "{level}");
    }
}

#[test]
fn values_keep_their_types_and_errors_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] fmt::Error);

    let lines = lines_of(&Settings::default(), |_| {
        let error = Outer(fmt::Error);
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::info!(
            yes = true,
            less = -1,
            part = 0.5,
            none = None::<u64>,
            bad = f64::NAN,
            error
        );
    });
    assert_eq!(lines[0]["yes"], true);
    assert_eq!(lines[0]["less"], -1);
    assert_eq!(lines[0]["part"], 0.5);
    assert_eq!(lines[0]["bad"], Value::Null);
    assert!(lines[0].get("none").is_none());
    assert!(lines[0]["error"].as_str().unwrap().starts_with("outer: "));
}

/// Blocks in the first write until told to go on.
struct Stuck {
    entered: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    memory: Memory,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.go_on.recv();
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_reader_costs_lines_and_not_memory_or_time() {
    let (entered, has_entered) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let memory = Memory::default();
    let stuck = Stuck { entered, go_on, memory: memory.clone() };
    let (writer, guard) = writer::start(stuck).unwrap();
    writer.push(b"first\n");
    has_entered.recv().unwrap();
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..20 {
        writer.push(&megabyte);
    }
    assert_eq!(writer.dropped(), 12);
    drop(release);
    drop(guard);
    assert_eq!(memory.0.lock().unwrap().len(), 6 + 8 * 1024 * 1024);
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let memory = Memory::default();
    let (writer, guard) = writer::start(memory.clone()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let mut writer = writer.clone();
            scope.spawn(move || {
                let line = format!("{n}").repeat(100) + "\n";
                for turn in 0..200 {
                    if turn % 2 == 0 {
                        writer.push(line.as_bytes());
                    } else {
                        (&mut &writer).write_all(line.as_bytes()).unwrap();
                    }
                }
                writer = writer.clone();
                drop(writer);
            });
        }
    });
    drop(guard);
    let bytes = memory.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count(), 1600);
    assert!(text.lines().all(|l| l.len() == 100 && l.bytes().all(|b| b == l.as_bytes()[0])));
}

#[test]
fn the_proxy_librarys_errors_are_silent_unless_they_are_named() {
    let said = |level: &str| {
        let settings = Settings { level: level.into(), access_log: true };
        lines_of(&settings, |_| tracing::error!(target: "pingora_proxy", "Fail to proxy")).len()
    };
    assert_eq!(["info", "trace", "warn,portcullis=debug"].map(said), [0, 0, 0]);
    assert_eq!(["info,pingora_proxy=error", "pingora=warn,error"].map(said), [1, 1]);
}
