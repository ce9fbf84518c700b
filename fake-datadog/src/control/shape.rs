//! The courses that the values of a scripted series can take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::{Span, script::one_second};

/// Values over the time since the script's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// One value for ever.
    Constant(f64),
    /// Each value holds from its time to that of the next; no points before the first.
    Step(Vec<Step>),
    /// A straight line, then level.
    Ramp {
        /// Value at the start.
        from: f64,
        /// Value from `over` on.
        to: f64,
        /// How long it takes.
        over: Span,
    },
    /// `mean + amplitude · sin(2π · t / period)`.
    Sine {
        /// The middle.
        mean: f64,
        /// Largest distance from the middle.
        amplitude: f64,
        /// Time of one wave.
        period: Span,
    },
    /// A value that goes up and down by chance, and is turned back at its bounds. The same
    /// seed gives the same walk.
    RandomWalk {
        /// Value at the start.
        start: f64,
        /// Standard deviation of one step.
        step: f64,
        /// Time between two steps.
        #[serde(default = "one_second")]
        each: Span,
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A level with bursts above it; the first begins at the start.
    Burst {
        /// Value between bursts.
        base: f64,
        /// What a burst adds to it.
        height: f64,
        /// Time from the beginning of a burst to that of the next.
        every: Span,
        /// How long a burst holds.
        #[serde(rename = "for")]
        length: Span,
    },
    /// A list of values, one after the other; `null` is a missing point.
    Replay {
        /// The values.
        values: Vec<Option<f64>>,
        /// How long each of them holds.
        #[serde(default = "one_second")]
        each: Span,
        /// Begin again at the end; otherwise the series ends there.
        #[serde(default)]
        repeat: bool,
    },
}

/// One level of [`Shape::Step`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Time since the start from which on it holds.
    pub at: Span,
    /// The value.
    pub value: f64,
}
