//! Evaluation against the same rules written the slow and obvious way: maps from times to
//! values, in which every bucket looks at every point.

#![expect(clippy::cast_precision_loss, reason = "numbers in tests are small")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::expr::{Operator, Query, Rollup};

/// The values of each group, by the start of their bucket.
type Groups = BTreeMap<BTreeSet<String>, BTreeMap<i64, f64>>;

/// Sources of the metrics `a` and `b`.
#[derive(Debug)]
struct Metrics(BTreeMap<String, Vec<Source>>);

impl Data for Metrics {
    fn sources(&self, metric: &str, _: &Scope, _: Window) -> Vec<Source> {
        self.0[metric].clone()
    }
}

fn starts(window: Window, interval: i64) -> Vec<i64> {
    (window.from..=window.to).filter(|time| time.rem_euclid(interval) == 0).collect()
}

fn aggregate(aggregator: Aggregator, values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let total: f64 = values.iter().sum();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(match aggregator {
        _ if values.is_empty() => return None,
        Aggregator::Avg => total / count,
        Aggregator::Sum => total,
        Aggregator::Min => sorted[0],
        Aggregator::Max => sorted[sorted.len() - 1],
        Aggregator::Count => count,
        Aggregator::Percentile(_) => unreachable!(),
    })
}

/// The groups of a source: one of its values for each key, in every way.
fn groups(tags: &Tags, keys: &[String]) -> BTreeSet<BTreeSet<String>> {
    let Some((key, others)) = keys.split_first() else { return [BTreeSet::new()].into() };
    let own = tags.iter().filter(|tag| tag.starts_with(&format!("{key}:"))).map(str::to_owned);
    let mut own: Vec<String> = own.collect();
    if own.is_empty() {
        own.push(format!("{key}:N/A"));
    }
    let mut all = BTreeSet::new();
    for tag in own {
        for mut group in groups(tags, others) {
            group.insert(tag.clone());
            all.insert(group);
        }
    }
    all
}

fn query(query: &Query, window: Window, metrics: &Metrics) -> Groups {
    let interval = i64::from(query.rollup.interval.unwrap());
    let starts = starts(window, interval);
    let sources = &metrics.0[&query.metric];
    let value = |source: &Source, start: i64| {
        let inside = |time: i64| start <= time && time < start + interval && time <= window.to;
        let points = source.points.iter().filter(|(time, _)| inside(*time));
        let points: Vec<f64> = points.map(|(_, value)| *value).collect();
        aggregate(query.rollup.aggregator.unwrap_or(Aggregator::Avg), &points)
    };
    let bridged = |source: &Source, start: i64| {
        let known = |it: &&i64| value(source, **it).is_some();
        let left = *starts.iter().rev().filter(|it| **it < start).find(known)?;
        let right = *starts.iter().filter(|it| start < **it).find(known)?;
        let (low, high) = (value(source, left)?, value(source, right)?);
        let share = (start - left) as f64 / (right - left) as f64;
        (right - left <= 300).then_some(low + (high - low) * share)
    };
    let mut all = Groups::new();
    for group in sources.iter().flat_map(|it| groups(&it.tags, &query.group_by)) {
        let mut values = BTreeMap::new();
        for start in &starts {
            let members =
                sources.iter().filter(|it| groups(&it.tags, &query.group_by).contains(&group));
            let own = members.filter_map(|source| {
                let own = value(source, *start);
                if 1 < sources.len() { own.or_else(|| bridged(source, *start)) } else { own }
            });
            let own: Vec<f64> = own.collect();
            if let Some(value) = aggregate(query.aggregator.unwrap_or(Aggregator::Avg), &own) {
                values.insert(*start, value);
            }
        }
        all.insert(group, values);
    }
    all
}

fn operate(operator: Operator, left: f64, right: f64) -> Option<f64> {
    let result = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide if right == 0.0 => return None,
        Operator::Divide => left / right,
    };
    Some(result).filter(|it| it.is_finite())
}

