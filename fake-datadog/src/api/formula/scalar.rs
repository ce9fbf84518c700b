//! The answer of `POST /api/v2/query/scalar`: every query becomes one number a group, and the formulas
//! are computed on those numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::formula::request::{Asked, Limit, Named, Order, Refused},
    expr::{
        Aggregator, Expression, Query, Rollup,
        data::{Data, Source},
        evaluate::{NO_VALUE, Window, evaluate},
        scope::Scope,
    },
    tags::Tags,
};

/// The table: columns of the grouping keys, then one of numbers for each formula.
#[derive(Debug, Default, Serialize)]
pub(super) struct Attributes {
    columns: Vec<Column>,
}

/// Fields in the order of the recordings of 2026.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Column {
    Group {
        name: String,
        /// One list of values a row.
        values: Vec<[String; 1]>,
        #[serde(rename = "type")]
        kind: &'static str,
    },
    Number {
        name: String,
        values: Vec<Option<f64>>,
        #[serde(rename = "type")]
        kind: &'static str,
        meta: Meta,
    },
}

#[derive(Debug, Serialize)]
struct Meta {
    /// Always null: the fake knows no units.
    unit: (),
}

/// `key:value` for each key, in the order of the keys.
type Group = Vec<String>;

pub(super) fn attributes(asked: &Asked, data: &dyn Data) -> Result<Attributes, Refused> {
    let reduced = Reduced::of(asked, data);
    let expressions = asked.expressions(Reduced::leaf)?;
    let mut rows: BTreeMap<Group, Vec<Option<f64>>> = BTreeMap::new();
    for (index, expression) in expressions.iter().enumerate() {
        for answer in evaluate(expression, NUMBERS, Some(1), &reduced).answers {
            let row =
                rows.entry(answer.group_tags).or_insert_with(|| vec![None; expressions.len()]);
            row[index] = answer.values.iter().copied().flatten().next();
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    for (index, formula) in asked.formulas.iter().enumerate() {
        if let Some(limit) = formula.limit {
            sort(&mut rows, index, limit.order);
            cut(&mut rows, limit);
        }
    }
    Ok(Attributes { columns: columns(asked, &rows) })
}

fn columns(asked: &Asked, rows: &[(Group, Vec<Option<f64>>)]) -> Vec<Column> {
    let keys = rows.iter().map(|(group, _)| group).max_by_key(|group| group.len());
    let keys = keys.into_iter().flatten().enumerate().map(|(at, tag)| Column::Group {
        name: split(tag).0.to_owned(),
        values: rows.iter().map(|(group, _)| [value_at(group, at)]).collect(),
        kind: "group",
    });
    let numbers = asked.formulas.iter().enumerate().map(|(index, formula)| Column::Number {
        name: formula.text.clone(),
        values: rows.iter().map(|(_, values)| values[index]).collect(),
        kind: "number",
        meta: Meta { unit: () },
    });
    keys.chain(numbers).collect()
}

fn value_at(group: &[String], at: usize) -> String {
    group.get(at).map_or(NO_VALUE, |tag| split(tag).1).to_owned()
}

fn split(tag: &str) -> (&str, &str) {
    tag.split_once(':').unwrap_or((tag, ""))
}

/// By the values of one formula; rows without a value come last.
fn sort(rows: &mut [(Group, Vec<Option<f64>>)], index: usize, order: Order) {
    rows.sort_by(|(_, left), (_, right)| match (left[index], right[index]) {
        (Some(left), Some(right)) => match order {
            Order::Asc => left.total_cmp(&right),
            Order::Desc => right.total_cmp(&left),
        },
        (left, right) => right.is_some().cmp(&left.is_some()),
    });
}

fn cut(rows: &mut Vec<(Group, Vec<Option<f64>>)>, limit: Limit) {
    if let Some(count) = limit.count.and_then(|count| usize::try_from(count).ok()) {
        rows.truncate(count);
    }
}

// === Reduced ===

/// One bucket, at whose start all reduced numbers are.
const NUMBERS: Window = Window { from: 0, to: 1 };

/// The queries' numbers, posing as metrics named as the queries are, so that formulas over them are
/// evaluated by the same code as those over series.
struct Reduced(BTreeMap<String, Vec<Source>>);

impl Reduced {
    fn of(asked: &Asked, data: &dyn Data) -> Self {
        let sources = asked.queries.iter().map(|named| {
            let evaluation = evaluate(&named.query, asked.window, asked.interval, data);
            let interval = evaluation.grid.interval;
            let sources = evaluation.answers.into_iter().filter_map(|answer| {
                let number = named.reducer?.reduce(interval, &answer.values)?;
                // A source without the tag is in the group without a value.
                let tags = answer.group_tags.iter().filter(|tag| split(tag).1 != NO_VALUE);
                Some(Source::gauge(Tags::normalise(tags), vec![(0, number)]))
            });
            (named.name.clone(), sources.collect())
        });
        Self(sources.collect())
    }

    /// What stands for a query in the formulas.
    fn leaf(named: &Named) -> Expression {
        Expression::Query(Query {
            aggregator: Some(Aggregator::Avg),
            metric: named.name.clone(),
            scope: Scope::everything(),
            group_by: named.query.group_by().into_iter().map(str::to_owned).collect(),
            form: None,
            rollup: Rollup::default(),
            fill: None,
        })
    }
}

impl Data for Reduced {
    fn sources(&self, metric: &str, _: &Scope, _: Window) -> Vec<Source> {
        self.0.get(metric).cloned().unwrap_or_default()
    }
}
