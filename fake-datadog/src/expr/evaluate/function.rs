//! What each function does.

use crate::expr::{
    evaluate::{
        Context,
        aggregate::NO_VALUE,
        gap, smooth,
        table::{Series, Table, finite},
    },
    function::{Function, Order, Rank},
};

impl Function {
    /// Whether it acts on each source of a query by itself.
    pub(super) fn is_rate(self) -> bool {
        matches!(
            self,
            Self::Diff
                | Self::MonotonicDiff
                | Self::Derivative
                | Self::PerSecond
                | Self::PerMinute
                | Self::PerHour
        )
    }
}

/// What `function` makes of `table`; time was shifted already.
pub(super) fn apply(function: Function, mut table: Table, context: Context<'_>) -> Table {
    let interval = table.grid.interval;
    match function {
        Function::Abs => table.change(|it| Some(it.abs())),
        Function::Log2 => table.change(|it| finite(it.log2())),
        Function::Log10 => table.change(|it| finite(it.log10())),
        Function::ClampMin(limit) => table.change(|it| Some(it.max(limit))),
        Function::ClampMax(limit) => table.change(|it| Some(it.min(limit))),
        Function::CutoffMin(limit) => table.change(|it| (limit <= it).then_some(it)),
        Function::CutoffMax(limit) => table.change(|it| (it <= limit).then_some(it)),
        Function::Throughput => table.change(|it| finite(it / seconds(interval))),
        Function::Cumsum => table.change_series(cumsum),
        Function::Integral => table.change_series(|values| integral(values, interval)),
        Function::Ewma(span) => table.change_series(|values| smooth::ewma(values, span)),
        Function::Median(span) => table.change_series(|values| smooth::median(values, span)),
        Function::MovingRollup { seconds, aggregator } => {
            table.change_series(|values| smooth::moving(values, seconds, aggregator, interval));
            table.trim(context.grid(interval));
        }
        Function::ExcludeNull => {
            let known = |tag: &String| !tag.ends_with(&format!(":{NO_VALUE}"));
            table.series.retain(|series| series.group.iter().all(known));
        }
        Function::DefaultZero => default_zero(&mut table),
        Function::CountNonzero => {
            table.merge(|values| count(&mut values.map(|it| it != 0.0)));
        }
        Function::CountNotNull => table.merge(|values| count(&mut values.map(|_| true))),
        Function::Dt => {
            table.merge(|values| values.next());
            table.change_series(|values| {
                each_pair(values, |_, _, steps| Some(steps * seconds(interval)));
            });
        }
        Function::Top { limit, by, order } => top(&mut table, limit, by, order),
        Function::Shorthand { limit, by, order } => top(&mut table, u32::from(limit), by, order),
        Function::Diff
        | Function::MonotonicDiff
        | Function::Derivative
        | Function::PerSecond
        | Function::PerMinute
        | Function::PerHour => table.change_series(|values| rate(function, values, interval)),
        Function::Timeshift(_)
        | Function::HourBefore
        | Function::DayBefore
        | Function::WeekBefore
        | Function::MonthBefore => {}
    }
    table
}

/// What a rate makes of one series. The first value has none before it and becomes null.
pub(super) fn rate(function: Function, values: &mut [Option<f64>], interval: i64) {
    each_pair(values, |before, value, steps| {
        let (diff, dt) = (value - before, steps * seconds(interval));
        let rising = (0.0 <= diff).then_some(diff);
        match function {
            Function::Diff => Some(diff),
            Function::MonotonicDiff => rising,
            Function::PerSecond => rising.map(|diff| diff / dt),
            Function::PerMinute => rising.map(|diff| diff / dt * 60.0),
            Function::PerHour => rising.map(|diff| diff / dt * 3600.0),
            _ => Some(diff / dt),
        }
    });
}

/// Changes each value by the one before it and the number of buckets between the two.
#[expect(clippy::cast_precision_loss, reason = "an answer has at most some thousand buckets")]
fn each_pair(values: &mut [Option<f64>], change: impl Fn(f64, f64, f64) -> Option<f64>) {
    let mut before: Option<(usize, f64)> = None;
    for (bucket, slot) in values.iter_mut().enumerate() {
        let Some(value) = *slot else { continue };
        *slot = before.and_then(|(at, before)| change(before, value, (bucket - at) as f64));
        before = Some((bucket, value));
    }
}

fn cumsum(values: &mut [Option<f64>]) {
    let mut sum = 0.0;
    for value in values.iter_mut().flatten() {
        sum += *value;
        *value = sum;
    }
}

fn integral(values: &mut [Option<f64>], interval: i64) {
    each_pair(values, |before, value, steps| Some(steps * seconds(interval) * (value - before)));
    cumsum(values);
}

/// Also of a metric that nobody submitted: zeros, unless groups are asked for (recorded history
/// of a service level objective in `DataDog/datadog-api-client-go`).
fn default_zero(table: &mut Table) {
    if table.series.is_empty() && !table.grouped {
        table.series.push(Series { group: Vec::new(), values: vec![None; table.grid.len] });
    }
    let (fill, interval) = (table.fill, table.grid.interval);
    table.change_series(|values| gap::zeros(values, fill, interval));
}

/// How many groups are meant; nothing where none has a value.
fn count(meant: &mut dyn Iterator<Item = bool>) -> Option<f64> {
    let first = meant.next()?;
    let one = |meant: bool| if meant { 1.0 } else { 0.0 };
    Some(meant.map(one).fold(one(first), |sum, it| sum + it))
}

fn top(table: &mut Table, limit: u32, by: Rank, order: Order) {
    let interval = table.grid.interval;
    let ranked = std::mem::take(&mut table.series).into_iter();
    let mut ranked: Vec<_> =
        ranked.filter_map(|it| Some((by.of(&it.values, interval)?, it))).collect();
    ranked.sort_by(|(left, _), (right, _)| match order {
        Order::Asc => left.total_cmp(right),
        Order::Desc => right.total_cmp(left),
    });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    table.series = ranked.into_iter().take(limit).map(|(_, series)| series).collect();
}

#[expect(clippy::cast_precision_loss, reason = "a bucket is far shorter than 2^52 seconds")]
fn seconds(interval: i64) -> f64 {
    interval as f64
}