/// A number is one group without tags that has that value all the time.
fn naive(expression: &Expression, window: Window, metrics: &Metrics) -> Groups {
    match expression {
        Expression::Number(number) => {
            let all = (window.from..=window.to).map(|time| (time, *number));
            [(BTreeSet::new(), all.collect())].into()
        }
        Expression::Query(it) => query(it, window, metrics),
        Expression::Negate(inner) => {
            let mut groups = naive(inner, window, metrics);
            groups.values_mut().flat_map(BTreeMap::values_mut).for_each(|it| *it = -*it);
            groups
        }
        Expression::Binary(operator, left, right) => {
            let grouped = |it: &Expression| !it.group_by().is_empty();
            let meet = grouped(left) == grouped(right);
            let (left, right) = (naive(left, window, metrics), naive(right, window, metrics));
            let mut joined = Groups::new();
            for (left_group, left) in &left {
                for (right_group, right) in &right {
                    if meet && left_group != right_group {
                        continue;
                    }
                    let both = left.iter().filter_map(|(start, value)| {
                        let other = right.get(start)?;
                        Some((*start, operate(*operator, *value, *other)?))
                    });
                    joined.insert(left_group | right_group, both.collect());
                }
            }
            joined
        }
        Expression::Call(..) => unreachable!(),
    }
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let tags = prop::sample::subsequence(vec!["pod:a", "pod:b", "env:x", "env:y"], 0..=4);
    let points = prop::collection::vec((0_i64..700, -50_i32..50), 0..20);
    let points =
        points.prop_map(|points| points.iter().map(|(t, v)| (*t, f64::from(*v))).collect());
    let source =
        (tags, points).prop_map(|(tags, points)| Source::gauge(Tags::normalise(tags), points));
    let sources = || prop::collection::vec(source.clone(), 0..4);
    let names = |(a, b)| Metrics([("a".to_owned(), a), ("b".to_owned(), b)].into());
    (sources(), sources()).prop_map(names)
}

fn a_query() -> impl Strategy<Value = Query> {
    let in_space = prop::option::of(prop::sample::select(&Aggregator::IN_TIME[..4]));
    let in_time = prop::option::of(prop::sample::select(&Aggregator::IN_TIME[..]));
    let keys = prop::sample::subsequence(vec!["pod".to_owned(), "env".to_owned()], 0..=2);
    let metric = prop::sample::select(vec!["a".to_owned(), "b".to_owned()]);
    let interval = prop::sample::select(vec![7, 10, 20, 30, 60]);
    (in_space, metric, keys.prop_shuffle(), in_time, interval).prop_map(
        |(aggregator, metric, group_by, in_time, interval)| Query {
            aggregator,
            metric,
            scope: Scope::everything(),
            group_by,
            form: None,
            rollup: Rollup { aggregator: in_time, interval: Some(interval) },
            fill: None,
        },
    )
}

fn an_expression() -> impl Strategy<Value = Expression> {
    a_query().prop_map(Expression::Query).prop_recursive(2, 6, 2, |inner| {
        let number = prop::sample::select(vec![0.0, 0.5, 3.0]).prop_map(Expression::Number);
        let operators =
            vec![Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide];
        let right = prop_oneof![3 => inner.clone(), 1 => number];
        prop_oneof![
            1 => inner.clone().prop_map(|it| Expression::Negate(Box::new(it))),
            4 => (prop::sample::select(operators), inner, right).prop_map(
                |(operator, left, right)| {
                    Expression::Binary(operator, Box::new(left), Box::new(right))
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn property_test_evaluation_agrees_with_the_naive_model(
        expression in an_expression(),
        metrics in metrics(),
        from in -20_i64..200,
        length in 0_i64..600,
    ) {
        let window = Window { from, to: from + length };
        let mut expected = naive(&expression, window, &metrics);
        expected.retain(|_, values| !values.is_empty());

        let Evaluation { grid, answers } = evaluate(&expression, window, None, &metrics);
        let mut found = Groups::new();
        for answer in answers {
            let values = grid.starts().zip(&answer.values);
            let known = values.filter_map(|(start, value)| Some((start, (*value)?)));
            let before = found.insert(answer.group_tags.into_iter().collect(), known.collect());
            prop_assert!(before.is_none(), "a group has two answers");
        }

        let starts = |it: &Groups| -> Vec<_> {
            it.iter().map(|(group, it)| (group.clone(), it.keys().copied().collect::<Vec<_>>())).collect()
        };
        prop_assert_eq!(starts(&found), starts(&expected), "{}", &expression);
        for (found, expected) in found.values().zip(expected.values()) {
            for (found, expected) in found.values().zip(expected.values()) {
                let tolerance = 1e-9 * expected.abs().max(1.0);
                prop_assert!((found - expected).abs() < tolerance, "{found} {expected} {expression}");
            }
        }
    }
}
