//! The internal listener's probes, seen from the edge's point of view.

use crate::{
    bench::{bench, request},
    support::client::Client,
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

// requirement: 36
#[tokio::test]
async fn the_operators_token_opens_nothing_on_the_public_side() {
    let token = crate::support::conf::OPERATOR_TOKEN;
    let fields = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(bench().exchange(request("GET", "/closed/x", &fields)).await.status, 401);
}
