//! Stopping, and starting where somebody already is.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    ports,
    upstream::{Answer, Upstream},
    wait, wire,
};

fn text(places: &Places, upstream: &Upstream, grace: &str) -> String {
    Conf::new(places)
        .server(&format!("grace_period = \"{grace}\""))
        .upstream("main", &[upstream.address])
        .route(conf::open("open", "/open/**", "main"))
        .text()
}

#[tokio::test]
async fn a_running_request_finishes_after_sigterm_and_the_exit_is_clean() {
    let gate = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&gate);
    let upstream = Upstream::with(move |_| Answer::ok().once(&own));
    let gateway = Gateway::start(|places| text(places, &upstream, "20s"));
    let host = gateway.address();
    let mut wires = Vec::new();
    for number in 0..5 {
        let mut wire = wire::connect(host).await;
        wire.send(format!("GET /open/{number} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        wires.push(wire);
    }
    wait::until("all are under way", || async { (upstream.count() == 5).then_some(()) }).await;
    gateway.terminate();
    wait::until("the listener closes", || async {
        wire::connect_from(host, None).await.is_err().then_some(())
    })
    .await;
    assert!(gateway.ended().is_none(), "it waits for them");
    gate.add_permits(5);
    for mut wire in wires {
        let reply = wire.reply().await;
        assert!(reply.status == 200 && reply.complete, "{}", reply.status);
    }
    let status = gateway.wait();
    assert!(status.success(), "{status}");
    assert!(!gateway.socket.exists(), "nothing stale is left");
}

#[tokio::test]
async fn an_idle_gateway_stops_soon_whatever_the_grace_period() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| text(places, &upstream, "30s"));
    let started = std::time::Instant::now();
    let status = gateway.stop();
    assert!(status.success(), "{status}");
    assert!(started.elapsed().as_secs() < 10, "nothing was running: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_request_that_outlives_the_grace_period_is_cut() {
    let upstream = Upstream::with(|_| Answer::ok().after(std::time::Duration::from_secs(25)));
    let gateway = Gateway::start(|places| text(places, &upstream, "1s"));
    let host = gateway.address();
    let mut wire = wire::connect(host).await;
    wire.send(format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    wait::until("it is under way", || async { (upstream.count() == 1).then_some(()) }).await;
    let started = std::time::Instant::now();
    let _ = gateway.stop();
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
    if let Some(reply) = wire.try_reply(false).await {
        assert!(reply.status >= 500 || !reply.complete);
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| text(places, &upstream, "1s"));
    let mut places = gateway.places.clone();
    places.public = ports::free_address();
    places.operator = ports::free_address();
    let second = places.dir.join("second.toml");
    std::fs::write(&second, text(&places, &upstream, "1s")).unwrap();
    let output = crate::support::gateway::run(&["serve", "--config", second.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let folder = places.data.display().to_string();
    assert!(said.contains(&folder), "it names the folder: {said}");
    assert!(said.contains("in use") || said.contains("another") || said.contains("lock"), "{said}");

    let host = gateway.address();
    let ask = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(wire::exchange(host, ask).await.status, 200);
    assert_eq!(gateway.readyz().await.0, 200, "its socket still stands");
    assert!(gateway.cli(&["user", "list"]).status.success());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let upstream = Upstream::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let places = Places {
        public: taken.local_addr().unwrap(),
        operator: ports::free_address(),
        data: folder.path().join("data"),
        dir: folder.path().to_owned(),
    };
    let file = folder.path().join("taken.toml");
    std::fs::write(&file, text(&places, &upstream, "1s")).unwrap();
    let output = crate::support::gateway::run(&["serve", "--config", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains(&places.public.to_string()), "{said}");
}

#[tokio::test]
async fn kill_and_start_again_needs_no_help() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| text(places, &upstream, "1s"));
    let places = gateway.places.clone();
    let file = std::fs::read_to_string(&gateway.config).unwrap();
    for _ in 0..3 {
        gateway.kill();
        let again = Gateway::start_in(&places, &file);
        let host = again.address();
        let ask = format!("GET /open/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(wire::exchange(host, ask).await.status, 200);
        again.kill();
    }
}
