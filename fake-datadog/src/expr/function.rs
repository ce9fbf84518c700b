//! The functions that an expression can have.

use crate::expr::aggregator::Aggregator;

pub use crate::expr::function::rank::{Order, Rank};

mod rank;

/// A function of one expression, with its other arguments.
///
/// Each acts on every group by itself, after the aggregation in time and space, unless it says
/// otherwise. Nulls stay null unless it says otherwise. Sources of the rules are the pages
/// "Arithmetic", "Count", "Exclusion", "Interpolation", "Rank", "Rate", "Rollup", "Smoothing" and
/// "Timeshift" of Datadog's documentation of functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `abs`: without its sign.
    Abs,
    /// `log2`: logarithm to the base 2; null where there is none.
    Log2,
    /// `log10`: logarithm to the base 10; null where there is none.
    Log10,
    /// `cumsum`: sum of all values since the start of the window.
    Cumsum,
    /// `integral`: sum of time delta × value delta over all pairs of consecutive values.
    Integral,
    /// `clamp_min`: lower values become this one.
    ClampMin(f64),
    /// `clamp_max`: higher values become this one.
    ClampMax(f64),
    /// `cutoff_min`: lower values become null.
    CutoffMin(f64),
    /// `cutoff_max`: higher values become null.
    CutoffMax(f64),
    /// `exclude_null`: without the groups of which a tag is `N/A`.
    ExcludeNull,
    /// `default_zero`: zeros for nulls; where gauges are interpolated, that comes first, and
    /// carries a value on up to its limit.
    DefaultZero,
    /// `count_nonzero`: one series, how many groups have a value that is not 0.
    CountNonzero,
    /// `count_not_null`: one series, how many groups have a value.
    CountNotNull,
    /// `diff`: value less the one before. Of a query, each source's by itself, before they are
    /// combined in space; so are the other rates, but for `dt` and `throughput`.
    Diff,
    /// `monotonic_diff`: [`Self::Diff`] where it is not negative.
    MonotonicDiff,
    /// `derivative`: [`Self::Diff`] by the seconds between the two.
    Derivative,
    /// `per_second`: [`Self::MonotonicDiff`] by the seconds between the two.
    PerSecond,
    /// `per_minute`: sixty times [`Self::PerSecond`].
    PerMinute,
    /// `per_hour`: sixty times [`Self::PerMinute`].
    PerHour,
    /// `dt`: one series, seconds since the last time at which a group had a value.
    Dt,
    /// `throughput`: value by the seconds of a bucket.
    Throughput,
    /// `moving_rollup`: what the values of the last seconds make together. The values before the
    /// window that the first ones need are looked up.
    MovingRollup {
        /// Length of the time that is combined, which ends with the bucket; at least 1.
        seconds: u32,
        /// How: one of [`Aggregator::IN_TIME`].
        aggregator: Aggregator,
    },
    /// `ewma_3` and so on: exponentially weighted moving average over a span of this many values.
    Ewma(u8),
    /// `median_3` and so on: median of the last values, this many.
    Median(u8),
    /// `timeshift`: values of this many seconds ago; written with a minus sign.
    Timeshift(u32),
    /// `hour_before`: values of an hour ago.
    HourBefore,
    /// `day_before`: values of a day ago.
    DayBefore,
    /// `week_before`: values of seven days ago.
    WeekBefore,
    /// `month_before`: values of 28 days ago.
    MonthBefore,
    /// `top`: the first groups in an order.
    Top {
        /// How many; at least 1.
        limit: u32,
        /// What they are ranked by.
        by: Rank,
        /// Which come first.
        order: Order,
    },
    /// `top5_mean`, `bottom10_max` and so on: [`Self::Top`] in a word.
    Shorthand {
        /// How many: 5, 10, 15 or 20.
        limit: u8,
        /// What they are ranked by; not [`Rank::Sum`].
        by: Rank,
        /// Descending for `top`, ascending for `bottom`.
        order: Order,
    },
}

