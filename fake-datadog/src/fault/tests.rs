use std::time::Duration;

use super::*;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn clock(scale: f64) -> ScenarioClock {
    ScenarioClock::new(START, TimeScale::new(scale).unwrap())
}

fn faults(all: impl IntoIterator<Item = Fault>) -> Faults {
    let mut faults = Faults::default();
    for fault in all {
        faults.set(START, fault).unwrap();
    }
    faults
}

fn hit_at(faults: &mut Faults, now: Timestamp, endpoint: Option<Endpoint>) -> Effects {
    faults.hit(now, Target { endpoint, path: "/api/v1/query", keys: &["main".to_owned()] })
}

fn hit(faults: &mut Faults, endpoint: Option<Endpoint>) -> Effects {
    hit_at(faults, START, endpoint)
}

#[test]
fn a_limited_fault_ends_after_its_last_hit() {
    let mut faults = faults([Fault::new("none", Effect::Empty).times(2)]);
    assert!(hit(&mut faults, Some(Endpoint::Query)).empty);
    assert!(!hit(&mut faults, Some(Endpoint::Validate)).empty);
    assert!(hit(&mut faults, Some(Endpoint::Timeseries)).empty);
    assert!(!hit(&mut faults, Some(Endpoint::Query)).empty);
    assert_eq!(faults.len(START), 0);
    let state = faults.list(START).faults.remove(0);
    assert_eq!((state.hits, state.remaining, state.active), (2, Some(0), false));
    assert_eq!(faults.clear(START, None), 0);
}

#[test]
fn a_fault_hits_only_its_endpoint() {
    let mut faults = faults([Fault::new("down", Effect::status(503)).on(Endpoint::Series)]);
    assert_eq!(hit(&mut faults, Some(Endpoint::Query)), Effects::default());
    assert!(hit(&mut faults, Some(Endpoint::Series)).status.is_some());
    assert_eq!(hit(&mut faults, None), Effects::default());
}

#[test]
fn a_fault_hits_only_paths_with_its_beginning() {
    let mut faults = faults([Fault::new("down", Effect::status(503)).on_path("/api/v2/")]);
    assert_eq!(hit(&mut faults, None), Effects::default());
    let target = Target { endpoint: None, path: "/api/v2/logs", keys: &[] };
    assert!(faults.hit(START, target).status.is_some());
}

#[test]
fn delays_add_up_and_the_oldest_answer_wins() {
    let second = Effect::Delay(Span::from_secs(1));
    let mut faults = faults([
        Fault::new("a", second.clone()),
        Fault::new("b", second),
        Fault::new("c", Effect::status(500)),
        Fault::new("d", Effect::status(429)),
    ]);
    let effects = hit(&mut faults, None);
    assert_eq!(effects.delay, Duration::from_secs(2));
    assert_eq!(effects.status.map(|it| it.code), Some(500));
}

#[test]
fn a_fault_of_the_same_name_is_replaced() {
    let mut faults = faults([Fault::new("a", Effect::status(500)), Fault::new("a", Effect::Empty)]);
    assert_eq!(faults.len(START), 1);
    assert_eq!(faults.clear(START, Some("b")), 0);
    assert_eq!(faults.clear(START, Some("a")), 1);
}

#[test]
fn a_fault_is_in_force_for_its_span_alone() {
    let span = |length| Span::from_secs(length);
    let fault = Fault::new("f", Effect::Empty).starting_at(span(10)).lasting(span(5));
    let mut faults = faults([fault]);
    let query = Some(Endpoint::Query);
    let hits = [9, 10, 14, 15].map(|at| hit_at(&mut faults, after(at), query).empty);
    assert_eq!(hits, [false, true, true, false]);
    assert_eq!([0, 10, 15].map(|at| faults.len(after(at))), [1, 1, 0]);
    let state = faults.list(after(12)).faults.remove(0);
    assert_eq!((state.active, state.from, state.until), (true, after(10), Some(after(15))));
}

#[test]
fn the_span_is_the_scenarios_time() {
    let mut faults = Faults::new(0, clock(60.0));
    let minute = Span::from_secs(60);
    faults.set(START, Fault::new("f", Effect::Empty).starting_at(minute).lasting(minute)).unwrap();
    let hits = [0, 1, 2].map(|at| hit_at(&mut faults, after(at), Some(Endpoint::Query)).empty);
    assert_eq!(hits, [false, true, false]);
}

#[test]
fn chance_follows_from_the_seed() {
    let struck = |seed| {
        let mut faults = Faults::new(seed, clock(1.0));
        faults.set(START, Fault::new("f", Effect::Empty).with_probability(0.25)).unwrap();
        (0..400).map(|_| hit(&mut faults, Some(Endpoint::Query)).empty).collect::<Vec<_>>()
    };
    assert_eq!(struck(1), struck(1));
    assert_ne!(struck(1), struck(2));
    let share = struck(1).iter().filter(|it| **it).count();
    assert!((80..120).contains(&share), "{share}");
}

#[test]
fn keys_are_revoked_by_name_and_only_their_requests_count() {
    let revoke = |key: &str| Fault::new(key, Effect::KeyRevoked(vec![key.to_owned()]));
    let mut faults = faults([revoke("other"), revoke("main"), revoke("*")]);
    assert!(hit(&mut faults, Some(Endpoint::Query)).revoked);
    let hits: Vec<_> = faults.list(START).faults.iter().map(|it| it.hits).collect();
    assert_eq!(hits, [0, 1, 1]);
}

#[test]
fn handshakes_fail_as_often_as_the_fault_says() {
    let mut faults = faults([Fault::new("tls", Effect::TlsFailure(Handshake::Alert)).times(1)]);
    assert_eq!(hit(&mut faults, Some(Endpoint::Query)), Effects::default());
    assert_eq!(faults.handshake(START), Some(Handshake::Alert));
    assert_eq!(faults.handshake(START), None);
}

#[test]
fn a_clock_ahead_moves_points_into_the_future() {
    let skew = Effect::ClockSkew(crate::control::Skew::Ahead(Span::from_secs(90)));
    let mut faults = faults([Fault::new("skew", skew)]);
    let effects = hit(&mut faults, Some(Endpoint::Query));
    assert_eq!((effects.stale_by, effects.clock_ahead), (-90, 90));
}
