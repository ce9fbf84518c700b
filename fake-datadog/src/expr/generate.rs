//! Expressions for property tests.

use proptest::prelude::*;

use crate::expr::{
    Aggregator, Expression, Fill, FillMethod, Form, Function, Operator, Query, Rollup,
    aggregator::Percentile,
    function::{Order, Rank},
    parse::is_keyword,
    scope::{Expr, Item, Pattern, Scope},
};

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

pub(crate) fn scope() -> impl Strategy<Value = Scope> {
    let item = (any::<bool>(), pattern()).prop_map(|(negated, pattern)| Item { negated, pattern });
    prop_oneof![
        prop::collection::vec(item, 1..4).prop_map(Scope::List),
        expr()
            .prop_filter("a lone tag is a list", |it| !matches!(it, Expr::Tag(_)))
            .prop_map(Scope::Boolean),
    ]
}

pub(crate) fn query() -> impl Strategy<Value = Query> {
    let aggregator = prop_oneof![
        Just(None),
        prop::sample::select(&Aggregator::IN_TIME[..]).prop_map(Some),
        (1_u16..10_000).prop_map(|it| Percentile::new(it).map(Aggregator::Percentile)),
    ];
    let rollup = (
        prop::option::of(prop::sample::select(&Aggregator::IN_TIME[..])),
        prop::option::of(1_u32..100_000),
    )
        .prop_map(|(aggregator, interval)| Rollup { aggregator, interval });
    let methods = vec![FillMethod::Null, FillMethod::Zero, FillMethod::Last, FillMethod::Linear];
    let fill = (prop::sample::select(methods), prop::option::of(1..=Fill::MAX_LIMIT))
        .prop_map(|(method, limit)| Fill { method, limit });
    let form = prop::sample::select(vec![None, Some(Form::Count), Some(Form::Rate)]);
    let group_by = prop::collection::btree_set(word(), 0..3).prop_map(Vec::from_iter);
    let metric = "[A-Za-z][A-Za-z0-9_.]{0,10}";
    (metric, aggregator, scope(), group_by, form, rollup, prop::option::of(fill)).prop_map(
        |(metric, aggregator, scope, group_by, form, rollup, fill)| Query {
            aggregator,
            metric,
            scope,
            group_by,
            form,
            rollup,
            fill,
        },
    )
}

fn rank() -> impl Strategy<Value = Rank> {
    prop::sample::select(&Rank::ALL[..])
}

fn order() -> impl Strategy<Value = Order> {
    prop::sample::select(vec![Order::Asc, Order::Desc])
}

pub(crate) fn function() -> impl Strategy<Value = Function> {
    let number = prop_oneof![any::<i32>().prop_map(f64::from), -1e9..1e9];
    let in_time = prop::sample::select(&Aggregator::IN_TIME[..]);
    prop_oneof![
        8 => prop::sample::select(Function::plain().collect::<Vec<_>>()),
        1 => number.clone().prop_map(Function::ClampMin),
        1 => number.clone().prop_map(Function::ClampMax),
        1 => number.clone().prop_map(Function::CutoffMin),
        1 => number.prop_map(Function::CutoffMax),
        1 => (1_u32..=u32::MAX).prop_map(Function::Timeshift),
        1 => (1_u32..=u32::MAX, in_time)
            .prop_map(|(seconds, aggregator)| Function::MovingRollup { seconds, aggregator }),
        1 => (1_u32..=u32::MAX, rank(), order())
            .prop_map(|(limit, by, order)| Function::Top { limit, by, order }),
        1 => (prop::sample::select(vec![5, 10, 15, 20]), rank(), order())
            .prop_filter("there is no top5_sum", |(_, by, _)| *by != Rank::Sum)
            .prop_map(|(limit, by, order)| Function::Shorthand { limit, by, order }),
    ]
}

/// An expression over `queries`, with a query somewhere in it.
pub(crate) fn expression(
    queries: impl Strategy<Value = Query> + 'static,
) -> impl Strategy<Value = Expression> {
    let number = prop_oneof![(0_u32..1000).prop_map(f64::from), 0.0..1e9];
    let queries = queries.prop_map(Expression::Query);
    queries.prop_recursive(5, 24, 2, move |inner| {
        let operator = prop::sample::select(vec![
            Operator::Add,
            Operator::Subtract,
            Operator::Multiply,
            Operator::Divide,
        ]);
        let other = prop_oneof![
            2 => inner.clone(),
            1 => number.clone().prop_map(Expression::Number),
        ];
        prop_oneof![
            3 => (function(), inner.clone())
                .prop_map(|(function, inner)| Expression::Call(function, Box::new(inner))),
            1 => inner.clone().prop_map(|inner| Expression::Negate(Box::new(inner))),
            3 => (operator, inner, other, any::<bool>()).prop_map(
                |(operator, one, other, swap)| {
                    let (left, right) = if swap { (other, one) } else { (one, other) };
                    Expression::Binary(operator, Box::new(left), Box::new(right))
                }
            ),
        ]
    })
}