/// Functions that take nothing but the expression.
const PLAIN: [(&str, Function); 31] = [
    ("abs", Function::Abs),
    ("log2", Function::Log2),
    ("log10", Function::Log10),
    ("cumsum", Function::Cumsum),
    ("integral", Function::Integral),
    ("exclude_null", Function::ExcludeNull),
    ("default_zero", Function::DefaultZero),
    ("count_nonzero", Function::CountNonzero),
    ("count_nonzero_finite", Function::CountNonzero),
    ("count_not_null", Function::CountNotNull),
    ("diff", Function::Diff),
    ("monotonic_diff", Function::MonotonicDiff),
    ("derivative", Function::Derivative),
    ("per_second", Function::PerSecond),
    ("per_minute", Function::PerMinute),
    ("per_hour", Function::PerHour),
    ("dt", Function::Dt),
    ("throughput", Function::Throughput),
    ("ewma_3", Function::Ewma(3)),
    ("ewma_5", Function::Ewma(5)),
    ("ewma_7", Function::Ewma(7)),
    ("ewma_10", Function::Ewma(10)),
    ("ewma_20", Function::Ewma(20)),
    ("median_3", Function::Median(3)),
    ("median_5", Function::Median(5)),
    ("median_7", Function::Median(7)),
    ("median_9", Function::Median(9)),
    ("hour_before", Function::HourBefore),
    ("day_before", Function::DayBefore),
    ("week_before", Function::WeekBefore),
    ("month_before", Function::MonthBefore),
];

// === impl Function ===

impl Function {
    /// Every function that takes nothing but the expression, without the shorthands of `top`.
    pub fn plain() -> impl Iterator<Item = Self> {
        PLAIN.iter().map(|(_, it)| *it)
    }

    /// The function called `name` that takes nothing but the expression.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let plain = PLAIN.iter().find(|(it, _)| *it == name);
        plain.map(|(_, it)| *it).or_else(|| rank::shorthand(name))
    }

    /// How far it moves time, in seconds.
    pub(crate) fn shift(self) -> i64 {
        const DAY: i64 = 86_400;
        match self {
            Self::Timeshift(seconds) => i64::from(seconds),
            Self::HourBefore => 3600,
            Self::DayBefore => DAY,
            Self::WeekBefore => 7 * DAY,
            Self::MonthBefore => 28 * DAY,
            _ => 0,
        }
    }

    /// For how many seconds before the window it needs values.
    pub(crate) fn look_back(self) -> i64 {
        match self {
            Self::MovingRollup { seconds, .. } => i64::from(seconds),
            _ => 0,
        }
    }

    /// The text of a call of it, of which `inner` is the first argument.
    pub(crate) fn text(self, inner: &str) -> String {
        match self {
            Self::ClampMin(limit) => format!("clamp_min({inner}, {limit})"),
            Self::ClampMax(limit) => format!("clamp_max({inner}, {limit})"),
            Self::CutoffMin(limit) => format!("cutoff_min({inner}, {limit})"),
            Self::CutoffMax(limit) => format!("cutoff_max({inner}, {limit})"),
            Self::MovingRollup { seconds, aggregator } => {
                format!("moving_rollup({inner}, {seconds}, '{aggregator}')")
            }
            Self::Timeshift(seconds) => format!("timeshift({inner}, -{seconds})"),
            Self::Top { limit, by, order } => {
                format!("top({inner}, {limit}, '{}', '{}')", by.name(), order.name())
            }
            Self::Shorthand { limit, by, order } => {
                let end = if order == Order::Desc { "top" } else { "bottom" };
                format!("{end}{limit}_{}({inner})", by.name())
            }
            plain => {
                let name = PLAIN.iter().find(|(_, it)| *it == plain).map_or("", |(name, _)| name);
                format!("{name}({inner})")
            }
        }
    }
}
