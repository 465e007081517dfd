//! The ledger of requests, held against a gateway that reloads, and against faults that it must find.

use std::time::Duration;

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    ledger::{Driver, FIELD, Faults},
    upstream::Upstream,
    wait, wire,
};

fn configuration(places: &Places, upstream: &Upstream, rule: &str) -> String {
    let set = format!(r#"{{ request = {{ set = {{ x-rule = "{rule}" }} }} }}"#);
    Conf::new(places)
        .upstream("main", &[upstream.address])
        .route(conf::open("open", "/open/**", "main").with("headers", set).with("limits", "[]"))
        .text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_unsaid_while_a_gateway_reloads() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| configuration(places, &upstream, "one"));
    let head = |n: usize| format!("GET /open/{n} HTTP/1.1\r\nHost: a");
    let driver = Driver::start(vec![gateway.address()], 200, head);
    for rule in ["two", "three", "four"] {
        std::fs::write(&gateway.config, configuration(&gateway.places, &upstream, rule)).unwrap();
        gateway.cli_ok(&["reload"]);
        wait::until("it forwards by the new rule", || async {
            let last = upstream.seen().into_iter().next_back()?;
            (last.field("x-rule").as_deref() == Some(rule)).then_some(())
        })
        .await;
    }
    let ledger = driver.end().await;
    assert!(ledger.entries.len() > 3);
    // The line of the last request is written when it has ended, which is after its answer.
    wait::until("every request is written down", || async {
        (ledger.join(&upstream.seen(), &gateway.log()) == Faults::default()).then_some(())
    })
    .await;
    let (half, all) = (ledger.quantile(0.5, |_| true), ledger.quantile(1.0, |_| true));
    assert!(half > Duration::ZERO && all >= half);

    // It finds what is wrong: a request that came twice, one that nobody sent, one that was refused.
    let twice = &ledger.entries[0].id;
    for id in [twice, "of-nobody"] {
        let text = format!("GET /open/x HTTP/1.1\r\nHost: a\r\n{FIELD}: {id}\r\n\r\n");
        assert_eq!(wire::exchange(gateway.address(), text).await.status, 200);
    }
    let found = ledger.join(&upstream.seen(), &gateway.log());
    assert!(found.doubled.len() == 1 && found.doubled[0].starts_with(twice.as_str()), "{found:?}");
    assert_eq!(found.ghosts, ["of-nobody"]);
    let head = |n: usize| format!("GET /nowhere/{n} HTTP/1.1\r\nHost: a");
    let driver = Driver::start(vec![gateway.address()], 100, head);
    wait::until("one is refused", || async {
        gateway.log().iter().any(|line| line["status"] == 404).then_some(())
    })
    .await;
    let refused = driver.end().await;
    let found = refused.join(&upstream.seen(), &[]);
    assert_eq!((found.lost.len(), found.unlogged.len()), (refused.entries.len(), found.lost.len()));
}
