//! Arithmetic of two expressions.

use std::collections::BTreeMap;

use crate::expr::{
    Operator,
    evaluate::table::{Series, Table, Value, finite},
};

/// The result of two sides. What has no finite result, such as a division by zero, is null.
pub(super) fn binary(operator: Operator, left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(operator.apply(left, right)),
        (left @ Value::Table(_), Value::Number(right)) => left.map(|it| operator.apply(it, right)),
        (Value::Number(left), right @ Value::Table(_)) => right.map(|it| operator.apply(left, it)),
        (Value::Table(left), Value::Table(right)) => Value::Table(join(operator, left, right)),
    }
}

/// Groups with the same tags meet; what is not grouped meets all groups of the other side.
fn join(operator: Operator, mut left: Table, mut right: Table) -> Table {
    let grid = left.grid.common(right.grid);
    left.align(grid);
    right.align(grid);
    let pair = Pair { operator, left_zero: left.zero_aligned, right_zero: right.zero_aligned };

    let mut series = match (left.grouped, right.grouped) {
        (true, false) => with_each(left.series, &right.series, |one, all| pair.of(one, Some(all))),
        (false, true) => with_each(right.series, &left.series, |one, all| pair.of(all, Some(one))),
        _ => pair.same_groups(left.series, &right.series),
    };
    series.sort_by(|left, right| left.group.cmp(&right.group));
    Table {
        grid,
        grouped: left.grouped || right.grouped,
        fill: left.fill.filter(|fill| right.fill == Some(*fill)),
        zero_aligned: left.zero_aligned && right.zero_aligned,
        series,
    }
}

type Values = [Option<f64>];

/// Every group with the one series of the other side; nothing when it has none.
fn with_each(
    mut groups: Vec<Series>,
    one: &[Series],
    combine: impl Fn(&Values, &Values) -> Vec<Option<f64>>,
) -> Vec<Series> {
    let Some(one) = one.first() else { return Vec::new() };
    for series in &mut groups {
        series.values = combine(&series.values, &one.values);
    }
    groups
}

struct Pair {
    operator: Operator,
    left_zero: bool,
    right_zero: bool,
}

impl Pair {
    /// Equal tags, whatever the order of the keys. A group that the other side lacks meets zeros
    /// where that side is aligned at 0, else it is left out.
    fn same_groups(&self, left: Vec<Series>, right: &[Series]) -> Vec<Series> {
        let mut others: BTreeMap<Vec<String>, &Series> =
            right.iter().map(|series| (sorted(&series.group), series)).collect();
        let mut joined = Vec::new();
        for mut series in left {
            let other = others.remove(&sorted(&series.group));
            if other.is_some() || self.right_zero {
                series.values = self.of(&series.values, other.map(|it| it.values.as_slice()));
                joined.push(series);
            }
        }
        if self.left_zero {
            for series in others.into_values() {
                let nothing = vec![None; series.values.len()];
                let values = self.of(&nothing, Some(&series.values));
                joined.push(Series { group: series.group.clone(), values });
            }
        }
        joined
    }

    fn of(&self, left: &Values, right: Option<&Values>) -> Vec<Option<f64>> {
        let right_at = |bucket: usize| right.and_then(|values| values[bucket]);
        let buckets = left.iter().enumerate();
        buckets.map(|(bucket, left)| self.bucket(*left, right_at(bucket))).collect()
    }

    fn bucket(&self, left: Option<f64>, right: Option<f64>) -> Option<f64> {
        if left.is_none() && right.is_none() {
            return None;
        }
        let left = left.or(self.left_zero.then_some(0.0))?;
        let right = right.or(self.right_zero.then_some(0.0))?;
        finite(self.operator.apply(left, right))
    }
}

fn sorted(group: &[String]) -> Vec<String> {
    let mut group = group.to_vec();
    group.sort();
    group
}
