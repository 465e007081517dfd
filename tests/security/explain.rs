//! `explain` agrees with the running gateway: generated configurations, generated requests, each request sent to the gateway and
//! asked of `explain`, which runs in another process on a copy of the store. Several listeners, with TLS, certificates and
//! questions of proxies; four contracts with tokens, keys, sessions and agents; issuers outside; rules on trial.
//!
//! `PORTCULLIS_PAIRS=10000` plays so many pairs; `PORTCULLIS_SEED` another series. A difference names both.

mod generate;
mod random;
mod world;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use self::{
    generate::{Asked, Door, configuration, request},
    random::Random,
    world::World,
};
use crate::support::{
    conf::quoted,
    gateway::{Gateway, Places, run, said},
    operate::call,
    upstream::{Answer, Upstream},
    wait,
    wire::{self, Reply, Wire},
};

const A_SLICE: usize = 1_000;
const EACH: usize = 60;

fn environment(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

// requirement: 40
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_agrees_with_the_running_gateway_on_generated_pairs() {
    let pairs = environment("PORTCULLIS_PAIRS").unwrap_or(A_SLICE);
    let seed = environment("PORTCULLIS_SEED").unwrap_or(20_261_121);
    let mut random = Random(seed as u64);
    let upstream =
        Upstream::counting(|request| Answer::new(200, &[("X-Seen", &request.target())], "{}"));
    let world = World::new(upstream.address);
    let gateway = Gateway::start(|places| world.configuration(places).text());
    let proofs = world.proofs(&gateway).await;
    let copy = copy_of(&gateway);

    let (mut done, mut round, mut refused, mut admitted) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut reasons, mut doors) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
    let mut shadowed = 0;
    while done < pairs {
        round += 1;
        let text = configuration(&world, &gateway.places, round, &mut random).text();
        std::fs::write(&gateway.config, &text).unwrap();
        let reloaded = call(&gateway, "POST", "/v1/reload", Value::Null);
        if reloaded.status != 200 {
            // Two routes in each other's way, most likely: another one.
            assert_eq!(reloaded.status, 422, "{}", reloaded.text());
            refused += 1;
            assert!(refused < 10 + round / 2, "{}", reloaded.text());
            continue;
        }
        let count = EACH.min(pairs - done);
        let asked: Vec<Asked> =
            (0..count).map(|_| request(round, &proofs, &world, &mut random)).collect();
        let seen = serve(&gateway, &world, &asked).await;
        let told = explain(&copy, &text, &gateway.places, &world, &asked);
        for ((asked, seen), told) in asked.iter().zip(&seen).zip(&told) {
            let front = matches!(asked.door, Door::Front(_));
            let told = verdict_of(told, front);
            assert_eq!(
                *seen, told,
                "seed {seed}, round {round}, {:?}\nleft: served, right: explained\n{}\n{text}",
                asked.door, asked.head
            );
            admitted += usize::from(seen["admitted"] == json!(true));
            shadowed += usize::from(seen["shadowed"].as_array().is_some_and(|all| !all.is_empty()));
            let reason = seen["reason"].as_str().unwrap_or("none").to_owned();
            *reasons.entry(reason).or_default() += 1;
            let mount = seen["mount"].as_str().unwrap_or("none");
            let end = if seen["admitted"] == json!(true) { "in" } else { "out" };
            *doors.entry(format!("{:?} {mount} {end}", asked.door)).or_insert(0) += 1;
        }
        done += count;
    }
    println!(
        "{done} pairs in {round} configurations ({refused} refused), {admitted} admitted, {shadowed} shadowed"
    );
    println!("reasons {reasons:?}\n{doors:?}");
    // A generator that finds one stage only proves nothing.
    assert!(admitted * 12 > done, "{admitted} of {done}");
    assert!(reasons.len() > 14, "{reasons:?}");
    assert!(shadowed * 50 > done, "{shadowed} of {done}");
    for place in ["Public hh in", "Public arch in", "Secure(Some(0)) api in", "Front(0) api in"] {
        assert!(doors.contains_key(place), "{place}: {doors:?}");
    }
}

/// Another data folder with the store as it is now and what opens it; returns the folder.
fn copy_of(gateway: &Gateway) -> PathBuf {
    let copy = gateway.places.dir.join("copy");
    std::fs::create_dir(&copy).unwrap();
    let store = copy.join("portcullis.db");
    gateway.cli_ok(&["store", "backup", store.to_str().unwrap()]);
    for entry in std::fs::read_dir(&gateway.places.data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && !name.starts_with("portcullis.db") && !copy.join(&name).exists() {
            std::fs::copy(&path, copy.join(&name)).unwrap();
        }
    }
    // The store takes nobody's but its own folder.
    let made = Command::new("chmod").args(["-R", "go-rwx"]).arg(&copy).status().unwrap();
    assert!(made.success());
    copy
}

/// Sends one request by the door it is meant for.
async fn send(gateway: &Gateway, world: &World, asked: &Asked) -> Option<Reply> {
    let at = match asked.door {
        Door::Public => gateway.address(),
        Door::Inside => world.inside,
        Door::Front(front) => world.fronts[front].2,
        Door::Secure(certificate) => {
            let caller = world.authority.caller();
            let caller = match certificate {
                Some(number) => caller.showing(&world.certificates[number]),
                None => caller,
            };
            let stream = caller.connect(world.secure, "a.example").await.unwrap();
            return exchange(Wire::over(stream), asked).await;
        }
    };
    exchange(wire::connect(at).await, asked).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    asked: &Asked,
) -> Option<Reply> {
    wire.send(format!("{}{}", asked.head, asked.body)).await;
    wire.try_reply(asked.head.starts_with("HEAD")).await
}

