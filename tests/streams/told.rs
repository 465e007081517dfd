//! What the operator sees of it, and what may be set.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    bench::{Bench, bearer, configuration, keyed, token},
    lines::End,
};
use crate::support::{
    conf, operate,
    tmws::{GOOD_PASSWORD, caller, fresh_name, login},
    wait,
};

#[tokio::test]
async fn figures_and_lines_tell_what_runs_and_what_was_ended() {
    let bench = Bench::with_admin().await;
    let gateway = &bench.gateway;
    let key = operate::admin_key(gateway, &["FULL"]);
    let lines = bench.open(&keyed(&key)).await;
    let figures = || async { gateway.operator().get("/metrics").await.text() };
    let shown = [
        r#"portcullis_streams_open{kind="websocket"} 6"#,
        r#"portcullis_streams_open{kind="events"} 4"#,
        r#"portcullis_streams_open{kind="grpc"} 2"#,
        r#"portcullis_streams_open{kind="transfer"} 10"#,
    ];
    wait::until("all are counted", || async {
        let text = figures().await;
        shown.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
    let id = key.split('.').next().unwrap().to_owned();
    operate::call(gateway, "POST", &format!("/v1/keys/{id}/revoke"), Value::Null).expect(200);
    for (_, _, line) in lines {
        assert_ne!(line.end().await, End::Orderly);
    }
    let ended = [
        r#"portcullis_streams_ended_total{kind="websocket",reason="key_revoked"} 6"#,
        r#"portcullis_streams_ended_total{kind="events",reason="key_revoked"} 4"#,
        r#"portcullis_streams_ended_total{kind="grpc",reason="key_revoked"} 2"#,
        r#"portcullis_streams_ended_total{kind="transfer",reason="key_revoked"} 10"#,
        r#"portcullis_streams_open{kind="websocket"} 0"#,
        r#"portcullis_streams_open{kind="transfer"} 0"#,
    ];
    wait::until("all are counted as ended", || async {
        let text = figures().await;
        ended.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
    let log = wait::until("a line of each of both", || async {
        let log = gateway.log();
        let of = |name: &str| log.iter().filter(|line| line["event"] == name).count();
        let access = log.iter().filter(|line| line["stream_ended"].is_string()).count();
        (of("stream_ended") == 22 && access == 22).then_some(log)
    })
    .await;
    let websocket = log.iter().find(|line| line["stream_ended"] == "websocket").unwrap();
    assert_eq!(
        (&websocket["reason"], &websocket["status"], &websocket["outcome"]),
        (&"key_revoked".into(), &101.into(), &"refused".into())
    );
    let told = log.iter().find(|line| line["event"] == "stream_ended").unwrap();
    for name in ["request_id", "kind", "route", "subject"] {
        assert!(told[name].is_string(), "{name}: {told}");
    }
    assert_eq!(told["reason"], "key_revoked");
}

#[tokio::test]
async fn a_route_may_let_streams_outlive_the_end_of_a_token_for_a_while() {
    let bench = Bench::of(|places, far| {
        let lenient = conf::closed("lenient", "/lenient/**", "far")
            .with("streaming", "true")
            .with("stream_grace", r#""4s""#);
        configuration(places, far).route(lenient).text()
    })
    .await;
    let gateway = &bench.gateway;
    let name = fresh_name();
    let id = operate::add_user(gateway, &name, &["USER"])["id"].as_str().unwrap().to_owned();
    let door = &bench.doors[0];
    let who = bearer(&token(&id, 3));
    let end = Instant::now() + Duration::from_secs(3);
    let mut line = door.websocket("/lenient/ws/grace", &who).await;
    tokio::time::sleep_until((end + Duration::from_millis(1500)).into()).await;
    line.lives().await;
    assert_eq!(line.end().await, End::Closed(4401, "the credential has expired".into()));
    assert!(end.elapsed() >= Duration::from_secs(3), "the grace was granted");
    // What ends it early does not wait for that.
    let tokens = login(&caller(gateway), &name, GOOD_PASSWORD).await;
    let line = door.websocket("/lenient/ws/early", &bearer(&tokens.access)).await;
    operate::disable(gateway, &name);
    let disabled = Instant::now();
    assert_eq!(line.end().await, End::Closed(1008, "the credential was ended".into()));
    assert!(disabled.elapsed() < Duration::from_secs(3), "{:?}", disabled.elapsed());
}
