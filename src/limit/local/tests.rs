mod model;

use std::{net::IpAddr, sync::Arc, thread};

use governor::clock::FakeRelativeClock;

use super::*;
use crate::pipeline::quota::{Across, KeyPart, KeyParts, LimitKey};

type Fake = LocalLimiter<FakeRelativeClock>;

fn limiter(max_keys: usize) -> (Fake, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    clock.advance(secs(1_000_000));
    (LocalLimiter::with_clock(&Settings { max_keys }, clock.clone()), clock)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn per(limit: u32, span: u64) -> Window {
    Window { limit, per: secs(span) }
}

fn charge<'a>(limit: &'a str, who: &'a str, windows: &'a [Window]) -> Charge<'a> {
    Charge {
        key: LimitKey { limit, parts: KeyParts::from_iter([KeyPart::Key(who)]) },
        windows,
        across: Across::default(),
    }
}

/// The trait's answer. The local limiter never waits, so one poll is enough.
fn check<C: Clock<Instant = Nanos> + Send + Sync + 'static>(
    limiter: &LocalLimiter<C>,
    charges: &[Charge<'_>],
) -> Result<Option<Toll>, LimitError> {
    let mut future = RateLimiter::check(limiter, charges);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("the local limiter waited"),
    }
}

fn passes(limiter: &Fake, limit: &str, who: &str, windows: &[Window]) -> bool {
    check(limiter, &[charge(limit, who, windows)]).is_ok()
}

