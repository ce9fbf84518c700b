mod calls;
mod forms;
mod model;
mod total;

use super::*;
use crate::{
    expr::{
        data::{Kind, Source},
        parse::parse_queries,
        scope::Scope,
    },
    tags::Tags,
};

fn answers(text: &str, window: Window, sources: &[Source]) -> Evaluation {
    evaluate(&parse_queries(text).unwrap()[0], window, None, &All(sources))
}

fn source(tags: &[&str], points: &[(i64, f64)]) -> Source {
    Source::gauge(Tags::normalise(tags), points.to_vec())
}

/// Sources that every query asks for.
struct All<'a>(&'a [Source]);

impl Data for All<'_> {
    fn sources(&self, _: &str, _: &Scope, _: Window) -> Vec<Source> {
        self.0.to_vec()
    }
}

#[track_caller]
fn check(text: &str, sources: &[Source], expected: &[Option<f64>]) {
    let answers = answers(text, Window { from: 0, to: 50 }, sources).answers;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].values, expected, "{text}");
}

/// A window of which `GET /api/v1/query` was recorded: 288 points of 300 s.
#[test]
fn buckets_are_aligned_to_the_epoch_as_recorded() {
    let window = Window { from: 1_641_343_852, to: 1_641_430_252 };
    let Evaluation { grid, .. } = answers("avg:m{*}", window, &[]);
    assert_eq!(grid, Grid { first: 1_641_344_100, interval: 300, len: 288 });
    assert_eq!(grid.starts().last(), Some(1_641_430_200));
}

#[test]
fn a_window_shorter_than_the_interval_can_have_no_bucket() {
    let window = Window { from: 31, to: 59 };
    let sources = [source(&[], &[(40, 1.0)])];
    let Evaluation { grid, answers } = answers("avg:m{*}.rollup(30)", window, &sources);
    assert_eq!((grid.len, answers), (0, vec![]));
}

#[test]
fn points_are_combined_in_time_then_in_space() {
    let sources = [
        source(&["pod:a"], &[(0, 1.0), (9, 3.0), (10, 5.0)]),
        source(&["pod:b"], &[(5, 10.0), (19, 20.0)]),
    ];
    let none = None;
    check("avg:m{*}.rollup(10)", &sources, &[Some(6.0), Some(12.5), none, none, none, none]);
    check("sum:m{*}.rollup(10)", &sources, &[Some(12.0), Some(25.0), none, none, none, none]);
    check("sum:m{*}.rollup(max,10)", &sources, &[Some(13.0), Some(25.0), none, none, none, none]);
    check("max:m{*}.rollup(sum,10)", &sources, &[Some(10.0), Some(20.0), none, none, none, none]);
    check("min:m{*}.rollup(min,10)", &sources, &[Some(1.0), Some(5.0), none, none, none, none]);
    check("sum:m{*}.rollup(count,10)", &sources, &[Some(3.0), Some(2.0), none, none, none, none]);
    check("m{*}.rollup(10)", &sources, &[Some(6.0), Some(12.5), none, none, none, none]);
}

#[test]
fn points_outside_of_the_window_do_not_count() {
    let points = [(-1, 7.0), (0, 1.0), (50, 2.0), (51, 7.0), (60, 7.0)];
    let expected = [Some(1.0), None, None, None, None, Some(2.0)];
    check("avg:m{*}.rollup(10)", &[source(&[], &points)], &expected);
}

#[test]
fn gaps_are_bridged_only_where_sources_are_combined() {
    let gappy = source(&["pod:a"], &[(0, 10.0), (30, 40.0)]);
    let steady = source(&["pod:b"], &[(0, 1.0), (10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0)]);
    let alone = [Some(10.0), None, None, Some(40.0), None, None];
    check("sum:m{*}.rollup(10)", std::slice::from_ref(&gappy), &alone);
    let both = [Some(11.0), Some(21.0), Some(31.0), Some(41.0), Some(1.0), None];
    check("sum:m{*}.rollup(10)", &[gappy, steady], &both);
}

#[test]
fn a_gap_of_more_than_five_minutes_stays() {
    let bridged = |to: i64| {
        let sources =
            [source(&["pod:a"], &[(0, 1.0), (to, 1.0)]), source(&["pod:b"], &[(60, 5.0)])];
        let window = Window { from: 0, to };
        answers("sum:m{*}.rollup(60)", window, &sources).answers[0].values[1]
    };
    assert_eq!(bridged(300), Some(6.0));
    assert_eq!(bridged(360), Some(5.0));
}

#[test]
fn groups_come_from_the_values_of_the_keys() {
    let sources = [
        source(&["pod:b", "env:x"], &[(0, 1.0)]),
        source(&["pod:a", "env:x", "env:y"], &[(0, 2.0)]),
        source(&["pod:a"], &[(0, 4.0)]),
        source(&["pod:silent", "env:x"], &[]),
    ];
    let window = Window { from: 0, to: 9 };
    let answers = answers("sum:m{*} by {env,pod}.rollup(10)", window, &sources).answers;
    let found: Vec<_> =
        answers.iter().map(|it| (it.group_tags.join(","), it.values.clone())).collect();
    assert_eq!(
        found,
        [
            ("env:N/A,pod:a".to_owned(), vec![Some(4.0)]),
            ("env:x,pod:a".to_owned(), vec![Some(2.0)]),
            ("env:x,pod:b".to_owned(), vec![Some(1.0)]),
            ("env:y,pod:a".to_owned(), vec![Some(2.0)]),
        ]
    );
}
