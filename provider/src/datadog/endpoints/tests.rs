use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn health(count: usize) -> Vec<Health> {
    vec![Health::default(); count]
}

fn down() -> Error {
    Error::Unreachable { endpoint: "http://a".into(), cause: "no".into() }
}

fn limited(seconds: u64) -> Error {
    Error::RateLimited { reset: Some(Duration::from_secs(seconds)) }
}

/// Fails a question that was put at `second` and answered at once.
fn fail(health: &mut Health, second: i64, error: &Error) -> bool {
    health.failed(at(second), at(second), error)
}

fn skipped_for(health: &Health, since: i64) -> Option<i64> {
    health.status("".into(), true).skipped_until.map(|until| until.as_second() - since)
}

// Datadog's agent's fallback client: "order, skip within retry interval, halving/doubling"
// (facts/datadog.md §7.1, "Datadog client").
#[test]
fn the_main_endpoint_is_first_and_is_skipped_after_a_failure() {
    let mut health = health(3);
    assert_eq!(order(&mut health, at(0)), [0, 1, 2]);
    fail(&mut health[0], 0, &down());
    assert_eq!(order(&mut health, at(29)), [1, 2, 0]);
    assert_eq!(order(&mut health, at(30)), [0, 1, 2]);
    health[0].succeeded(at(30));
    assert_eq!(order(&mut health, at(31)), [0, 1, 2]);
}

#[test]
fn the_time_doubles_to_half_an_hour_and_halves_to_half_a_minute() {
    let mut health = Health::default();
    let mut now = 0;
    let mut times = Vec::new();
    for _ in 0..8 {
        fail(&mut health, now, &down());
        times.push(skipped_for(&health, now).unwrap());
        now += 3600;
    }
    assert_eq!(times, [30, 60, 120, 240, 480, 960, 1800, 1800]);
    for expected in [900, 450, 225] {
        health.succeeded(at(now));
        assert_eq!(health.skip, Duration::from_secs(expected));
    }
    for _ in 0..5 {
        health.succeeded(at(now));
    }
    assert_eq!(health.skip, FIRST_SKIP);
}

#[test]
fn questions_that_failed_together_are_one_failure() {
    let mut health = Health::default();
    for _ in 0..10 {
        health.failed(at(0), at(5), &down());
    }
    assert_eq!(skipped_for(&health, 5), Some(30));
    fail(&mut health, 36, &down());
    assert_eq!(skipped_for(&health, 36), Some(60));
}

#[test]
fn only_the_first_failure_and_the_first_success_are_news() {
    let mut health = Health::default();
    assert!(!health.succeeded(at(0)));
    assert!(fail(&mut health, 1, &down()));
    assert!(!fail(&mut health, 40, &limited(5)));
    assert!(health.succeeded(at(50)));
    assert!(!health.succeeded(at(51)));
}

#[test]
fn one_call_finds_out_whether_an_endpoint_is_back() {
    let mut health = health(2);
    fail(&mut health[0], 0, &down());
    assert_eq!(order(&mut health, at(31)), [0, 1], "this one finds out");
    assert_eq!(order(&mut health, at(32)), [1, 0], "the others do not wait for it");
    health[0].succeeded(at(33));
    assert_eq!(order(&mut health, at(33)), [0, 1]);
}

#[test]
fn all_that_are_skipped_are_asked_in_order() {
    let mut health = health(2);
    fail(&mut health[1], 0, &down());
    fail(&mut health[0], 1, &down());
    assert_eq!(order(&mut health, at(2)), [0, 1]);
}

#[test]
fn a_rate_limit_holds_until_its_reset_and_is_not_tried() {
    let mut health = health(2);
    fail(&mut health[0], 0, &limited(3000));
    fail(&mut health[1], 1, &down());
    assert_eq!(order(&mut health, at(2)), [1]);
    fail(&mut health[1], 40, &limited(100));
    assert_eq!(order(&mut health, at(41)), [1], "its calls come back first");
    assert_eq!(order(&mut health, at(3000)), [0, 1]);
}

#[test]
fn a_lone_endpoint_is_never_skipped() {
    let mut health = health(1);
    fail(&mut health[0], 0, &limited(3000));
    assert_eq!(order(&mut health, at(1)), [0]);
    let status = health[0].status("http://a".into(), false);
    assert_eq!(status.skipped_until, None);
    let words = "Datadog's rate limit is used up (HTTP 429, resets within 50m)".to_owned();
    assert_eq!(status.last_failure, Some((at(0), words)));
}

#[test]
fn the_first_error_stands_for_all_and_a_limit_only_when_all_have_one() {
    assert_eq!(telling(&[&limited(5), &down(), &down()]), Some(1));
    assert_eq!(telling(&[&limited(50), &limited(5)]), Some(1));
    assert_eq!(telling(&[&Error::RateLimited { reset: None }, &limited(5)]), Some(1));
    assert_eq!(telling(&[]), None);
}

proptest! {
    #[test]
    fn property_test_somebody_is_always_asked_and_nobody_twice(
        events in prop::collection::vec((0usize..3, 0u8..3, 0i64..200), 0..40)
    ) {
        let mut health = health(3);
        let mut now = 0;
        for (which, event, passed) in events {
            now += passed;
            let _ = match event {
                0 => health[which].succeeded(at(now)),
                1 => fail(&mut health[which], now, &down()),
                _ => fail(&mut health[which], now, &limited(100)),
            };
            let asked = order(&mut health, at(now));
            let distinct: std::collections::BTreeSet<_> = asked.iter().collect();
            prop_assert!(!asked.is_empty() && distinct.len() == asked.len());
            prop_assert!(asked.iter().all(|position| *position < 3));
            prop_assert!(health.iter().all(|it| it.skip <= LONGEST_SKIP && FIRST_SKIP <= it.skip));
        }
    }
}
