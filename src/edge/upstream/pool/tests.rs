use super::*;

fn pool(hosts: &[&str], failures: u32) -> Arc<Pool> {
    let backend = |host: &&str| Backend::Http { host: (*host).to_owned(), port: 80, tls: false };
    let settings = UpstreamSettings {
        name: "up".into(),
        backends: hosts.iter().map(backend).collect(),
        health: None,
        ejection: Ejection { failures, duration: Duration::from_secs(60) },
        retries: 1,
        max_requests: 1024,
        host: HostHeader::Preserve,
        http2: false,
        tls: UpstreamTls::default(),
    };
    Pool::new(settings, Metrics::new().unwrap())
}

fn turns(pool: &Pool, count: usize) -> Vec<String> {
    (0..count).map(|_| pool.pick(&[]).unwrap().label().to_string()).collect()
}

#[test]
fn nodes_take_turns() {
    let pool = pool(&["192.0.2.1", "192.0.2.2"], 3);
    assert_eq!(turns(&pool, 3), ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.1:80"]);
}

#[test]
fn failures_in_a_row_eject_but_never_the_last_one() {
    let pool = pool(&["192.0.2.1", "192.0.2.2"], 2);
    let [one, two] = [pool.pick(&[]).unwrap(), pool.pick(&[]).unwrap()];
    pool.failed(&one);
    pool.succeeded(&one);
    pool.failed(&one);
    assert!(one.is_available(), "a success in between starts the count anew");
    pool.failed(&one);
    assert!(!one.is_available());
    assert_eq!(turns(&pool, 2), ["192.0.2.2:80", "192.0.2.2:80"]);
    for _ in 0..5 {
        pool.failed(&two);
    }
    assert!(two.is_available());
}

#[test]
fn a_tried_node_is_not_picked_again() {
    let pool = pool(&["192.0.2.1", "192.0.2.2"], 0);
    let one = pool.pick(&[]).unwrap();
    let two = pool.pick(std::slice::from_ref(&one)).unwrap();
    assert!(!Arc::ptr_eq(&one, &two));
    let tried = [one, two];
    assert!(pool.pick(&tried).is_none());
    assert!(!pool.has_untried(&tried));
}

#[test]
fn active_checks_flip_only_after_results_in_a_row() {
    let check = crate::edge::settings::HealthCheck {
        path: "/".into(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        unhealthy_after: 2,
        healthy_after: 2,
    };
    let pool = pool(&["192.0.2.1"], 0);
    let node = pool.pick(&[]).unwrap();
    let flips: Vec<_> =
        [false, true, false, false, true, true].map(|ok| node.checked(&check, ok)).into();
    assert_eq!(flips, [false, false, false, true, false, true]);
}

#[test]
fn with_none_available_one_is_tried_all_the_same() {
    let pool = pool(&["192.0.2.1"], 0);
    pool.pick(&[]).unwrap().eject(Duration::from_secs(60));
    assert!(pool.pick(&[]).is_some());
}

#[tokio::test]
async fn a_name_is_resolved_in_the_background() {
    let pool = pool(&["localhost"], 0);
    assert!(pool.pick(&[]).is_none());
    pool.discover().await;
    pool.ready(Duration::from_secs(1)).await;
    let node = pool.pick(&[]).unwrap();
    assert_eq!(&**node.label(), "localhost:80");
    pool.discover().await;
    assert!(Arc::ptr_eq(&node, &pool.pick(&[]).unwrap()), "an address that stays keeps its state");
}
