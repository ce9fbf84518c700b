//! Functions, arithmetic, and what answers say they are.

use super::*;

/// What each answer has: its tags, and one value a bucket of 10 s over 50 s, `-` for none.
#[track_caller]
fn shows(text: &str, sources: &[Source], expected: &[&str]) {
    let answers = answers(text, Window { from: 100, to: 149 }, sources).answers;
    let shown = |value: &Option<f64>| value.map_or("-".to_owned(), |it| it.to_string());
    let found: Vec<String> = answers
        .iter()
        .map(|it| {
            let values: Vec<String> = it.values.iter().map(shown).collect();
            format!("{} {}", it.group_tags.join(","), values.join(" ")).trim().to_owned()
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

fn one(values: &[(i64, f64)]) -> [Source; 1] {
    [source(&["pod:a"], values)]
}

#[test]
fn functions_of_a_value() {
    let points = one(&[(100, -8.0), (110, 0.0), (130, 100.0)]);
    let check = |text: &str, expected: &str| shows(text, &points, &[expected]);
    check("abs(m{*}.rollup(10))", "8 0 - 100 -");
    check("-m{*}.rollup(10)", "8 -0 - -100 -");
    check("log10(m{*}.rollup(10))", "- - - 2 -");
    check("log2(m{*}.rollup(10) + 16)", "3 4 - 6.857980995127572 -");
    check("clamp_min(m{*}.rollup(10), -1.5)", "-1.5 0 - 100 -");
    check("clamp_max(m{*}.rollup(10), 0)", "-8 0 - 0 -");
    check("cutoff_min(m{*}.rollup(10), 0)", "- 0 - 100 -");
    check("cutoff_max(m{*}.rollup(10), 0)", "-8 0 - - -");
    check("throughput(m{*}.rollup(10))", "-0.8 0 - 10 -");
    check("default_zero(m{*}.rollup(10).fill(null))", "-8 0 0 100 0");
    check("default_zero(m{*}.rollup(10))", "-8 0 50 100 100");
    check("m{*}.rollup(10).fill(zero) / m{*}.rollup(10)", "1 - - 1 -");
}

#[test]
fn functions_of_the_values_before() {
    let points = one(&[(80, 1.0), (100, 4.0), (110, 10.0), (130, 0.0), (140, 2.0)]);
    let check = |text: &str, expected: &str| shows(text, &points, &[expected]);
    check("cumsum(m{*}.rollup(10))", "4 14 - 14 16");
    check("integral(m{*}.rollup(10))", "- 60 - -140 -120");
    check("diff(m{*}.rollup(10))", "- 6 - -10 2");
    check("monotonic_diff(m{*}.rollup(10))", "- 6 - - 2");
    check("derivative(m{*}.rollup(10))", "- 0.6 - -0.5 0.2");
    check("per_second(m{*}.rollup(10))", "- 0.6 - - 0.2");
    check("per_minute(m{*}.rollup(10))", "- 36 - - 12");
    check("per_hour(m{*}.rollup(10))", "- 2160 - - 720");
    check("dt(m{*}.rollup(10))", "- 10 - 20 10");
    check("median_3(m{*}.rollup(10))", "4 7 - 4 2");
    check("ewma_3(m{*}.rollup(10))", "4 8 - 3.4285714285714284 2.6666666666666665");
    check("moving_rollup(m{*}.rollup(10), 30, 'sum')", "5 14 14 10 2");
    check("moving_rollup(m{*}.rollup(10), 21, max)", "4 10 10 10 2");
    check("timeshift(m{*}.rollup(10), -20)", "1 - 4 10 -");
    check("timeshift(m{*}.rollup(10), -25)", "1 - 4 10 -");
    let day = one(&[(100 - 86_400, 3.0)]);
    shows("day_before(m{*}.rollup(10))", &day, &["3 - - - -"]);
    shows("hour_before(m{*}.rollup(10))", &one(&[(149 - 3600, 3.0)]), &["- - - - 3"]);
    shows("week_before(m{*}.rollup(10))", &one(&[(100 - 604_800, 3.0)]), &["3 - - - -"]);
    shows("month_before(m{*}.rollup(10))", &one(&[(100 - 2_419_200, 3.0)]), &["3 - - - -"]);
}

#[test]
fn rates_are_of_each_source() {
    let sources = [
        source(&["pod:a"], &[(100, 10.0), (110, 30.0), (120, 0.0)]),
        source(&["pod:b"], &[(100, 5.0), (110, 5.0), (120, 15.0)]),
    ];
    shows("per_second(sum:m{*}.rollup(10))", &sources, &["- 2 1 - -"]);
    shows("per_second(sum:m{*}.rollup(10) * 1)", &sources, &["- 2 - - -"]);
    shows("diff(max:m{*}.rollup(10))", &sources, &["- 20 10 - -"]);
}

fn pods() -> [Source; 3] {
    [
        source(&["pod:a"], &[(100, 1.0), (110, 0.0)]),
        source(&["pod:b"], &[(100, 2.0)]),
        source(&[], &[(100, 9.0), (110, 3.0)]),
    ]
}

#[test]
fn functions_of_groups() {
    let check = |text: &str, expected: &[&str]| shows(text, &pods(), expected);
    check("exclude_null(m{*} by {pod}.rollup(10))", &["pod:a 1 0 - - -", "pod:b 2 - - - -"]);
    check("count_nonzero(m{*} by {pod}.rollup(10))", &["3 1 - - -"]);
    check("count_not_null(m{*} by {pod}.rollup(10))", &["3 2 - - -"]);
    check("count_not_null(m{*} by {pod}.rollup(10)) * 2", &["6 4 - - -"]);
    check(
        "top(m{*} by {pod}.rollup(10), 2, 'max', 'desc')",
        &["pod:N/A 9 3 - - -", "pod:b 2 - - - -"],
    );
    check("top(m{*} by {pod}.rollup(10), 1, 'last', 'asc')", &["pod:a 1 0 - - -"]);
    check(
        "bottom5_mean(exclude_null(m{*} by {pod}.rollup(10)))",
        &["pod:a 1 0 - - -", "pod:b 2 - - - -"],
    );
}

#[test]
fn groups_meet_and_what_is_not_grouped_meets_all() {
    let check = |text: &str, expected: &[&str]| shows(text, &pods(), expected);
    check(
        "m{*} by {pod}.rollup(10) / sum:m{*}.rollup(10)",
        &[
            "pod:N/A 0.75 1 - - -",
            "pod:a 0.08333333333333333 0 - - -",
            "pod:b 0.16666666666666666 - - - -",
        ],
    );
    check(
        "exclude_null(m{*} by {pod}.rollup(10)) - m{*} by {pod}.rollup(10)",
        &["pod:a 0 0 - - -", "pod:b 0 - - - -"],
    );
    check(
        "100 / (m{*} by {pod}.rollup(10) - 1)",
        &["pod:N/A 12.5 50 - - -", "pod:a - -100 - - -", "pod:b 100 - - - -"],
    );
    check("sum:m{*}.rollup(10) + sum:m{*}.rollup(20)", &["20.5 - -"]);
}

/// Sources that are in the scope.
struct Scoped<'a>(&'a [Source]);

impl Data for Scoped<'_> {
    fn sources(&self, _: &str, scope: &Scope, _: Window) -> Vec<Source> {
        self.0.iter().filter(|it| scope.matches(&it.tags)).cloned().collect()
    }
}

/// Counts and rates are always aligned at 0 (docs, "Interpolation", default zero).
#[test]
fn counts_that_are_queried_as_such_are_zero_where_the_other_side_has_a_value() {
    let count =
        |tags: &[&str], points: &[(i64, f64)]| Source { kind: Kind::Count, ..source(tags, points) };
    let sources =
        [count(&["ok:yes", "pod:a"], &[(100, 4.0)]), count(&["ok:no", "pod:b"], &[(110, 2.0)])];
    let text = |scope: &str| format!("sum:m{{{scope}}} by {{pod}}.as_count().rollup(10)");
    let text = format!("{} - {}", text("ok:yes"), text("ok:no"));
    let expression = &parse_queries(&text).unwrap()[0];
    let window = Window { from: 100, to: 119 };
    let found = evaluate(expression, window, None, &Scoped(&sources)).answers;
    let found: Vec<_> = found.iter().map(|it| (it.scope.as_str(), it.values.clone())).collect();
    assert_eq!(
        found,
        [
            ("ok:yes,pod:a,ok:no,pod:a", vec![Some(4.0), None]),
            ("ok:yes,pod:b,ok:no,pod:b", vec![None, Some(-2.0)]),
        ]
    );
}

/// As recorded in the history of a service level objective.
#[test]
fn default_zero_is_zero_of_an_unknown_metric_too() {
    shows("default_zero(m{*}.rollup(10))", &[], &["0 0 0 0 0"]);
    shows("default_zero(m{*} by {pod}.rollup(10))", &[], &[]);
    shows("abs(m{*}.rollup(10))", &[], &[]);
}

#[test]
fn answers_say_what_they_are() {
    let check = |text: &str, expected: [&str; 4]| {
        let answers = answers(text, Window { from: 100, to: 149 }, &pods()).answers;
        let it = answers.last().expect("an answer");
        let aggregator = it.aggregator.map_or("null".to_owned(), |it| it.to_string());
        assert_eq!([&it.metric, &it.expression, &it.scope, &aggregator], expected, "{text}");
    };
    check(
        "default_zero( sum:hits{code:2xx}.as_count() )",
        ["default_zero(hits)", "default_zero(sum:hits{code:2xx}.as_count())", "code:2xx", "sum"],
    );
    check(
        "sum:a{x:y} by {pod} / sum:b{*} * 2",
        ["((a / b) * 2)", "((sum:a{x:y,pod:b} / sum:b{*}) * 2)", "x:y,pod:b,*", "sum"],
    );
    check(
        "count_not_null(avg:a{*} by {pod})",
        ["count_not_null(a)", "count_not_null(avg:a{*} by {pod})", "*", "avg"],
    );
    check("avg:a{*} - sum:b{*}", ["(a - b)", "(avg:a{*} - sum:b{*})", "*", "null"]);
}

#[test]
fn the_interval_of_a_request_is_for_queries_without_their_own() {
    let window = Window { from: 0, to: 100 };
    let interval = |text: &str, asked| {
        evaluate(&parse_queries(text).unwrap()[0], window, asked, &All(&[])).grid.interval
    };
    assert_eq!(interval("m{*}", None), 20);
    assert_eq!(interval("m{*}", Some(30)), 30);
    assert_eq!(interval("m{*}.rollup(15)", Some(30)), 15);
    assert_eq!(interval("m{*}.rollup(max)", Some(30)), 30);
    assert_eq!(interval("m{*}.rollup(15) + m{*}", Some(10)), 30);
}
