use proptest::prelude::*;

use super::*;
use crate::expr::{
    Aggregator, Query, Rollup, generate,
    parse::scope::MAX_SCOPE_DEPTH,
    scope::{Item, Pattern, Scope},
};

#[track_caller]
fn normal_form(text: &str, expected: &str) {
    let queries = parse_queries(text).unwrap();
    let printed: Vec<_> = queries.iter().map(ToString::to_string).collect();
    assert_eq!(printed.join(", "), expected, "{text}");
}

#[track_caller]
fn refused(text: &str, column: usize) {
    let position = match parse_queries(text) {
        Err(ParseError::Syntax { position, .. } | ParseError::Mixed { position }) => position,
        Ok(queries) => panic!("{text:?} was taken as {queries:?}"),
    };
    assert_eq!(position, Position { line: 1, column }, "{text}");
}

#[test]
fn the_cluster_agents_query_is_understood() {
    let text = "avg:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)";
    let queries = parse_queries(text).unwrap();
    let pattern = Pattern::new("kube_container_name:nginx");
    assert_eq!(
        queries,
        [Expression::Query(Query {
            aggregator: Some(Aggregator::Avg),
            metric: "nginx.net.request_per_s".to_owned(),
            scope: Scope::List(vec![Item { negated: false, pattern }]),
            group_by: Vec::new(),
            form: None,
            rollup: Rollup { aggregator: None, interval: Some(30) },
            fill: None,
        })]
    );
}

#[test]
fn queries_have_one_normal_form() {
    normal_form("m{*}", "m{*}");
    normal_form(
        " sum:Jobs.Count { A:B , !c:d }  by { Pod,env,pod } ",
        "sum:Jobs.Count{a:b,!c:d} by {pod,env}",
    );
    normal_form("max:m{*}.rollup( max , 60 )", "max:m{*}.rollup(max,60)");
    normal_form("max:m{*}.rollup(count)", "max:m{*}.rollup(count)");
    normal_form("min:a{*},min:b{x:y,z:*}", "min:a{*}, min:b{x:y,z:*}");
    normal_form(
        "avg:m{((a:b) or c:d) and not e in (F, g)}",
        "avg:m{(a:b OR c:d) AND NOT e IN (f,g)}",
    );
    normal_form("avg:m{(a:b)}", "avg:m{a:b}");
    normal_form("avg:m{android:x}", "avg:m{android:x}");
    normal_form("avg:m{image:a/b:1.2}", "avg:m{image:a/b:1.2}");
}

#[test]
fn modifiers_have_one_order() {
    normal_form(
        "m{*}.fill(zero).rollup(sum,60).as_count()",
        "m{*}.as_count().rollup(sum,60).fill(zero)",
    );
    normal_form("m{*} by {a} . as_rate ( )", "m{*} by {a}.as_rate()");
    normal_form("m{*}.rollup('avg', 60).fill(\"last\" , 30)", "m{*}.rollup(avg,60).fill(last,30)");
    normal_form("count:m{*},p99:m{*},p99.90:m{*}", "count:m{*}, p99:m{*}, p99.9:m{*}");
}

#[test]
fn arithmetic_binds_as_usual() {
    normal_form("a{*}+b{*}*2-c{*}", "((a{*} + (b{*} * 2)) - c{*})");
    normal_form("(a{*}+b{*})/c{*}/2", "(((a{*} + b{*}) / c{*}) / 2)");
    normal_form("-a{*}*2", "(-a{*} * 2)");
    normal_form("a{*} - -(b{*})", "(a{*} - -b{*})");
    normal_form("1.50*a{*} + 1e3 + .5", "(((1.5 * a{*}) + 1000) + 0.5)");
    normal_form("((a{*}))", "a{*}");
}

