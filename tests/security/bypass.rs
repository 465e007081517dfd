//! The corpus against the real binary: every case has its verdict, and whatever arrived was authorised as what it is.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    bench::{Bench, bench, mark},
    cases::{self, Case, Request, Verdict},
    judge,
    support::{
        tmws::fresh_address,
        upstream::Recorded,
        wait,
        wire::{self, Reply},
    },
};

/// Cases at once.
const AT_ONCE: usize = 24;

// requirement: 11, 15, 16, 17, 18, 19, 20, 21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_corpus_has_its_verdict_and_nothing_gets_by() {
    let bench = bench();
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for case in cases::all() {
        let gate = Arc::clone(&gate);
        running.push(tokio::spawn(async move {
            let _permit = gate.acquire_owned().await.expect("never closed");
            play(bench, &case).await
        }));
    }
    let mut faults = Vec::new();
    let count = running.len();
    for case in running {
        faults.extend(case.await.expect("no case panics"));
    }
    faults.extend(judge_everything(bench).await);
    eprintln!("{count} cases, {} faults", faults.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// One case on a connection of its own, from an address of its own.
async fn play(bench: &Bench, case: &Case) -> Vec<String> {
    let mark = mark();
    let bytes = case.request.bytes(|text| bench.fill(text, &mark));
    let is_head = bytes.starts_with(b"HEAD ");
    let mut wire =
        wire::connect_from(bench.gateway.address(), Some(fresh_address())).await.expect("connect");
    // A server may close before it has read all of a bad request.
    let _ = wire.try_send(&bytes).await;
    let reply = wire.try_reply(is_head).await;
    let mut faults = Vec::new();
    let verdict = &case.verdict;
    if verdict.closes && !wire.closes_within(std::time::Duration::from_secs(5)).await {
        faults.push("the connection stays open".to_owned());
    }
    faults.extend(status_fault(case, reply.as_ref()));
    if !verdict.closes {
        wire.finish().await;
        if let Some(second) = wire.second_reply().await {
            faults.push(format!("a second reply with {second}"));
        }
    }
    let texts = |texts: &[String]| texts.iter().map(|text| bench.fill(text, &mark)).collect();
    let verdict =
        &Verdict { has: texts(&verdict.has), lacks: texts(&verdict.lacks), ..verdict.clone() };
    let seen: Vec<Recorded> =
        bench.upstream.seen().into_iter().filter(|seen| seen.target().contains(&mark)).collect();
    faults.extend(upstream_faults(verdict, &seen, &mark));
    let shown = match &case.request {
        Request::Raw(raw) => raw.clone(),
        Request::Parts(parts) => format!("{} {} {:?}", parts.method, parts.target, parts.fields),
    };
    let place = &case.place;
    faults.into_iter().map(|fault| format!("{place}: {fault} ({}): {shown}", case.why)).collect()
}

pub fn status_fault(case: &Case, reply: Option<&Reply>) -> Option<String> {
    let wanted = if case.verdict.passes() { vec![200] } else { case.verdict.statuses.clone() };
    match reply {
        Some(reply) if wanted.contains(&reply.status) => None,
        Some(reply) => Some(format!("{} instead of {wanted:?}", reply.status)),
        None => Some(format!("closed without a reply instead of {wanted:?}")),
    }
}

pub fn upstream_faults(verdict: &Verdict, seen: &[Recorded], mark: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let whole = seen.iter().filter(|seen| seen.complete).count();
    let wanted = usize::from(verdict.passes() || verdict.statuses == [101]);
    if whole != wanted {
        let lines: Vec<String> = seen.iter().map(Recorded::line).collect();
        faults.push(format!("{whole} requests arrived: {lines:?}"));
    }
    for request in seen.iter().filter(|_| wanted == 1) {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        if let Some(path) = verdict.path.as_ref().map(|path| path.replace("{m}", mark))
            && request.target() != path
        {
            faults.push(format!("the upstream read {}, not {path}", request.target()));
        }
        if let Some(body) = verdict.body.as_ref().filter(|body| **body != request.body) {
            let read = request.body.escape_ascii().to_string();
            faults.push(format!("the upstream read {read:?}, not {}", body.escape_ascii()));
        }
        for text in &verdict.has {
            if !head.contains(text.as_str()) {
                faults.push(format!("the upstream did not read {text:?}: {head}"));
            }
        }
        for text in verdict.lacks.iter().filter(|text| head.contains(text.as_str())) {
            faults.push(format!("the upstream read {text:?}: {head}"));
        }
    }
    faults
}

/// Plays a case somewhere else, where only what arrives counts.
pub async fn send_only(bench: &Bench, to: std::net::SocketAddr, case: &Case) {
    let mark = mark();
    let bytes = case.request.bytes(|text| bench.fill(text, &mark));
    let mut wire = wire::connect(to).await;
    let _ = wire.try_send(&bytes).await;
    let limit = std::time::Duration::from_secs(2);
    let _ = tokio::time::timeout(limit, wire.try_reply(bytes.starts_with(b"HEAD "))).await;
}

/// Holds everything that arrived against the access log.
pub async fn judge_everything(bench: &Bench) -> Vec<String> {
    let seen = bench.upstream.seen();
    let ids: Vec<String> = seen.iter().flat_map(|seen| seen.all("x-request-id")).collect();
    let permits = wait::until("an access line for all that arrived", || async {
        let permits = access_lines(bench);
        ids.iter().all(|id| permits.contains_key(id)).then_some(permits)
    })
    .await;
    let mut faults: Vec<String> = judge::doubled(&seen);
    for request in &seen {
        let found = judge::faults(request, &permits);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", request.line())));
    }
    faults
}

fn access_lines(bench: &Bench) -> BTreeMap<String, Value> {
    let lines = bench.gateway.log().into_iter().filter(|line| line["target"] == "access");
    lines.map(|line| (line["request_id"].as_str().unwrap_or_default().to_owned(), line)).collect()
}

/// The reply that the library gives by itself closes the connection as well, and is counted.
// requirement: 15
#[tokio::test]
async fn heads_that_cannot_be_parsed_are_counted() {
    let bench = bench();
    let count = || async {
        let text = bench.gateway.operator().get("/metrics").await.expect(200).text();
        let line =
            text.lines().find_map(|line| line.strip_prefix("portcullis_heads_refused_total "));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    let before = count().await;
    for _ in 0..3 {
        let mut wire = wire::connect(bench.gateway.address()).await;
        wire.send("GET / HTTP/1.1\r\nno colon\r\n\r\n").await;
        assert_eq!(wire.reply().await.status, 400);
        assert!(wire.closes_within(std::time::Duration::from_secs(5)).await);
    }
    wait::until("the count", || async { (count().await >= before + 3).then_some(()) }).await;
}
