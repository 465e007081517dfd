//! The metrics page.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    bench::{bench, mark, request},
    support::{gateway::Gateway, wait},
};

async fn page(gateway: &Gateway) -> String {
    gateway.operator().get("/metrics").await.expect(200).text()
}

/// The sum of the samples of a family whose labels contain all of `labels`.
fn sum(page: &str, family: &str, labels: &[&str]) -> f64 {
    page.lines()
        .filter(|line| line.starts_with(family) && labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_about() {
    let bench = bench();
    let fields = format!("X-API-Key: {}\r\n", bench.key);
    bench.exchange(request("GET", "/closed/metrics", &fields)).await;
    bench.exchange(request("GET", "/closed/metrics", "")).await;
    let page = page(&bench.gateway).await;
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("promtool is not here ({error}); the page was only read");
            assert!(page.contains("# HELP") && page.contains("# TYPE"));
            return;
        }
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[tokio::test]
async fn outcomes_are_counted_by_route_and_reason() {
    let bench = bench();
    let before = page(&bench.gateway).await;
    let mark = mark();
    let fields = format!("X-API-Key: {}\r\n", bench.key);
    for _ in 0..3 {
        bench.exchange(request("GET", &format!("/onward/{mark}"), &fields)).await;
    }
    for _ in 0..2 {
        bench.exchange(request("GET", &format!("/onward/{mark}"), "")).await;
    }
    let (requests, refusals) = ("portcullis_requests_total", "portcullis_refusals_total");
    let permitted = &["route=\"onward\"", "outcome=\"permitted\""];
    let refused = &["route=\"onward\"", "outcome=\"refused\""];
    wait::until("all are counted", || async {
        let after = page(&bench.gateway).await;
        let grown =
            |labels: &[&str]| sum(&after, requests, labels) - sum(&before, requests, labels);
        let done = grown(permitted) >= 3.0 && grown(refused) >= 2.0;
        let reason = &["reason=\"credential_missing\""];
        let told = sum(&after, refusals, reason) - sum(&before, refusals, reason) >= 2.0;
        (done && told).then(|| {
            let family = "portcullis_request_duration_seconds_count";
            assert!(sum(&after, family, &["route=\"onward\""]) >= 3.0, "durations");
            let family = "portcullis_upstream_duration_seconds_count";
            assert!(sum(&after, family, &["route=\"onward\""]) >= 3.0, "upstream durations");
        })
    })
    .await;
}

#[tokio::test]
async fn labels_come_from_closed_sets() {
    let bench = bench();
    for number in 0..30 {
        let path = format!("/unheard-of-{number}/closed-set-canary");
        bench.exchange(request("GET", &path, "User-Agent: closed-set-canary\r\n")).await;
        bench.exchange(request(&format!("METHOD{number}"), "/open/x", "")).await;
        let host = format!("closed-set-canary-{number}.example");
        let text = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        bench.exchange(text).await;
    }
    let page = page(&bench.gateway).await;
    for text in ["closed-set-canary", "unheard-of", "METHOD1"] {
        assert!(!page.contains(text), "{text}");
    }
}