#[test]
fn functions_have_their_arguments() {
    normal_form("abs( a{*} )", "abs(a{*})");
    normal_form("log2(log10(-a{*}+1))", "log2(log10((-a{*} + 1)))");
    normal_form("clamp_min(a{*},-1.5)", "clamp_min(a{*}, -1.5)");
    normal_form("moving_rollup(a{*},60,avg)", "moving_rollup(a{*}, 60, 'avg')");
    normal_form("timeshift(a{*},-3600)", "timeshift(a{*}, -3600)");
    normal_form("top(a{*} by {b},10,\"mean\",desc)", "top(a{*} by {b}, 10, 'mean', 'desc')");
    normal_form("bottom10_min(a{*} by {b})", "bottom10_min(a{*} by {b})");
    normal_form("count_nonzero_finite(a{*} by {b})", "count_nonzero(a{*} by {b})");
    // A metric can be called like a function.
    normal_form("abs{*} + sum:top{*}", "(abs{*} + sum:top{*})");
}

#[test]
fn formulas_have_names_for_queries() {
    let query = parse_queries("sum:hits{*}.as_count()").unwrap().remove(0);
    let names = [("query1".to_owned(), query.clone()), ("q".to_owned(), query)].into();
    let formula = |text| parse_formula(text, &names).map(|it| it.to_string());
    assert_eq!(
        formula("(((query1 * 0.2)) / (q * 0.3))").unwrap(),
        "((sum:hits{*}.as_count() * 0.2) / (sum:hits{*}.as_count() * 0.3))"
    );
    assert_eq!(formula("hour_before(q)").unwrap(), "hour_before(sum:hits{*}.as_count())");
    assert_eq!(formula("q{*} + q").unwrap(), "(q{*} + sum:hits{*}.as_count())");
    assert!(formula("query2").is_err());
    assert!(formula("query1 query1").is_err());
    assert!(formula("query1, query1").is_err());
}

#[test]
fn what_is_outside_of_the_grammar_is_refused_at_its_place() {
    refused("", 1);
    refused("avg:m", 6);
    refused("avg:m{}", 7);
    refused("avg:m{a:b", 10);
    refused("avg:m{a:b}}", 11);
    refused("avg:m{a:b},", 12);
    refused("mean:m{*}", 1);
    refused("p100:m{*}", 1);
    refused("avg:1m{*}", 5);
    refused("avg:m{*}.rollup()", 17);
    refused("avg:m{*}.rollup(0)", 17);
    refused("avg:m{*}.rollup(p99)", 17);
    refused("avg:m{*}.rollup(99999999999)", 17);
    refused("avg:m{*}.rollup(avg 30)", 21);
    refused("avg:m{*}.rollup('avg\", 30)", 21);
    refused("avg:m{*}.rollup(sum, monthly)", 22);
    refused("avg:m{*}.rollup(30).rollup(30)", 21);
    refused("avg:m{*}.as_count().as_rate()", 21);
    refused("avg:m{*}.weighted()", 10);
    refused("avg:m{*}.fill(mean)", 15);
    refused("avg:m{*}.fill(zero, 601)", 21);
    refused("avg:m{*} by {}", 14);
    refused("avg:m{k*:v}", 7);
    refused("avg:m{:v}", 7);
    refused("avg:m{$env}", 7);
    refused("avg:m{a:b c:d}", 11);
    refused("avg:m{a:b AND}", 14);
    refused("avg:m{AND a:b}", 7);
    refused("avg:m{(a:b}", 11);
    refused("avg:m{a:b IN (c)}", 7);
    refused("avg:m{a IN (c*)}", 14);
    refused("avg:m{a IN ()}", 13);
    refused("avg:m{a:b NOT c:d}", 11);
}

#[test]
fn arithmetic_and_functions_are_refused_at_their_place() {
    refused("avg:m{*} /", 11);
    refused("avg:m{*} 2", 10);
    refused("avg:m{*} % 2", 10);
    refused("(avg:m{*}", 10);
    refused("2", 1);
    refused("1 + 2 * 3", 1);
    refused("1.2.3 * m{*}", 1);
    refused("1e999 * m{*}", 1);
    refused("autosmooth(avg:m{*})", 11);
    refused("anomalies(avg:m{*}, 'basic', 2)", 10);
    refused("abs(2)", 5);
    refused("abs(avg:m{*}, 2)", 13);
    refused("abs(avg:m{*}", 13);
    refused("clamp_min(avg:m{*})", 19);
    refused("timeshift(avg:m{*}, 3600)", 21);
    refused("moving_rollup(avg:m{*}, 60, 'p99')", 29);
    refused("top(avg:m{*}, 5, 'median', 'desc')", 18);
    refused("top7_mean(avg:m{*})", 10);
    refused("query1 + 2", 8);
}

