//! The internal listener's probes, seen from the edge's point of view.

use sqlx::{Connection, Executor, SqliteConnection};

use crate::{
    bench::{bench, request},
    support::{
        client::Client,
        conf::{self, Conf},
        gateway::Gateway,
        upstream::Upstream,
        wait, wire,
    },
};

#[tokio::test]
async fn the_token_is_needed_on_tcp() {
    let gateway = &bench().gateway;
    let stranger = Client::at(&gateway.operator_url());
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/v1/status",
        "/v1/users",
        "/v1/keys",
        "/v1/config/effective",
    ] {
        assert_eq!(stranger.get(path).await.status, 401, "{path}");
        assert_eq!(stranger.bearer("wrong").get(path).await.status, 401, "{path}");
        assert_eq!(gateway.operator().get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_makes_it_degraded_and_takes_nobody_out() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|places| {
        let conf = Conf::new(places).upstream("main", &[upstream.address]);
        conf.route(conf::open("open", "/open/**", "main")).text()
    });
    assert_eq!(gateway.readyz().await.1["status"], "ready");
    let file = gateway.places.data.join("portcullis.db");
    let mut other =
        SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let told = wait::until("it is degraded", || async {
        let (status, body) = gateway.readyz().await;
        assert_eq!(status, 200, "{body}");
        (body["status"] == "degraded").then_some(body)
    })
    .await;
    assert_eq!(told["degraded"][0]["part"], "store", "{told}");
    assert_eq!(told["degraded"].as_array().unwrap().len(), 1, "{told}");
    let request = "GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(wire::exchange(gateway.address(), request).await.status, 200);
    other.execute("ROLLBACK").await.unwrap();
    wait::until("it is ready again", || async {
        let (_, body) = gateway.readyz().await;
        (body["status"] == "ready" && body.get("degraded").is_none()).then_some(())
    })
    .await;
}

// requirement: 36
#[tokio::test]
async fn the_operators_token_opens_nothing_on_the_public_side() {
    let token = crate::support::conf::OPERATOR_TOKEN;
    let fields = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(bench().exchange(request("GET", "/closed/x", &fields)).await.status, 401);
}
