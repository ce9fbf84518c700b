//! What groups are ranked by in `top` and its shorthands (docs, "Rank").

use crate::expr::function::Function;

/// What a series is ranked by, over its values that are not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// Newest.
    Last,
    /// Signed area under the curve.
    Area,
    /// Square root of the sum of the squares.
    L2Norm,
}

/// Which come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The lowest.
    Asc,
    /// The highest.
    Desc,
}

/// The function called `top5_mean` or so: `[top, bottom][5, 10, 15, 20]_[mean, min, max, last,
/// area, l2norm]`.
pub(super) fn shorthand(name: &str) -> Option<Function> {
    let (end, by) = name.split_once('_')?;
    let (order, limit) = match (end.strip_prefix("top"), end.strip_prefix("bottom")) {
        (Some(limit), _) => (Order::Desc, limit),
        (_, Some(limit)) => (Order::Asc, limit),
        (None, None) => return None,
    };
    let limit = [("5", 5), ("10", 10), ("15", 15), ("20", 20)].iter().find(|(it, _)| *it == limit);
    let by = Rank::from_name(by).filter(|it| *it != Rank::Sum)?;
    limit.map(|(_, limit)| Function::Shorthand { limit: *limit, by, order })
}

// === impl Rank ===

impl Rank {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mean, Self::Min, Self::Max, Self::Sum, Self::Last, Self::Area, Self::L2Norm];

    /// The word used in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Area => "area",
            Self::L2Norm => "l2norm",
        }
    }

    /// The rank that queries call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// This figure of `values`, of buckets of `interval` seconds; `None` when all are null.
    #[expect(clippy::cast_precision_loss, reason = "a bucket is far shorter than 2^52 seconds")]
    pub(crate) fn of(self, values: &[Option<f64>], interval: i64) -> Option<f64> {
        let known = values.iter().flatten().copied();
        let last = known.clone().next_back()?;
        let (count, sum) = known.clone().fold((0.0, 0.0), |(n, sum), it| (n + 1.0, sum + it));
        match self {
            Self::Mean => Some(sum / count),
            Self::Min => known.reduce(f64::min),
            Self::Max => known.reduce(f64::max),
            Self::Sum => Some(sum),
            Self::Last => Some(last),
            Self::Area => Some(sum * interval as f64),
            Self::L2Norm => Some(known.map(|it| it * it).sum::<f64>().sqrt()),
        }
    }
}

// === impl Order ===

impl Order {
    /// The word used in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    /// The order that queries call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Asc, Self::Desc].into_iter().find(|it| it.name() == name)
    }
}