#[test]
fn the_two_notations_must_not_be_mixed() {
    refused("avg:m{a:b,c:d AND e:f}", 15);
    refused("avg:m{a:b AND !c:d}", 15);
    refused("avg:m{a:b,c IN (d,e)}", 13);
    refused("avg:m{a IN (d,e),c:d}", 17);
    refused("avg:m{!(a:b)}", 8);
    assert_eq!(
        parse_queries("avg:m{a:b OR c:d,e:f}").unwrap_err().to_string(),
        "'AND' and 'OR' cannot be mixed with ',' (line 1, column 17)"
    );
}

/// The text of `DataDog/datadog-agent#6119`, names shortened to what it shows.
#[test]
fn errors_are_in_datadogs_words() {
    let error = parse_queries("avg:datadogmetric@dev:x-dev-php-fpm{*}.rollup(30)").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to parse avg:datadogmetric@dev:x-dev-php-fpm{*}.rollup(30): \
         Rule 'scope_expr' didn't match at '@dev:x-dev-php' (line 1, column 18)."
    );
}

#[test]
fn positions_count_characters_and_lines() {
    let error = parse_queries("avg:m{é:ü},\navg:m{ü:*} ?").unwrap_err();
    let ParseError::Syntax { position, .. } = error else { panic!("{error}") };
    assert_eq!(position, Position { line: 2, column: 12 });
}

#[test]
fn deep_nesting_is_refused_without_exhausting_the_stack() {
    let nested = |depth: usize| format!("avg:m{{{}a:b{}}}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_queries(&nested(MAX_SCOPE_DEPTH - 1)).is_ok());
    assert!(parse_queries(&nested(MAX_SCOPE_DEPTH)).is_err());
    assert!(parse_queries(&nested(100_000)).is_err());
    assert!(parse_queries(&format!("avg:m{{{}a:b}}", "NOT ".repeat(100_000))).is_err());

    let inside = |depth: usize| format!("{}m{{*}}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_queries(&inside(MAX_DEPTH)).is_ok());
    assert!(parse_queries(&inside(MAX_DEPTH + 1)).is_err());
    assert!(parse_queries(&inside(100_000)).is_err());
    for (before, after) in [("-", ""), ("abs(", ")"), ("", "+1"), ("", "*m{*}"), ("1-(", ")")] {
        let text = |depth| format!("{}m{{*}}{}", before.repeat(depth), after.repeat(depth));
        assert!(parse_queries(&text(MAX_DEPTH - 1)).is_ok(), "{before}{after}");
        assert!(parse_queries(&text(MAX_DEPTH)).is_err(), "{before}{after}");
        assert!(parse_queries(&text(20_000)).is_err(), "{before}{after}");
    }
}

proptest! {
    #[test]
    fn property_test_printing_and_parsing_again_changes_nothing(
        queries in prop::collection::vec(generate::expression(generate::query()), 1..4),
    ) {
        let text = queries.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        prop_assert_eq!(parse_queries(&text), Ok(queries));
    }

    #[test]
    fn property_test_no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse_queries(&text);
    }

    #[test]
    fn property_test_no_text_out_of_the_alphabet_makes_the_parser_panic(
        text in "(avg:|m|m\\{\\*\\}|\\{|\\}|\\(|\\)|,|!|:|\\*|/|\\+|-| |AND|OR|NOT|IN|by|\\.rollup|\\.fill|abs|top|30|e|é|İ){0,20}",
    ) {
        if let Ok(queries) = parse_queries(&text) {
            let printed = queries.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_queries(&printed), Ok(queries));
        }
    }

    #[test]
    fn property_test_a_groups_expression_is_a_query_again(
        query in generate::query(),
    ) {
        let group: Vec<String> = query.group_by.iter().map(|key| format!("{key}:x")).collect();
        prop_assert!(parse_queries(&query.expression(&group)).is_ok());
    }
}
