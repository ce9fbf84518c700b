use super::*;
use crate::expr::parse::parse_queries;

const NOW: i64 = 1_800_000_000;

/// Points of a gauge.
fn gauge<'a>(metric: &'a str, tags: &'a Tags, points: &'a [(i64, f64)]) -> Submission<'a> {
    Submission { metric, tags, kind: Kind::Gauge, interval: None, points }
}

fn submit(store: &mut Store, now: i64, metric: &str, points: &[(i64, f64)]) {
    store.insert(now, &gauge(metric, &Tags::default(), points));
}

fn points(store: &Store) -> Vec<(i64, f64)> {
    let sources = store.sources("m", &Scope::everything(), i64::MIN, i64::MAX);
    sources.into_iter().flat_map(|source| source.points).collect()
}

#[test]
fn points_are_kept_in_order_and_the_last_one_of_a_second_wins() {
    let mut store = Store::default();
    submit(&mut store, NOW, "m", &[(NOW, 0.0), (NOW - 20, 2.0), (NOW - 10, 3.0), (NOW, 1.0)]);
    submit(&mut store, NOW, "m", &[(NOW - 10, 4.0)]);
    assert_eq!(points(&store), [(NOW - 20, 2.0), (NOW - 10, 4.0), (NOW, 1.0)]);
    assert_eq!((store.series(), store.points()), (1, 3));
}

#[test]
fn points_an_hour_old_or_ten_minutes_ahead_are_the_last_to_be_taken() {
    let mut store = Store::default();
    let times = [NOW - 3601, NOW - 3600, NOW + 600, NOW + 601, i64::MIN, i64::MAX];
    submit(&mut store, NOW, "m", &times.map(|time| (time, 1.0)));
    assert_eq!(points(&store), [(NOW - 3600, 1.0), (NOW + 600, 1.0)]);
    assert_eq!(store.dropped(), 4);
}

#[test]
fn the_range_includes_both_ends() {
    let mut store = Store::default();
    let all: Vec<_> = (0..10).map(|index| (NOW + index, 1.0)).collect();
    submit(&mut store, NOW, "m", &all);
    let sources = store.sources("m", &Scope::everything(), NOW + 2, NOW + 4);
    assert_eq!(sources[0].points.len(), 3);
    let none = store.sources("m", &Scope::everything(), NOW + 4, NOW + 2);
    assert_eq!(none[0].points, []);
}

#[test]
fn old_points_and_their_series_are_forgotten() {
    let mut store = Store::default();
    submit(&mut store, NOW, "old", &[(NOW, 1.0)]);
    let tags = Tags::normalise(["a:b"]);
    store.insert(NOW, &gauge("m", &tags, &[(NOW, 1.0)]));
    submit(&mut store, NOW + RETENTION + 1, "m", &[(NOW + RETENTION, 1.0)]);
    submit(&mut store, NOW + RETENTION + 100, "m", &[(NOW + RETENTION + 99, 2.0)]);
    assert_eq!((store.series(), store.points()), (1, 2));
    assert_eq!(found(&store, "a:b"), 0);
    assert_eq!(found(&store, "*"), 1);
}

#[test]
fn a_series_keeps_only_its_newest_points() {
    let mut store = Store::default();
    let cap = i64::try_from(MAX_POINTS_PER_SERIES).unwrap();
    for start in (0..cap + 60).step_by(60) {
        let batch: Vec<_> = (start..start + 60).map(|index| (NOW + index, 1.0)).collect();
        submit(&mut store, NOW + start, "m", &batch);
    }
    let points = points(&store);
    assert_eq!(points.len(), store.points());
    // Runs of 128 go as a whole.
    assert!((MAX_POINTS_PER_SERIES - 128..=MAX_POINTS_PER_SERIES).contains(&points.len()));
    assert_eq!(points.last(), Some(&(NOW + cap + 59, 1.0)));
}

