use proptest::prelude::*;

use super::*;

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
        [Query {
            aggregator: Some(Aggregator::Avg),
            metric: "nginx.net.request_per_s".to_owned(),
            scope: Scope::List(vec![Item { negated: false, pattern }]),
            group_by: Vec::new(),
            rollup: Rollup { aggregator: None, interval: Some(30) },
        }]
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
fn what_is_outside_of_the_grammar_is_refused_at_its_place() {
    refused("", 1);
    refused("avg:m", 6);
    refused("avg:m{}", 7);
    refused("avg:m{a:b", 10);
    refused("avg:m{a:b}}", 11);
    refused("avg:m{a:b},", 12);
    refused("avg:m{a:b} / 2", 12);
    refused("mean:m{*}", 1);
    refused("count:m{*}", 1);
    refused("p90:m{*}", 1);
    refused("avg:1m{*}", 5);
    refused("avg:m{*}.as_rate()", 10);
    refused("avg:m{*}.rollup()", 17);
    refused("avg:m{*}.rollup(0)", 17);
    refused("avg:m{*}.rollup(99999999999)", 17);
    refused("avg:m{*}.rollup(avg 30)", 21);
    refused("avg:m{*}.rollup(30).rollup(30)", 20);
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
    refused("abs(avg:m{*})", 4);
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
    assert!(parse_queries(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(parse_queries(&nested(MAX_DEPTH)).is_err());
    assert!(parse_queries(&nested(100_000)).is_err());
    assert!(parse_queries(&format!("avg:m{{{}a:b}}", "NOT ".repeat(100_000))).is_err());
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_./-]{0,6}".prop_filter("a keyword is no tag", |it| !is_keyword(it))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        Just("*".to_owned()),
        word(),
        (word(), "[a-z0-9:*_-]{0,6}").prop_map(|(key, value)| format!("{key}:{value}")),
    ]
    .prop_map(|text| Pattern::new(&text))
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        pattern().prop_map(Expr::Tag),
        (word(), prop::collection::vec("[a-z0-9:.]{1,5}", 1..3), any::<bool>())
            .prop_map(|(key, values, negated)| Expr::In { key, values, negated }),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Expr::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner, 2..4).prop_map(Expr::Or),
        ]
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    let item = (any::<bool>(), pattern()).prop_map(|(negated, pattern)| Item { negated, pattern });
    prop_oneof![
        prop::collection::vec(item, 1..4).prop_map(Scope::List),
        expr()
            .prop_filter("a lone tag is a list", |it| !matches!(it, Expr::Tag(_)))
            .prop_map(Scope::Boolean),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let aggregator = prop::sample::select(vec![
        None,
        Some(Aggregator::Avg),
        Some(Aggregator::Sum),
        Some(Aggregator::Min),
        Some(Aggregator::Max),
    ]);
    let rollup = (
        prop::sample::select(vec![None, Some(Aggregator::Max), Some(Aggregator::Count)]),
        prop::option::of(1_u32..100_000),
    )
        .prop_map(|(aggregator, interval)| Rollup { aggregator, interval });
    let group_by = prop::collection::btree_set(word(), 0..3).prop_map(Vec::from_iter);
    ("[A-Za-z][A-Za-z0-9_.]{0,10}", aggregator, scope(), group_by, rollup).prop_map(
        |(metric, aggregator, scope, group_by, rollup)| Query {
            aggregator,
            metric,
            scope,
            group_by,
            rollup,
        },
    )
}

proptest! {
    #[test]
    fn property_test_printing_and_parsing_again_changes_nothing(
        queries in prop::collection::vec(query(), 1..4),
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
        text in "(avg:|m|\\{|\\}|\\(|\\)|,|!|:|\\*| |AND|OR|NOT|IN|by|\\.rollup|30|é|İ){0,20}",
    ) {
        if let Ok(queries) = parse_queries(&text) {
            let printed = queries.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_queries(&printed), Ok(queries));
        }
    }

    #[test]
    fn property_test_a_groups_expression_is_a_query_again(query in query()) {
        let group: Vec<String> = query.group_by.iter().map(|key| format!("{key}:x")).collect();
        prop_assert!(parse_queries(&query.expression(&group)).is_ok());
    }
}