/// What the gateway did with each: its access line, where there is one.
async fn serve(gateway: &Gateway, world: &World, asked: &[Asked]) -> Vec<Value> {
    let mut replies = Vec::new();
    for one in asked {
        let reply = send(gateway, world, one).await;
        let reply = reply.unwrap_or_else(|| panic!("no answer to {}", one.head));
        let id = reply.header("x-request-id").map(str::to_owned);
        let seen = reply.header("x-seen").map(str::to_owned);
        replies.push((reply.status, id, seen));
    }
    let ids: Vec<&String> = replies.iter().filter_map(|(_, id, _)| id.as_ref()).collect();
    let (lines, shadowed) = wait::until("every access line", || async {
        let (mut lines, mut shadowed) = (HashMap::new(), HashMap::<String, Vec<String>>::new());
        for line in gateway.log() {
            let id = line["request_id"].as_str().unwrap_or_default().to_owned();
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            if line["event"] == "would_refuse" {
                shadowed.entry(id).or_default().push(format!(
                    "{} ({})",
                    text("rule"),
                    text("reason")
                ));
            } else if line["outcome"].is_string() {
                lines.insert(id, line);
            }
        }
        ids.iter().all(|id| lines.contains_key(*id)).then_some((lines, shadowed))
    })
    .await;
    let verdict = |(status, id, seen): &(u16, Option<String>, Option<String>)| {
        let Some(line) = id.as_ref().and_then(|id| lines.get(id)) else {
            return json!({ "admitted": false, "status": status, "unread": true });
        };
        let id = line["request_id"].as_str().unwrap_or_default();
        let mut hits = shadowed.get(id).cloned().unwrap_or_default();
        hits.sort();
        // A question of a proxy is permitted, and forwarded by that one.
        let front = line["asked_by"].is_string();
        if line["upstream"].is_string() || front && line["outcome"] == "permitted" {
            let to = if front { Value::Null } else { line["upstream"].clone() };
            return json!({
                "admitted": true, "route": line["route"], "mount": line["mount"], "to": to,
                "path": seen, "shadowed": hits,
            });
        }
        json!({
            "admitted": false, "status": line["status"], "reason": line["reason"], "route": line["route"],
            "mount": line["mount"], "rule": rule(&line["rule"]), "missing": line["missing"],
            "shadowed": hits,
        })
    };
    replies.iter().map(verdict).collect()
}

/// The rule that refused. Of two limits that are used up at once the one is named that takes longer to be full again, which
/// hangs on the microsecond of each charge: so limits are not told apart.
fn rule(value: &Value) -> Value {
    match value.as_str() {
        Some(name) if name.starts_with("limit ") => json!("limit"),
        _ => value.clone(),
    }
}

/// The same facts of an explanation.
fn verdict_of(told: &Value, front: bool) -> Value {
    let hits = told["would_refuse"].as_array().cloned().unwrap_or_default();
    let mut hits: Vec<String> =
        hits.iter().map(|hit| hit.as_str().unwrap_or_default().to_owned()).collect();
    hits.sort();
    let sent = &told["upstream"];
    if sent.is_object() {
        // Our own endpoints do not tell what they saw, nor does who asks for another.
        let unseen = sent["to"] == "identity" || front;
        let path = if unseen { Value::Null } else { sent["path"].clone() };
        let to = if front { Value::Null } else { sent["to"].clone() };
        return json!({
            "admitted": true, "route": told["route"], "mount": told["mount"], "to": to, "path": path,
            "shadowed": hits,
        });
    }
    let unread = |note: &Value| note.as_str().is_some_and(|note| note.starts_with("the parser"));
    if told["stages"][0]["saw"].as_array().is_some_and(|all| all.iter().any(unread)) {
        return json!({ "admitted": false, "status": told["status"], "unread": true });
    }
    json!({
        "admitted": false, "status": told["status"], "reason": told["reason"], "route": told["route"],
        "mount": told["mount"], "rule": rule(&told["rule"]), "missing": told["missing"],
        "shadowed": hits,
    })
}

/// The question about a request, as the operator API takes it.
fn question(world: &World, asked: &Asked) -> Value {
    let mut question = json!({ "head": STANDARD.encode(&asked.head), "client": "127.0.0.1" });
    question["listener"] = match asked.door {
        Door::Public => "public".into(),
        Door::Inside => "inside".into(),
        Door::Secure(_) => "secure".into(),
        Door::Front(front) => world.fronts[front].0.into(),
    };
    if let Door::Secure(certificate) = asked.door {
        question["server_name"] = "a.example".into();
        if let Some(number) = certificate {
            question["certificate"] = world::shown(&world.certificates[number]).into();
        }
    }
    question
}

fn explain(copy: &Path, text: &str, places: &Places, world: &World, asked: &[Asked]) -> Vec<Value> {
    let data = quoted(places.data.to_str().unwrap());
    let text = text.replace(&data, &quoted(copy.to_str().unwrap()));
    // Beside the other: what stands in it is looked for there.
    let (config, batch) = (places.dir.join("copy.toml"), copy.join("batch"));
    std::fs::write(&config, text).unwrap();
    let lines: Vec<String> = asked.iter().map(|one| question(world, one).to_string()).collect();
    std::fs::write(&batch, lines.join("\n")).unwrap();
    let (config, batch) = (config.to_str().unwrap(), batch.to_str().unwrap());
    let output = run(&["explain", "--batch", batch, "--config", config]);
    assert!(output.status.success(), "{}", said(&output));
    let told: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), asked.len(), "{}", said(&output));
    told
}
