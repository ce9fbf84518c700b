use proptest::prelude::*;

use super::*;

const DEFAULT: Duration = Duration::from_secs(15);

fn target(pod: &str, interval: Option<u64>) -> Target {
    Target {
        id: TargetId {
            namespace: "default".into(),
            pod: pod.into(),
            uid: format!("uid-of-{pod}"),
            container: "nginx".into(),
            instance: 0,
        },
        status_url: format!("http://{pod}/nginx_status").parse().unwrap(),
        interval: interval.map(Duration::from_secs),
        node: None,
        tags: vec![format!("pod_name:{pod}")],
    }
}

#[test]
fn each_target_has_its_own_page_and_interval() {
    let sources = sources(vec![target("a", None), target("b", Some(5))], None, DEFAULT);
    let seen: Vec<_> = sources
        .iter()
        .map(|source| (source.url.as_str(), source.interval.as_secs(), source.targets.len()))
        .collect();
    assert_eq!(seen, [("http://a/nginx_status", 15, 1), ("http://b/nginx_status", 5, 1)]);
    assert_ne!(sources[0].key, sources[1].key);
}

#[test]
fn a_pod_that_changed_its_address_or_was_made_anew_is_another_source() {
    let key = |target: Target| sources(vec![target], None, DEFAULT)[0].key.clone();
    let before = key(target("a", None));
    assert_eq!(before, key(target("a", Some(3))));
    let mut moved = target("a", None);
    moved.status_url = "http://elsewhere/".parse().unwrap();
    assert_ne!(before, key(moved));
    let mut anew = target("a", None);
    anew.id.uid = "another".into();
    assert_ne!(before, key(anew));
}

#[test]
fn a_shared_page_stands_for_all_targets_or_for_none() {
    let url: Url = "http://127.0.0.1:8080/nginx_status".parse().unwrap();
    let all = sources(vec![target("a", None), target("b", Some(5))], Some(&url), DEFAULT);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].targets.len(), all[0].interval), (2, Duration::from_secs(5)));
    let none = sources(Vec::new(), Some(&url), DEFAULT);
    assert_eq!(none.len(), 1);
    assert_eq!((none[0].targets.len(), none[0].interval), (0, DEFAULT));
    assert_eq!(none[0].key, all[0].key);
}

#[test]
fn a_source_is_due_once_an_interval_after_the_first_round() {
    #[track_caller]
    fn check(last_round: Option<u64>, now: u64, expected: bool) {
        let milliseconds = Duration::from_millis;
        assert_eq!(is_due(DEFAULT, last_round.map(milliseconds), milliseconds(now)), expected);
    }
    check(None, 3, true);
    check(Some(3), 14_999, false);
    check(Some(3), 15_000, true);
    check(Some(15_000), 15_001, false);
    check(Some(15_000), 29_999, false);
    check(Some(15_200), 65_000, true);
    check(Some(65_000), 74_999, false);
}

#[test]
fn the_next_round_is_at_the_first_tick_of_any_interval() {
    let seconds = Duration::from_secs;
    assert_eq!(until_next([seconds(15), seconds(4)], seconds(0)), Some(seconds(4)));
    assert_eq!(until_next([seconds(15), seconds(4)], seconds(14)), Some(seconds(1)));
    assert_eq!(until_next([seconds(15), seconds(4)], seconds(15)), Some(seconds(1)));
    assert_eq!(until_next([], seconds(15)), None);
}

#[test]
fn a_read_ends_well_before_the_next_one() {
    assert_eq!(read_timeout(Duration::from_secs(1)), Duration::from_millis(500));
    assert_eq!(read_timeout(Duration::from_secs(15)), Duration::from_secs(5));
}

#[test]
fn a_broken_pod_is_news_once_and_again_when_the_fault_is_another() {
    let broken = |problem: &str| BTreeMap::from([("default/web".to_owned(), problem.to_owned())]);
    let mut pods = BrokenPods::default();
    assert_eq!(pods.update(broken("no JSON")).len(), 1);
    assert_eq!(pods.update(broken("no JSON")), []);
    assert_eq!(
        pods.update(broken("no container")),
        [("default/web".to_owned(), "no container".to_owned())]
    );
    assert_eq!(pods.update(BTreeMap::new()), []);
    assert_eq!(pods.update(broken("no container")).len(), 1);
}

proptest! {
    #[test]
    fn property_test_waiting_as_told_makes_something_due_and_nothing_before(
        intervals in prop::collection::vec(1_u64..100_000, 1..5), now in 0_u64..10_000_000,
    ) {
        let intervals: Vec<_> = intervals.into_iter().map(Duration::from_millis).collect();
        let now = Duration::from_millis(now);
        let wait = until_next(intervals.iter().copied(), now).unwrap();
        let due = |at| intervals.iter().any(|interval| is_due(*interval, Some(now), at));
        let just_before = (now + wait).saturating_sub(Duration::from_nanos(1));
        prop_assert!(!wait.is_zero());
        prop_assert!(due(now + wait));
        prop_assert!(!due(just_before));
    }

    #[test]
    fn property_test_no_interval_however_odd_breaks_the_schedule(interval: Duration, now: Duration) {
        prop_assert!(until_next([interval], now).is_some());
        is_due(interval, Some(Duration::ZERO), now);
    }
}
