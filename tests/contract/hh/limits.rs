//! The two windows of the contract: 100 requests a minute and 1000 an hour, per client, on all routes but two.

use crate::support::hh::{House, Wish, assert_refused};

#[tokio::test]
async fn the_hundred_and_first_request_of_a_client_is_429() {
    let house = House::start(Wish { limited: true, ..Wish::default() });
    let client = house.caller();
    let mut answered = 0;
    let refused = loop {
        // A public endpoint, an administrator's, and a protected route count alike.
        let path = ["/ping", "/admin/users", "/api/tasks", "/users/me"][answered % 4];
        let reply = client.get(path).await;
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert_eq!(reply.all(header).len(), 1, "{header} on {path} ({})", reply.status);
        }
        if reply.status == 429 {
            break reply;
        }
        assert_eq!(reply.header("x-ratelimit-limit"), Some("100"), "the window nearest to its end");
        answered += 1;
        assert!(answered < 200, "no limit at all");
    };
    // Some come back while we ask: 100 a minute is one in 600 ms.
    assert!((100..160).contains(&answered), "{answered}");
    assert_refused(&refused, 429, "Rate limit exceeded");
    let retry: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry), "{retry}");
    let reset: i64 = refused.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!(reset >= jiff::Timestamp::now().as_second(), "{reset}");

    for path in ["/health", "/metrics"] {
        client.get(path).await.expect(200);
    }
    // Another client is not affected.
    house.caller().get("/ping").await.expect(200);
}

#[tokio::test]
async fn what_no_route_takes_shows_the_limit_and_is_counted() {
    let house = House::start(Wish { limited: true, ..Wish::default() });
    let client = house.caller();
    for (path, status) in [("/nowhere", 404), ("/auth/exchange", 405), ("/ping", 200)] {
        let left = |reply: &crate::support::wire::Reply| {
            reply.header("x-ratelimit-remaining").unwrap().parse::<u32>().unwrap()
        };
        let first = client.get(path).await.expect(status);
        let second = client.get(path).await.expect(status);
        assert_eq!(first.header("x-ratelimit-limit"), Some("100"));
        assert!(left(&second) < left(&first), "{path}");
    }
    let mut asked = 6;
    let refused = loop {
        let reply = client.get("/nowhere").await;
        if reply.status == 429 {
            break reply;
        }
        asked += 1;
        assert!(asked < 200, "no limit at all");
    };
    assert_refused(&refused, 429, "Rate limit exceeded");
    assert!(refused.header("retry-after").is_some());
    client.get("/ping").await.expect(429);
}
