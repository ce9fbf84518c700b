//! No expression and no window is too much.

use proptest::prelude::*;

use super::*;
use crate::expr::{generate, grid::MAX_POINTS};

/// Each kind of metric; which one a query gets depends on the length of its metric's name.
struct EveryKind;

impl Data for EveryKind {
    fn sources(&self, metric: &str, _: &Scope, window: Window) -> Vec<Source> {
        let kinds = [Kind::Gauge, Kind::Count, Kind::Rate, Kind::Distribution];
        let source = |tags: &[&str], interval: Option<u32>| {
            let times = [0, 5, 20, 21, 90, 1000].map(|it| window.from.saturating_add(it));
            let values = [3.0, -1.5, 0.0, f64::MAX, 1e-300, 7.0];
            Source {
                tags: Tags::normalise(tags),
                kind: kinds[metric.len() % 4],
                interval,
                points: times.into_iter().zip(values).collect(),
            }
        };
        vec![source(&["a:b", "a:c", "b:d"], Some(10)), source(&["b:d"], None), source(&[], Some(1))]
    }
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        prop::sample::select(vec![i64::MIN, i64::MAX, 0, -1, 253_402_300_799]),
        1_700_000_000_i64..1_700_100_000,
    ]
}

proptest! {
    #[test]
    fn property_test_every_expression_has_an_answer_of_bounded_size(
        expression in generate::expression(generate::query()),
        from in time(),
        to in prop_oneof![time().prop_map(Err), (-10_i64..100_000).prop_map(Ok)],
        interval in prop::option::of(prop_oneof![any::<i64>(), 1_i64..4000]),
    ) {
        let to = to.map_or_else(|to| to, |length| from.saturating_add(length));
        let window = Window { from, to };
        let Evaluation { grid, answers } = evaluate(&expression, window, interval, &EveryKind);
        prop_assert!(i64::try_from(grid.len).unwrap() <= MAX_POINTS + 1, "{grid:?}");
        for answer in answers {
            prop_assert_eq!(answer.values.len(), grid.len);
            prop_assert!(answer.values.iter().any(Option::is_some));
            prop_assert!(answer.values.iter().flatten().all(|it| it.is_finite()));
            prop_assert!(parse_queries(&answer.expression).is_ok(), "{}", answer.expression);
        }
    }
}
