//! The text of a query.

use crate::{
    expr::{
        data::{Data, Kind, Source},
        evaluate::{Evaluation, Window, evaluate},
        grid::MAX_POINTS,
        parse::parse_queries,
        scope::Scope,
    },
    tags::Tags,
};

/// An everyday window, a moment, and one that is far too long.
const WINDOWS: [Window; 3] = [
    Window { from: 1_700_000_000, to: 1_700_000_300 },
    Window { from: 1_700_000_007, to: 1_700_000_007 },
    Window { from: i64::MIN, to: i64::MAX },
];

/// Parses text. What it is taken for prints as text that means the same, and has answers in every
/// window: of a bounded size, finite, and with an expression that parses.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(expressions) = parse_queries(text) else { return };
    let printed: Vec<String> = expressions.iter().map(ToString::to_string).collect();
    assert_eq!(parse_queries(&printed.join(",")).as_ref(), Ok(&expressions));
    for (expression, window) in expressions.iter().zip(WINDOWS.iter().cycle()) {
        let Evaluation { grid, answers } = evaluate(expression, *window, None, &Fixed);
        assert!(i64::try_from(grid.len).is_ok_and(|len| len <= MAX_POINTS + 1), "{grid:?}");
        for answer in answers {
            assert_eq!(answer.values.len(), grid.len);
            assert!(answer.values.iter().any(Option::is_some));
            assert!(answer.values.iter().flatten().all(|it| it.is_finite()));
            assert!(parse_queries(&answer.expression).is_ok(), "{}", answer.expression);
        }
    }
}

/// A few sources; of which kind depends on how long the metric's name is.
struct Fixed;

impl Data for Fixed {
    fn sources(&self, metric: &str, scope: &Scope, window: Window) -> Vec<Source> {
        let kinds = [Kind::Gauge, Kind::Count, Kind::Rate, Kind::Distribution];
        let source = |tags: &[&str], interval, values: [f64; 4]| {
            let times = [0, 5, 41, 280].map(|it| window.from.saturating_add(it));
            let points = times.into_iter().zip(values).collect();
            let kind = kinds[metric.len() % kinds.len()];
            Source { tags: Tags::normalise(tags), kind, interval, points }
        };
        let sources = [
            source(&["a:b", "a:c", "d:e"], Some(10), [1.0, 2.5, -3.0, 0.0]),
            source(&["a:b", "f"], None, [f64::MAX, f64::NAN, 0.0, 1e-300]),
            source(&[], Some(1), [4.0; 4]),
        ];
        sources.into_iter().filter(|source| scope.matches(&source.tags)).collect()
    }
}