fn refusal(answer: Result<Option<Toll>, LimitError>) -> Toll {
    match answer {
        Err(LimitError::Limited(toll)) => toll,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn nothing_to_charge_has_no_toll() {
    let (limiter, _) = limiter(10);
    assert_eq!(check(&limiter, &[]), Ok(None));
    assert_eq!(check(&limiter, &[charge("a", "x", &[])]), Ok(None));
    assert_eq!(limiter.tracked(), 0);
}

#[test]
fn the_toll_counts_down_and_fills_up_again() {
    let (limiter, clock) = limiter(10);
    let windows = [per(2, 10)];
    let toll = check(&limiter, &[charge("a", "x", &windows)]).unwrap().unwrap();
    let expected = Toll {
        name: "a".into(),
        window: windows[0],
        remaining: 1,
        reset_after: secs(5),
        retry_after: None,
    };
    assert_eq!(toll, expected);
    let toll = check(&limiter, &[charge("a", "x", &windows)]).unwrap().unwrap();
    assert_eq!((toll.remaining, toll.reset_after), (0, secs(10)));

    let toll = refusal(check(&limiter, &[charge("a", "x", &windows)]));
    assert_eq!((toll.remaining, toll.reset_after), (0, secs(10)));
    assert_eq!(toll.retry_after, Some(secs(5)));

    clock.advance(toll.retry_after.unwrap());
    let toll = check(&limiter, &[charge("a", "x", &windows)]).unwrap().unwrap();
    assert_eq!(toll.remaining, 0);
}

#[test]
fn coming_back_one_nanosecond_early_is_refused() {
    let (limiter, clock) = limiter(10);
    let windows = [per(1, 7)];
    assert!(passes(&limiter, "a", "x", &windows));
    clock.advance(secs(7) - Duration::from_nanos(1));
    assert!(!passes(&limiter, "a", "x", &windows));
    clock.advance(Duration::from_nanos(1));
    assert!(passes(&limiter, "a", "x", &windows));
}

#[test]
fn keys_and_limits_do_not_share() {
    let (limiter, _) = limiter(10);
    let windows = [per(1, 10)];
    assert!(passes(&limiter, "a", "x", &windows));
    assert!(passes(&limiter, "a", "y", &windows));
    assert!(passes(&limiter, "b", "x", &windows));
    assert!(!passes(&limiter, "a", "x", &windows));

    let absent = |part| Charge {
        key: LimitKey { limit: "a", parts: KeyParts::from_iter([part]) },
        windows: &windows,
        across: Across::default(),
    };
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    assert!(check(&limiter, &[absent(KeyPart::Client(address))]).is_ok());
    assert!(check(&limiter, &[absent(KeyPart::Text("x"))]).is_ok());
}

#[test]
fn a_request_is_charged_to_all_windows_or_to_none() {
    let (limiter, clock) = limiter(10);
    let windows = [per(2, 2), per(3, 3600)];
    assert!(passes(&limiter, "a", "x", &windows));
    assert!(passes(&limiter, "a", "x", &windows));
    for _ in 0..50 {
        assert!(!passes(&limiter, "a", "x", &windows));
    }
    // Had the fifty refusals been charged to the hour, it would be used up.
    clock.advance(secs(1));
    assert!(passes(&limiter, "a", "x", &windows));
    clock.advance(secs(2));
    let toll = refusal(check(&limiter, &[charge("a", "x", &windows)]));
    assert_eq!(toll.window, windows[1]);
}

#[test]
fn a_request_is_charged_to_all_limits_or_to_none() {
    let (limiter, _) = limiter(10);
    let (narrow, wide) = ([per(1, 60)], [per(3, 60)]);
    let both = |who| [charge("wide", who, &wide), charge("narrow", who, &narrow)];
    assert!(check(&limiter, &both("x")).is_ok());
    for _ in 0..5 {
        assert_eq!(&*refusal(check(&limiter, &both("x"))).name, "narrow");
    }
    let toll = check(&limiter, &[charge("wide", "x", &wide)]).unwrap().unwrap();
    assert_eq!(toll.remaining, 1);
}

#[test]
fn a_refused_request_of_a_new_key_takes_no_place() {
    let (limiter, _) = limiter(10);
    let windows = [per(1, 60)];
    assert!(passes(&limiter, "a", "x", &windows));
    let charges = [charge("a", "x", &windows), charge("b", "new", &windows)];
    refusal(check(&limiter, &charges));
    assert_eq!(limiter.tracked(), 1);
}

#[test]
fn a_refusal_shows_the_refusing_window_and_the_longest_wait() {
    let (limiter, _) = limiter(10);
    let windows = [per(1, 1), per(2, 100), per(1, 30)];
    assert!(passes(&limiter, "a", "x", &windows));
    let toll = refusal(check(&limiter, &[charge("a", "x", &windows)]));
    // The middle window has one request left, which the refusal did not take.
    assert_eq!(toll.window, windows[2]);
    assert_eq!(toll.retry_after, Some(secs(30)));
}

#[test]
fn the_tightest_window_is_shown() {
    let (limiter, _) = limiter(10);
    let windows = [per(100, 60), per(5, 3600), per(5, 10)];
    let toll = check(&limiter, &[charge("a", "x", &windows)]).unwrap().unwrap();
    assert_eq!((toll.window, toll.remaining), (windows[1], 4));
}

#[test]
fn the_same_key_given_twice_is_one_charge() {
    let (limiter, _) = limiter(10);
    let windows = [per(2, 60)];
    let twice = [charge("a", "x", &windows), charge("a", "x", &windows)];
    assert_eq!(check(&limiter, &twice).unwrap().unwrap().remaining, 1);
}

#[test]
fn more_windows_than_one_entry_holds_all_count() {
    let (limiter, _) = limiter(10);
    let windows = [per(9, 60), per(8, 60), per(7, 60), per(6, 60), per(2, 60), per(3, 60)];
    assert!(passes(&limiter, "a", "x", &windows));
    assert!(passes(&limiter, "a", "x", &windows));
    assert_eq!(refusal(check(&limiter, &[charge("a", "x", &windows)])).window, windows[4]);
}

#[tokio::test]
async fn a_peek_charges_nothing() {
    let (limiter, _) = limiter(10);
    let windows = [per(2, 10)];
    let charges = [charge("a", "x", &windows)];
    for _ in 0..5 {
        let toll = limiter.peek(&charges).await.unwrap().unwrap();
        assert_eq!((toll.remaining, toll.reset_after, toll.retry_after), (2, secs(0), None));
    }
    assert_eq!(limiter.tracked(), 0);
    limiter.check(&charges).await.unwrap();
    limiter.check(&charges).await.unwrap();
    let toll = limiter.peek(&charges).await.unwrap().unwrap();
    assert_eq!((toll.remaining, toll.retry_after), (0, Some(secs(5))));
}

#[test]
fn changed_windows_start_afresh_and_unchanged_ones_go_on() {
    let (limiter, _) = limiter(10);
    assert!(passes(&limiter, "a", "x", &[per(1, 60)]));
    assert!(passes(&limiter, "a", "x", &[per(2, 60)]));
    assert!(!passes(&limiter, "a", "x", &[per(1, 60)]));
}

#[test]
fn at_the_cap_unknown_keys_share_one_bucket_per_limit_and_known_keys_keep_theirs() {
    let (limiter, _) = limiter(3);
    let windows = [per(2, 60)];
    for who in ["a", "b", "c"] {
        assert!(passes(&limiter, "l", who, &windows));
    }
    assert_eq!(limiter.tracked(), 3);
    // Two places in the coarse bucket, whoever comes.
    assert!(passes(&limiter, "l", "d", &windows));
    assert!(passes(&limiter, "l", "e", &windows));
    for n in 0..1000 {
        assert!(!passes(&limiter, "l", &format!("flood {n}"), &windows));
    }
    assert_eq!((limiter.tracked(), limiter.coarse()), (3, 2));
    // Another limit has a bucket of its own, and the tracked keys still know what they used.
    assert!(passes(&limiter, "m", "d", &windows));
    for who in ["a", "b", "c"] {
        assert!(passes(&limiter, "l", who, &windows));
        assert!(!passes(&limiter, "l", who, &windows));
    }
}

#[test]
fn two_unknown_keys_of_one_limit_are_one_charge_to_its_coarse_bucket() {
    let (limiter, _) = limiter(0);
    let windows = [per(2, 60)];
    let charges = [charge("l", "x", &windows), charge("l", "y", &windows)];
    assert_eq!(check(&limiter, &charges).unwrap().unwrap().remaining, 1);
    assert_eq!(limiter.coarse(), 1);
}

#[test]
fn a_full_table_takes_new_keys_again_when_old_ones_are_full_again() {
    let (limiter, clock) = limiter(1000);
    let windows = [per(1, 60)];
    for n in 0..1000 {
        assert!(passes(&limiter, "l", &n.to_string(), &windows));
    }
    clock.advance(secs(61));
    // No sweep has run: the shard of each new key is searched.
    for n in 1000..2000 {
        check(&limiter, &[charge("l", &n.to_string(), &windows)]).ok();
    }
    assert!(limiter.tracked() > 500, "{}", limiter.tracked());
    assert!(limiter.tracked() <= 1000);
}

#[test]
fn sweeping_forgets_exactly_the_keys_that_are_full_again() {
    let (limiter, clock) = limiter(10_000);
    let (short, long) = ([per(1, 10)], [per(1, 3600)]);
    for n in 0..1000 {
        assert!(passes(&limiter, "short", &n.to_string(), &short));
        assert!(passes(&limiter, "long", &n.to_string(), &long));
    }
    clock.advance(secs(10));
    for _ in 0..16 {
        limiter.sweep();
    }
    assert_eq!(limiter.tracked(), 1000);
    assert!((0..1000).all(|n| !passes(&limiter, "long", &n.to_string(), &long)));
    clock.advance(secs(3600));
    (0..16).for_each(|_| limiter.sweep());
    assert_eq!(limiter.tracked(), 0);
}

#[test]
fn many_threads_together_get_exactly_the_burst() {
    let (limiter, _) = limiter(100);
    let limiter = Arc::new(limiter);
    let ask = |limiter: &Fake, n: usize, times: usize| {
        let windows = [per(500, 3600), per(1000, 7200)];
        let other = format!("own {}", n % 2);
        let charges = [charge("shared", "x", &windows), charge("other", &other, &windows)];
        (0..times).filter(|_| check(limiter, &charges).is_ok()).count()
    };
    // Before the threads, one of which may be through before another begins: then its key would never be counted.
    let first = ask(&limiter, 0, 1) + ask(&limiter, 1, 1);
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let limiter = limiter.clone();
            thread::spawn(move || ask(&limiter, n, 400))
        })
        .collect();
    let rest: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(first + rest, 500);
    assert_eq!(limiter.tracked(), 3);
}

#[test]
fn the_monotonic_clock_only_goes_on() {
    let limiter = LocalLimiter::new(&Settings::default());
    let windows = [per(1, 3600)];
    assert!(check(&limiter, &[charge("a", "x", &windows)]).is_ok());
    let toll = refusal(check(&limiter, &[charge("a", "x", &windows)]));
    assert!(toll.retry_after.unwrap() <= secs(3600));
    limiter.sweep();
    assert_eq!(limiter.tracked(), 1);
}
