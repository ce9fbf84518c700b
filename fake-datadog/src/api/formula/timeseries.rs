//! The answer of `POST /api/v2/query/timeseries`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    api::formula::request::{Asked, Refused},
    expr::{data::Data, evaluate::evaluate},
};

/// One row of values for each group of each formula, all on the same times.
#[derive(Debug, Default, Serialize)]
pub(super) struct Attributes {
    series: Vec<Series>,
    /// Unix milliseconds, ascending: every time at which one of the series has a value (recorded: no
    /// time without any).
    times: Vec<i64>,
    /// `values[i]` belongs to `series[i]`.
    values: Vec<Vec<Option<f64>>>,
}

#[derive(Debug, Serialize)]
struct Series {
    group_tags: Vec<String>,
    /// Position of the formula, or of the query where there are no formulas.
    query_index: usize,
    /// Always null: the fake knows no units.
    unit: (),
}

pub(super) fn attributes(asked: &Asked, data: &dyn Data) -> Result<Attributes, Refused> {
    let expressions = asked.expressions(|named| named.query.clone())?;
    let mut rows: Vec<(Series, Vec<(i64, f64)>)> = Vec::new();
    for (query_index, expression) in expressions.iter().enumerate() {
        let evaluation = evaluate(expression, asked.window, asked.interval, data);
        for answer in evaluation.answers {
            let points = evaluation.grid.starts().zip(answer.values);
            let points = points.filter_map(|(time, value)| Some((time * 1000, value?))).collect();
            let series = Series { group_tags: answer.group_tags, query_index, unit: () };
            rows.push((series, points));
        }
    }
    let times: BTreeSet<i64> =
        rows.iter().flat_map(|(_, points)| points.iter().map(|(time, _)| *time)).collect();
    let times: Vec<i64> = times.into_iter().collect();
    let (series, points): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let values = points.iter().map(|points| on_times(&times, points)).collect();
    Ok(Attributes { series, times, values })
}

/// The values at each of `times`, null where there is no point; both ascend.
fn on_times(times: &[i64], points: &[(i64, f64)]) -> Vec<Option<f64>> {
    let mut points = points.iter().peekable();
    let value_at = |time: &i64| points.next_if(|(at, _)| at == time).map(|(_, value)| *value);
    times.iter().map(value_at).collect()
}