#[test]
fn series_and_points_beyond_the_limits_are_dropped_and_counted() {
    let limits = Limits { series: 2, points: 3, points_per_series: 100 };
    let mut store = Store { limits, ..Store::default() };
    submit(&mut store, NOW, "a", &[(NOW, 1.0)]);
    submit(&mut store, NOW, "b", &[(NOW, 1.0)]);
    submit(&mut store, NOW, "c", &[(NOW, 1.0)]);
    assert_eq!((store.series(), store.points(), store.dropped()), (2, 2, 1));
    submit(&mut store, NOW, "b", &[(NOW + 1, 1.0), (NOW + 2, 1.0)]);
    assert_eq!((store.series(), store.points(), store.dropped()), (2, 2, 3));
}

#[test]
fn when_memory_runs_short_the_oldest_points_go_first() {
    let limits = Limits { series: 9, points: 1000, points_per_series: 10_000 };
    let mut store = Store { limits, ..Store::default() };
    for minute in 0..300 {
        let at = NOW + minute * 60;
        let batch: Vec<_> = (0..6).map(|index| (at + index * 10, 1.0)).collect();
        submit(&mut store, at, "m", &batch);
    }
    assert_eq!(store.dropped(), 0);
    assert!(store.points() <= 1000);
    let hour = points(&store).iter().filter(|(time, _)| NOW + 240 * 60 <= *time).count();
    assert_eq!(hour, 360);
}

#[test]
fn a_distribution_keeps_all_values_of_a_second_up_to_a_limit() {
    let mut store = Store::default();
    let tags = Tags::default();
    let mut submit = |count: usize| {
        let points = vec![(NOW, 2.5); count];
        let kind = Kind::Distribution;
        let tags = &tags;
        store.insert(NOW, &Submission { metric: "m", tags, kind, interval: None, points: &points });
        (store.points(), store.dropped())
    };
    assert_eq!(submit(2), (2, 0));
    assert_eq!(submit(997), (999, 0));
    assert_eq!(submit(3), (1000, 2));
}

#[test]
fn kind_and_interval_are_those_submitted_last() {
    let mut store = Store::default();
    let tags = Tags::default();
    let mut submit = |kind, interval, time| {
        let points = &[(time, 1.0)];
        store.insert(NOW, &Submission { metric: "m", tags: &tags, kind, interval, points });
        let source = store.sources("m", &Scope::everything(), NOW, NOW + 99).remove(0);
        (source.kind, source.interval, source.points.len())
    };
    assert_eq!(submit(Kind::Count, Some(10), NOW), (Kind::Count, Some(10), 1));
    assert_eq!(submit(Kind::Rate, None, NOW + 1), (Kind::Rate, None, 2));
    // What a distribution means is another thing than what a rate means.
    assert_eq!(submit(Kind::Distribution, None, NOW + 2), (Kind::Distribution, None, 1));
}

/// How many series of `m` are in a scope.
#[track_caller]
fn found(store: &Store, scope: &str) -> usize {
    let queries = parse_queries(&format!("avg:m{{{scope}}}")).unwrap();
    let of = |store: &Store| store.sources("m", &queries[0].queries()[0].scope, 0, i64::MAX);
    let sources = of(store);
    assert!(
        sources.iter().all(|source| queries[0].queries()[0].scope.matches(&source.tags)),
        "{scope}"
    );
    sources.len()
}

#[test]
fn the_index_finds_what_a_scan_finds() {
    let mut store = Store::default();
    for index in 0..60 {
        let env = if index % 3 == 0 { "prod" } else { "test" };
        let tags = [format!("host:h{index}"), format!("env:{env}"), format!("az:{}", index % 2)];
        store.insert(NOW, &gauge("m", &Tags::normalise(tags), &[(NOW, 1.0)]));
    }
    for (scope, expected) in [
        ("*", 60),
        ("host:h7", 1),
        ("host:h7,env:prod", 0),
        ("host:h77", 0),
        ("env:prod,az:0", 10),
        ("env:prod,!az:0", 10),
        ("!env:prod", 40),
        ("host:h1*", 11),
        ("host IN (h1,h2,h2,h99)", 2),
        ("env:prod OR az:0", 40),
        ("env:prod AND host NOT IN (h0)", 19),
    ] {
        assert_eq!(found(&store, scope), expected, "{scope}");
    }
}
