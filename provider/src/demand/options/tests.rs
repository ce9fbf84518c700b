use proptest::prelude::*;

use super::*;

fn read(annotations: &[(&str, &str)]) -> (Options, Vec<String>) {
    let annotations = annotations
        .iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned()))
        .collect();
    let (options, problems) = Options::read(&annotations);
    assert!(problems.iter().all(|problem| problem.reason == "InvalidOption"));
    (options, problems.into_iter().map(|problem| problem.note).collect())
}

fn good(annotations: &[(&str, &str)]) -> Options {
    let (options, problems) = read(annotations);
    assert_eq!(problems, Vec::<String>::new());
    options
}

#[track_caller]
fn bad(annotation: &str, value: &str, expected: &str) {
    let (options, problems) = read(&[(annotation, value)]);
    assert_eq!(options, Options::default());
    assert_eq!(problems, [format!("annotation {PREFIX}{annotation}: {expected}")]);
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_option_is_read() {
    let options = good(&[
        ("aggregator", "SUM"),
        ("rollup", "60"),
        ("max-age", "15m"),
        ("window", "1h"),
        ("fallback", "1500m"),
        ("fallback-after", "1m30s"),
    ]);
    let expected = Overrides {
        aggregator: Some(Aggregator::Sum),
        rollup: Some(seconds(60)),
        max_age: Some(seconds(900)),
        window: Some(seconds(3600)),
        fallback: Some(Fallback { value: 1.5, after: seconds(90) }),
    };
    assert_eq!(options.overrides(Metric::Named("any")), expected);
    assert_eq!(
        options.overrides(Metric::Reference),
        Overrides { aggregator: None, rollup: None, ..expected },
        "the query of a DatadogMetric says these itself"
    );
}

#[test]
fn one_metric_in_any_case_may_have_its_own() {
    let options = good(&[
        ("Queue.Depth.aggregator", "max"),
        ("aggregator", "sum"),
        ("fallback", "7"),
        ("queue.depth.fallback-after", "10m"),
    ]);
    let own = options.overrides(Metric::Named("queue.DEPTH"));
    assert_eq!(own.aggregator, Some(Aggregator::Max));
    assert_eq!(own.fallback, Some(Fallback { value: 7.0, after: seconds(600) }));
    let other = options.overrides(Metric::Named("other"));
    assert_eq!(other.aggregator, Some(Aggregator::Sum));
    assert_eq!(other.fallback, Some(Fallback { value: 7.0, after: FALLBACK_AFTER }));
}

#[test]
fn a_metric_whose_name_ends_like_an_option_is_the_longest_that_fits() {
    let options = good(&[("queue.rollup.max-age", "5m"), ("queue.rollup", "60")]);
    assert_eq!(options.overrides(Metric::Named("queue.rollup")).max_age, Some(seconds(300)));
    assert_eq!(options.overrides(Metric::Named("queue")).rollup, Some(seconds(60)));
    let options = good(&[("rollup", "60"), ("rollup.rollup", "90")]);
    assert_eq!(options.overrides(Metric::Named("rollup")).rollup, Some(seconds(90)));
    assert_eq!(options.overrides(Metric::Named("other")).rollup, Some(seconds(60)));
}

#[test]
fn what_cannot_be_read_is_named_with_what_is_allowed() {
    bad("aggregator", "mean", "\"mean\" is none of avg, sum, min and max");
    bad("fallback", "many", "\"many\" is no number such as 7, 2.5 or 1500m");
    bad("max-age", "0", "\"0\" is no time from 1s to 24h, such as 30, 90s or 15m");
    bad("fallback-after", "2d", "\"2d\" is no time from 1s to 24h, such as 30, 90s or 15m");
    bad(
        "m.window",
        "25h",
        "\"25h\" is no time in whole seconds from 1s to 24h, such as 30, 90s or 15m",
    );
    bad(
        "rollup",
        "1.5s",
        "\"1.5s\" is no time in whole seconds from 1s to 24h, such as 30, 90s or 15m",
    );
    bad(
        "m.agregator",
        "sum",
        "option \"agregator\" is unknown, use one of aggregator, rollup, max-age, window, fallback, \
         fallback-after",
    );
}

#[test]
fn a_bad_option_leaves_the_others_alone() {
    let (options, problems) = read(&[("aggregator", "sum"), ("rollup", "soon")]);
    assert_eq!(problems.len(), 1);
    assert_eq!(options.overrides(Metric::Named("m")).aggregator, Some(Aggregator::Sum));
}

#[test]
fn the_same_option_twice_is_a_mistake() {
    let (options, problems) = read(&[("M.rollup", "60"), ("m.rollup", "90")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("m.rollup: is there twice"), "{problems:?}");
    assert_eq!(options.overrides(Metric::Named("m")).rollup, Some(seconds(60)));
}

#[test]
fn options_without_effect_are_said() {
    let options = good(&[("aggregator", "sum"), ("queue.rollup", "60")]);
    assert_eq!(options.without_effect(&[Metric::Named("Queue")]), []);
    let notes: Vec<_> = options
        .without_effect(&[Metric::Named("queues"), Metric::Reference])
        .into_iter()
        .map(|problem| problem.note)
        .collect();
    assert_eq!(
        notes,
        [
            "annotation external-metrics.datadoghq.com/queue.…: the object has no external metric \
             \"queue\", name one that it has or leave the metric's name out",
            "annotation external-metrics.datadoghq.com/aggregator: has no effect on a reference to \
             a DatadogMetric, write it into the query there; for another metric of the object \
             write METRIC.aggregator",
        ]
    );
}

#[test]
fn a_delay_needs_a_value_to_delay() {
    let metrics = [Metric::Named("m")];
    for idle in [good(&[("fallback-after", "60")]), good(&[("m.fallback-after", "60")])] {
        let problems = idle.without_effect(&metrics);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].note.contains("fallback-after has no effect without"), "{problems:?}");
    }
    for used in [
        good(&[("fallback-after", "60"), ("m.fallback", "1")]),
        good(&[("m.fallback-after", "60"), ("fallback", "1")]),
    ] {
        assert_eq!(used.without_effect(&metrics), []);
    }
}

#[test]
fn other_annotations_are_none_of_ours() {
    let annotations = BTreeMap::from([("example.com/aggregator".to_owned(), "no".to_owned())]);
    assert_eq!(Options::read(&annotations), (Options::default(), vec![]));
}

proptest! {
    #[test]
    fn property_test_no_text_panics_and_what_is_no_option_is_said(
        name in "((m\\.)?(aggregator|rollup|max-age|window|fallback|fallback-after)|\\PC{0,12})",
        value in "([0-9.smh]{0,8}|avg|sum|\\PC{0,12})",
    ) {
        let (options, problems) = read(&[(&name, &value)]);
        prop_assert_eq!(problems.is_empty(), options != Options::default());
        let overrides = options.overrides(Metric::Named("m"));
        prop_assert!(overrides.rollup.is_none_or(|rollup| rollup.as_secs() >= 1));
        prop_assert!(overrides.fallback.is_none_or(|fallback| fallback.value.is_finite()));
    }
}
