//! Counts, rates and distributions, and what stands in gaps.

use super::*;

fn of_kind(kind: Kind, interval: Option<u32>, points: &[(i64, f64)]) -> Source {
    Source { kind, interval, ..source(&[], points) }
}

/// One value a bucket of 20 s over a minute.
#[track_caller]
fn minute(text: &str, sources: &[Source], expected: [Option<f64>; 3]) {
    let answers = answers(text, Window { from: 0, to: 59 }, sources).answers;
    let found = answers.first().map(|it| it.values.clone());
    assert_eq!(found.unwrap_or(vec![None; 3]), expected, "{text}");
}

/// The two tables of docs, "Metric Type Modifiers".
#[test]
fn counts_are_summed_and_rates_are_multiplied_by_the_time_between_points() {
    let points = [(0, 5.0), (10, 5.0), (20, 1.0), (30, 3.0)];
    let count = |interval| [of_kind(Kind::Count, interval, &points)];
    let rate = |interval| [of_kind(Kind::Rate, interval, &points)];
    minute("sum:m{*}.rollup(20)", &count(Some(10)), [Some(5.0), Some(2.0), None]);
    minute("sum:m{*}.as_count().rollup(20)", &count(Some(10)), [Some(10.0), Some(4.0), None]);
    minute("sum:m{*}.as_count().rollup(20)", &count(None), [Some(10.0), Some(4.0), None]);
    minute("sum:m{*}.as_count().rollup(max,20)", &count(None), [Some(5.0), Some(3.0), None]);
    minute("sum:m{*}.as_rate().rollup(20)", &count(Some(10)), [Some(0.5), Some(0.2), None]);
    minute("sum:m{*}.as_rate().rollup(20)", &count(Some(20)), [Some(10.0), Some(4.0), None]);
    minute("sum:m{*}.as_count().rollup(20)", &rate(Some(10)), [Some(100.0), Some(40.0), None]);
    minute("sum:m{*}.as_count().rollup(20)", &rate(None), [Some(100.0), Some(40.0), None]);
    minute("sum:m{*}.as_rate().rollup(20)", &rate(Some(10)), [Some(5.0), Some(2.0), None]);
    minute("sum:m{*}.as_rate().rollup(20)", &rate(None), [Some(5.0), Some(2.0), None]);
    let gauge = [of_kind(Kind::Gauge, Some(10), &points)];
    minute("sum:m{*}.as_count().rollup(20)", &gauge, [Some(5.0), Some(2.0), None]);
    minute("sum:m{*}.as_rate().rollup(20)", &gauge, [Some(5.0), Some(2.0), None]);
}

#[test]
fn counts_that_are_queried_as_such_have_no_interpolation() {
    let sources =
        |kind| [of_kind(kind, None, &[(0, 1.0), (40, 3.0)]), of_kind(kind, None, &[(20, 10.0)])];
    let (text, expected) = ("sum:m{*}.as_count().rollup(20)", [Some(1.0), Some(10.0), Some(3.0)]);
    minute(text, &sources(Kind::Count), expected);
    minute(text, &sources(Kind::Gauge), [Some(1.0), Some(12.0), Some(3.0)]);
    minute("sum:m{*}.rollup(20)", &sources(Kind::Count), [Some(1.0), Some(12.0), Some(3.0)]);
    minute("sum:m{*}.rollup(20).fill(null)", &sources(Kind::Gauge), expected);
    minute(
        "sum:m{*}.rollup(20).fill(last)",
        &sources(Kind::Gauge),
        [Some(1.0), Some(11.0), Some(13.0)],
    );
}

#[test]
fn fill_is_for_a_single_source_too() {
    let one = [of_kind(Kind::Gauge, None, &[(5, 4.0)])];
    minute("m{*}.rollup(20)", &one, [Some(4.0), None, None]);
    minute("m{*}.rollup(20).fill(zero)", &one, [Some(4.0), Some(0.0), Some(0.0)]);
    minute("m{*}.rollup(20).fill(last,20)", &one, [Some(4.0), Some(4.0), None]);
}

#[test]
fn all_values_of_a_distribution_count_alike() {
    let sources = [
        of_kind(Kind::Distribution, None, &[(0, 1.0), (0, 2.0), (1, 3.0), (40, 7.0)]),
        of_kind(Kind::Distribution, None, &[(0, 10.0)]),
    ];
    minute("avg:m{*}.rollup(20)", &sources, [Some(4.0), None, Some(7.0)]);
    minute("sum:m{*}.rollup(max,20)", &sources, [Some(16.0), None, Some(7.0)]);
    minute("min:m{*}.rollup(20)", &sources, [Some(1.0), None, Some(7.0)]);
    minute("max:m{*}.rollup(20)", &sources, [Some(10.0), None, Some(7.0)]);
    minute("count:m{*}.rollup(20)", &sources, [Some(4.0), None, Some(1.0)]);
    minute("count:m{*}.as_count().rollup(20)", &sources, [Some(4.0), None, Some(1.0)]);
    minute("count:m{*}.as_rate().rollup(20)", &sources, [Some(0.2), None, Some(0.05)]);
    minute("p50:m{*}.rollup(20)", &sources, [Some(3.0), None, Some(7.0)]);
    minute("p99.9:m{*}.rollup(20)", &sources, [Some(10.0), None, Some(7.0)]);
    minute(
        "default_zero(count:m{*}.as_count().rollup(20))",
        &sources,
        [Some(4.0), Some(0.0), Some(1.0)],
    );
}

#[test]
fn other_metrics_have_no_percentiles() {
    let gauge = [of_kind(Kind::Gauge, None, &[(0, 1.0)])];
    minute("p99:m{*}.rollup(20)", &gauge, [None; 3]);
    minute("count:m{*}.rollup(20)", &gauge, [None; 3]);
}
